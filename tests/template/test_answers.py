"""What was answered is kept in .gitloop.json, so that it can be answered again."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cookiecutter.main import cookiecutter
from project import ROOT, generate, template

from gitloop import __version__

ANOTHER = {
    "project_name": "Un modèle: \"x\" 'y' \\ 😀",
    "project": "modele",
    "package": "mod",
    "owner": "Ça & Là",
    "handle": "@a/b",
    "contact": "https://example.org",
    "start": "own",
    "table": "",
    "remote": "s3://bucket/place",
    "license": "Apache-2.0",
}


def recorded(project: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((project / ".gitloop.json").read_text(encoding="utf-8"))
    return loaded


@pytest.mark.parametrize("answers", [{}, ANOTHER], ids=["default", "another"])
def test_the_same_answers_give_the_same_project(answers: dict[str, str], tmp_path: Path) -> None:
    first = generate(tmp_path / "first", git=False, **answers)
    again = generate(tmp_path / "again", git=False, **recorded(first)["answers"])
    tree = sorted(path.relative_to(first) for path in first.rglob("*"))
    assert tree == sorted(path.relative_to(again) for path in again.rglob("*"))
    for path in tree:
        if (first / path).is_file():
            assert (first / path).read_bytes() == (again / path).read_bytes(), path


def test_every_answer_is_recorded(tmp_path: Path) -> None:
    questions = json.loads((ROOT / "cookiecutter.json").read_text())
    assert set(ANOTHER) == {name for name in questions if not name.startswith("_")}
    project = generate(tmp_path, git=False, **ANOTHER)
    kept = {"template": None, "checkout": None, "commit": None, "version": __version__, "answers": ANOTHER}
    assert recorded(project) == kept
    assert str(ROOT) not in (project / ".gitloop.json").read_text()


def test_the_versions_agree() -> None:
    assert re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1] == __version__  # type: ignore[index]
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_where_the_template_came_from_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address and the version that was asked for: what an update asks again."""
    origin = Path(shutil.copytree(template(), tmp_path / "origin/cookiecutter-gitloop"))
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "x"], ["tag", "v0.1.0"]):
        subprocess.run(["git", *command], cwd=origin, check=True)
    for name, value in {
        "COUNT": "1",
        "KEY_0": f"url.{origin.parent}/.insteadOf",
        "VALUE_0": "https://git.example.org/",
    }.items():
        monkeypatch.setenv(f"GIT_CONFIG_{name}", value)
    monkeypatch.setenv("GITLOOP_SKIP_GIT", "1")
    address = "https://git.example.org/cookiecutter-gitloop"
    secret = address.replace("https://", "https://me:secret@")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "https://me:secret@git.example.org/")
    config = tmp_path / "config.yaml"
    config.write_text(f"cookiecutters_dir: {tmp_path}/cloned\nreplay_dir: {tmp_path}/replay\n")
    project = cookiecutter(
        secret, checkout="v0.1.0", no_input=True, output_dir=str(tmp_path), config_file=os.fspath(config)
    )
    kept = recorded(Path(project))
    assert (kept["template"], kept["checkout"]) == (address, "v0.1.0")
    assert kept["commit"] == subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=origin, text=True).strip()


def test_a_commit_is_recorded_only_where_the_files_are_its(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLOOP_SKIP_GIT", "1")
    origin = Path(shutil.copytree(template(), tmp_path / "origin"))
    for command in (["init", "-q", "-b", "main"], ["add", "--all"], ["commit", "-q", "-m", "x"]):
        subprocess.run(["git", *command], cwd=origin, check=True)
    (origin / "cookiecutter.json").write_text((origin / "cookiecutter.json").read_text() + "\n")
    config = str(template().parent / "config.yaml")
    made = cookiecutter(str(origin), no_input=True, output_dir=str(tmp_path), config_file=config)
    assert recorded(Path(made))["commit"] is None
