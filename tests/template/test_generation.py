"""A project as it is generated: by default, and with one answer varied at a time."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cookiecutter.generate import is_copy_only_path
from project import ROOT, generate, run

from gitloop.config import sync

NAMES = [
    "\"double\" and 'single' quotes",
    "colon: value",
    "hash # mark",
    "Über-Modell 模型 𠮷野家 😀",
    "<b>bold</b> & more",
    "3 little models",
    "yes",
    "null",
    "1e3",
    "back\\slash\\",
    "{{ braces }} {% block %} {# comment #}",
    "%s percent, 100%",
    "- dash",
    "*star* `tick` | pipe",
    "!tag &anchor *alias",
    "  around  ",
    "!!!",
]
VARIED: list[dict[str, str]] = [
    *({"project_name": name} for name in NAMES),
    *({"owner": name, "contact": "https://example.org/?a=b#c"} for name in NAMES[:6]),
    {"project": "churn.model-2"},
    {"package": "churn"},
    {"handle": "octocat"},
    {"handle": "@octo-org/flight-team"},
    {"start": "own"},
    {"remote": "s3://bucket/path"},
    {"remote": "gs://bucket"},
    {"remote": "azure://container/path"},
    {"remote": "ssh://user@host:22/path"},
    {"remote": "webdavs://host/path%20x"},
    {"remote": "/srv/dvc store"},
    {"license": "Apache-2.0"},
    {"license": "proprietary"},
]
RENDERED = {
    ".github/CODEOWNERS",
    "LICENSE",
    "README.md",
    "conf/project.yaml",
    "params.yaml",
    "pyproject.toml",
}


def files(project: Path) -> list[Path]:
    return [path for path in sorted(project.rglob("*")) if path.is_file() and ".git" not in path.parts]


def test_only_a_handful_of_files_is_rendered(template: Path) -> None:
    """Whatever is not rendered is linted, typed and tested where it lies."""
    context = {"cookiecutter": json.loads((ROOT / "cookiecutter.json").read_text())}
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=template,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    rendered = set()
    for line in tracked.splitlines():
        parents = [*reversed(Path(line).parents), Path(line)][1:]
        if not any(is_copy_only_path(str(part), context) for part in parents):
            rendered.add(line)
    assert rendered == RENDERED


Made = Callable[..., Path]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The project of some answers, without Git: generated once, and left as it is."""
    found: dict[str, Path] = {}

    def make(**answers: str) -> Path:
        key = json.dumps(answers)
        if key not in found:
            found[key] = generate(tmp_path_factory.mktemp("made"), git=False, **answers)
        return found[key]

    return make


