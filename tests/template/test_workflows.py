"""What is in .github/, of the template and of every project: actionlint and zizmor find nothing. What is in .ci/."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub import act
from project import ROOT, generate
from repositories import git
from template.test_generation import VARIED

BINARIES = Path(sys.executable).parent
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+(\.\d+)*")
GET = "actionlint is not here: GOBIN=$PWD/.venv/bin go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"


def found(root: Path) -> str:
    """What actionlint and zizmor say about the workflows below a folder; empty where they are content."""
    actionlint = shutil.which("actionlint", path=os.pathsep.join([str(BINARIES), os.environ["PATH"]]))
    if actionlint is None:
        pytest.skip(GET)
    said = ""
    for command in ([actionlint], [str(BINARIES / "zizmor"), "--offline", "--quiet", "--strict-collection", ".github"]):
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
        said += f"{done.stdout}{done.stderr}" if done.returncode else ""
    return said


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One project for each content of .github/ that answers lead to: names of people and projects are not in it."""
    found: dict[tuple[tuple[str, bytes], ...], Path] = {}
    one_each = {next(iter(answers)): answers for answers in VARIED}
    others = [answers for answers in VARIED if not {"project_name", "owner"} & answers.keys()]
    for index, answers in enumerate([{}, one_each["project_name"], one_each["owner"], *others]):
        project = generate(tmp_path_factory.mktemp(f"variant{index}"), git=False, **answers)
        files = sorted(path for path in (project / ".github").rglob("*") if path.is_file())
        found.setdefault(tuple((str(path.relative_to(project)), path.read_bytes()) for path in files), project)
    for project in found.values():
        git(project, "init", "--quiet")
    return list(found.values())


def test_nothing_is_found_in_a_project(variants: list[Path]) -> None:
    assert [found(project) for project in variants] == [""] * len(variants)


def test_nothing_is_found_in_the_template() -> None:
    assert found(ROOT) == ""


@pytest.mark.parametrize(
    ("old", "new", "finding"),
    [
        (re.compile(r"uses: actions/checkout@.*"), "uses: actions/checkout@v7", "unpinned-uses"),
        (re.compile(r" +with:\n +persist-credentials: false\n"), "", "artipacked"),
        (re.compile(r"permissions:\n +contents: read.*\n"), "permissions: write-all\n", "excessive-permissions"),
        (re.compile(r"run: make test"), "run: echo ${{ github.head_ref }}", "is potentially untrusted"),
        (re.compile(r"runs-on: ubuntu-24.04"), "runs-on: ubuntu-1", 'label "ubuntu-1" is unknown'),
    ],
)
def test_what_is_wrong_is_found(
    old: re.Pattern[str], new: str, finding: str, variants: list[Path], tmp_path: Path
) -> None:
    project = Path(shutil.copytree(variants[0], tmp_path / "wrong"))
    path = project / ".github/workflows/ci.yml"
    path.write_text(old.sub(new, path.read_text()))
    assert finding in found(project)


def uses() -> Iterator[tuple[Path, str]]:
    for root in (ROOT, ROOT / "<<cookiecutter.project>>"):
        for path in sorted((root / ".github").rglob("*.yml")):
            for use in re.findall(r"^ *(?:- )?uses: (.+)", path.read_text(), re.MULTILINE):
                yield path, use


def test_every_action_is_pinned_to_a_commit_with_its_tag_behind_and_once() -> None:
    foreign = [(path.name, use) for path, use in uses() if not use.startswith("./")]
    assert [one for one in foreign if not PINNED.fullmatch(one[1])] == []
    versions: dict[str, set[str]] = {}
    for _, use in foreign:
        versions.setdefault(use.partition("@")[0].partition("/cache/")[0], set()).add(use.partition("@")[2])
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


