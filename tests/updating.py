"""Repositories of the template with a history, and projects that were generated from a commit of one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from project import ROOT, template
from repositories import git

# The first commit whose tree generates. Neither the template's address nor its commit was recorded then.
FIRST = "81aa2c1b5689cefdd47209f2e3d69e8d89f0dd42"
PARTS = ("cookiecutter.json", "gitloop_answers.py", "hooks", "<<cookiecutter.project>>")
INSIDE = "<<cookiecutter.project>>"


def repository(folder: Path) -> tuple[Path, str, str]:
    """A repository that holds the template as it first was, and as it lies here; and both commits."""
    folder.mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    packed = subprocess.run(
        ["git", "archive", FIRST, *PARTS], cwd=ROOT, capture_output=True, check=True
    ).stdout  # needs the whole history of this repository
    subprocess.run(["tar", "--extract"], cwd=folder, input=packed, check=True)
    first = saved(folder, "The first version")
    for part in PARTS:
        subprocess.run(["rm", "-r", part], cwd=folder, check=True)
    shutil.copytree(template(), folder, dirs_exist_ok=True)
    return folder, first, saved(folder, "The present version")


def saved(folder: Path, message: str) -> str:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)
    return git(folder, "rev-parse", "HEAD")


def edited(path: Path, old: str, new: str) -> None:
    """Another text in a file, which must be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path} has no {old!r}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def generated(origin: Path, commit: str, where: Path, **answers: str) -> Path:
    """A project, committed, that a commit of the template generates; with the address of the template recorded."""
    source = where / "source"
    git(where, "clone", "--quiet", str(origin), str(source))
    git(source, "checkout", "--quiet", "--detach", commit)
    config = str(template().parent / "config.yaml")
    given = [f"{name}={value}" for name, value in answers.items()]
    command = [sys.executable, "-m", "cookiecutter", str(source), "--no-input", "--config-file", config]
    subprocess.run([*command, "--output-dir", str(where), *given], check=True, capture_output=True)
    shutil.rmtree(source)
    (made,) = (one for one in where.iterdir() if (one / ".gitloop.json").is_file())
    return made


def addressed(project: Path, origin: Path) -> None:
    """Record where the template is, and make it part of the first commit."""
    path = project / ".gitloop.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "template": str(origin)}, indent=2) + "\n")
    git(project, "commit", "--quiet", "--all", "--amend", "--no-edit")