@pytest.mark.parametrize("answers", [{}, *VARIED], ids=lambda answers: "-".join(answers.values())[:30] or "default")
def test_a_generated_tree_is_whole(answers: dict[str, str], made: Made) -> None:
    project = made(**answers)
    given: dict[str, Any] = json.loads((project / ".gitloop.json").read_text())["answers"]
    assert answers.items() <= given.items()
    assert project.name == given["project"]
    for path in files(project):
        text = path.read_text(encoding="utf-8").replace("cookiecutter-gitloop", "")
        assert not re.search(r"cookiecutter\.(?!json)|<<['a-z]|<%|<#", text), path
    assert not (project / ".starts").exists()
    assert not [path for path in project.rglob("*") if "<" in path.name]

    composed = (project / "params.yaml").read_bytes()  # is what `gitloop params` writes, to the byte
    (project / "params.yaml").unlink()
    assert sync(project, check=False)
    assert (project / "params.yaml").read_bytes() == composed
    for name in ("conf/project.yaml", "params.yaml"):
        about = yaml.safe_load((project / name).read_text(encoding="utf-8"))["project"]
        assert [about["name"], about["owner"], about["contact"], about["package"]] == [
            given[key] for key in ("project_name", "owner", "contact", "package")
        ]
    package = tomllib.loads((project / "pyproject.toml").read_text())
    assert package["project"]["name"] == given["project"]
    assert package["tool"]["uv"]["build-backend"]["module-name"] == ["gitloop", given["package"]]
    assert sorted(path.name for path in (project / "src").iterdir()) == sorted(["gitloop", given["package"]])
    assert (project / f"conf/data/{given['start']}.yaml").is_file()
    assert [path.stem for path in (project / "conf/data").iterdir()] == [given["start"]]
    assert f"`conf/data/{given['start']}.yaml`" in (project / "README.md").read_text()


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy learnt of the libraries."""
    return str(tmp_path_factory.mktemp("mypy"))


@pytest.mark.parametrize("start", ["flights", "own"])
def test_a_generated_project_passes_its_own_checks(start: str, tmp_path: Path, types: str) -> None:
    """One commit on main, nothing left over; lint and tests of the project pass; DVC reads its pipeline."""
    project = generate(tmp_path, start=start)
    assert run(project, "git", "log", "--format=%s", "main").stdout == "Generate from cookiecutter-gitloop\n"
    assert run(project, "git", "status", "--porcelain").stdout == ""
    assert run(project, "git", "ls-files", "--eol").stdout.count("w/crlf") == 0

    run(project, "make", "lint", f"VENV={sys.prefix}", MYPY_CACHE_DIR=types)
    tested = run(project, "make", "test", f"VENV={sys.prefix}").stdout
    assert re.search(r"\d+ passed", tested)
    assert "skipped" not in tested

    stages = [line.split()[0] for line in run(project, "dvc", "stage", "list").stdout.splitlines()]
    candidates = sorted(path.stem for path in (project / "conf/candidate").glob("*.yaml"))
    assert [name for name in stages if name.startswith("train@")] == [f"train@{name}" for name in candidates]
    assert "ingest" in run(project, "dvc", "status").stdout
    assert run(project, "git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize(
    ("answers", "file", "text"),
    [
        ({}, ".github/CODEOWNERS", "# * @user or @organisation/team\n"),
        ({"handle": "octocat"}, ".github/CODEOWNERS", "\n* @octocat\n"),
        ({"handle": "@octo-org/team"}, ".github/CODEOWNERS", "\n* @octo-org/team\n"),
        ({}, "LICENSE", "MIT License\n\nCopyright (c) Example Team\n"),
        ({"license": "Apache-2.0"}, "LICENSE", "Copyright Example Team\n"),
        ({"license": "proprietary"}, "LICENSE", "Copyright (c) Example Team. All rights reserved.\n"),
        ({"license": "proprietary"}, "pyproject.toml", 'license = "LicenseRef-Proprietary"\n'),
        ({"remote": "s3://bucket/x"}, "README.md", "`s3://bucket/x` (`.dvc/config`)"),
        ({"start": "own"}, "conf/config.yaml", "  - data: own                   # source"),
        ({"start": "own"}, "README.md", "**Your own table**"),
    ],
)
def test_an_answer_shows_where_it_belongs(answers: dict[str, str], file: str, text: str, made: Made) -> None:
    assert text in (made(**answers) / file).read_text()


def test_questions_are_few_and_in_words() -> None:
    questions = json.loads((ROOT / "cookiecutter.json").read_text())
    names = [name for name in questions if not name.startswith("_")]
    assert len(names) <= 10
    assert sorted(questions["__prompts__"]) == sorted(names)
    for name in names:
        if isinstance(questions[name], list):
            assert set(questions["__prompts__"][name]) == {"__prompt__", *questions[name]}


def test_the_example_of_an_own_source_can_be_ingested(tmp_path: Path) -> None:
    """What src/<package>/sources.py shows in its docstring works as it stands."""
    project = generate(tmp_path, start="own", package="mine")
    sources = project / "src/mine/sources.py"
    example = sources.read_text().partition("sources.Made`:\n\n")[2].removesuffix('"""\n')
    sources.write_text(re.sub(r"(?m)^    ", "", example))
    contract = project / "conf/data/own.yaml"
    text = contract.read_text().replace(
        "gitloop.data.sources.CSV\n  path: data/source/example.csv", "mine.sources.Made"
    )
    contract.write_text(text)
    run(project, "gitloop", "params")
    run(project, "gitloop", "ingest")
    assert json.loads((project / "metrics/source.json").read_text())["rows"] == 2