def test_a_workflow_that_others_start_names_them_as_they_are_called() -> None:
    files = sorted((ROOT / "<<cookiecutter.project>>/.github/workflows").glob("*.yml"))
    read = [act.document(path.read_text()) for path in files]
    wanted = {name for one in read for name in (one["on"].get("workflow_run") or {}).get("workflows", ())}
    assert wanted >= {"Train", "Deploy"}
    assert wanted <= {one["name"] for one in read}


def test_every_action_that_a_test_replaces_is_in_the_table() -> None:
    table = (ROOT / "tests/workflows/README.md").read_text()
    used = {
        use.partition("@")[0]
        for path, use in uses()
        if not use.startswith("./") and ROOT / ".github" not in path.parents
    }
    assert used == set(re.findall(r"^\| `([\w./-]+)` \|", table, re.MULTILINE))
    for name in used:
        assert (ROOT / "tests/workflows/actions" / name / "action.yml").is_file(), name


# What .ci/ runs, with a gh that writes down what it is asked.
GH = """#!/bin/sh
echo "$@" >> "$GH_LOG"
if [ "$1 $2" = "issue list" ]; then echo "$GH_OPEN"; fi
"""


@pytest.fixture
def gh(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "bin/gh"
    program.parent.mkdir()
    program.write_text(GH)
    program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "GH_LOG": str(tmp_path / "gh.log"),
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_REPOSITORY": "octo/cookiecutter-gitloop",
        "GITHUB_RUN_ID": "7",
    }


@pytest.mark.parametrize(
    ("verdict", "number", "asked"),
    [
        ("red", "", "issue create --title The newest releases break a generated project --body The lock still works"),
        ("red", "12", "issue comment 12 --body Still: https://github.com/octo/cookiecutter-gitloop/actions/runs/7"),
        ("green", "12", "issue close 12 --comment It works again"),
        ("green", "", None),
    ],
)
def test_the_canary_keeps_one_issue(verdict: str, number: str, asked: str | None, gh: dict[str, str]) -> None:
    environment = {**gh, "GH_OPEN": number}
    subprocess.run([str(ROOT / ".ci/canary"), verdict], env=environment, check=True, capture_output=True)
    first, *rest = Path(gh["GH_LOG"]).read_text().splitlines()
    assert first.startswith("issue list --state open")
    assert len(rest) == (asked is not None)
    assert asked is None or rest[0].startswith(asked)


def release(root: Path, tag: str, gh: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(root / ".ci/release"), tag], env=gh, capture_output=True, text=True, check=False)


@pytest.fixture
def releasable(tmp_path: Path) -> Path:
    root = tmp_path / "template"
    (root / ".ci").mkdir(parents=True)
    shutil.copy(ROOT / ".ci/release", root / ".ci")
    (root / "pyproject.toml").write_text('[project]\nversion = "1.2.0"\n')
    (root / "CHANGELOG.md").write_text("# Changes\n\n## 1.2.0\n\n- This.\n\n## 1.1.0\n\n- That.\n")
    return root


def test_a_release_says_what_changed(releasable: Path, gh: dict[str, str]) -> None:
    assert release(releasable, "v1.2.0", gh).returncode == 0
    said = Path(gh["GH_LOG"]).read_text()
    assert said.startswith("release create v1.2.0 --verify-tag --title v1.2.0 --notes")
    assert "This." in said
    assert "That." not in said


def test_a_tag_that_is_not_the_version_is_not_released(releasable: Path, gh: dict[str, str]) -> None:
    done = release(releasable, "v1.3.0", gh)
    assert (done.returncode, done.stdout) == (1, "v1.3.0: pyproject.toml says 1.2.0; tag v1.2.0, or change it first\n")


def test_a_release_without_words_is_refused(releasable: Path, gh: dict[str, str]) -> None:
    (releasable / "CHANGELOG.md").write_text("# Changes\n\n## 1.1.0\n\n- That.\n")
    done = release(releasable, "v1.2.0", gh)
    assert done.returncode == 1
    assert "has nothing under '## 1.2.0'" in done.stdout
    assert not Path(gh["GH_LOG"]).exists()
