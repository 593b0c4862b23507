"""`gitloop check`: each thing that is wrong is said by file, rule and mend, and nothing is said of what is right."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from project import generate

from gitloop import layout
from gitloop.cli import main

# Made here, so that no file of this repository looks like a secret.
KEY = "AKIA" + "Q7Z2" * 4


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated project with metrics, and a dvc.lock that records them."""
    project = generate(tmp_path_factory.mktemp("made"))
    stages = {
        "ingest": "metrics/source.json",
        "train@linear": "metrics/candidates/linear.json",
        "evaluate": "metrics/evaluation.json",
    }
    lines = ["schema: '2.0'", "stages:"]
    for stage, path in stages.items():
        file = project / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f'{{"stage": "{stage}"}}\n')
        md5 = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
        lines += [f"  {stage}:", f"    cmd: gitloop {stage}", "    outs:", f"    - path: {path}", "      hash: md5"]
        lines += [f"      md5: {md5}", f"      size: {file.stat().st_size}"]
    lines += ["    - path: models/linear.skops", "      md5: 0123", "      size: 1"]  # DVC's, not Git's
    (project / "dvc.lock").write_text("\n".join(lines) + "\n")
    subprocess.run(["git", "add", "--all"], cwd=project, check=True)
    return project


@pytest.fixture
def project(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = tmp_path / "project"
    subprocess.run(["cp", "-R", str(made), str(copy)], check=True)
    monkeypatch.chdir(copy)
    return copy


@pytest.fixture
def few(project: Path) -> Path:
    """The same with fewer files in Git: to look for secrets in all of ours takes seconds, and finds none."""
    subprocess.run(["git", "rm", "-r", "--quiet", "--cached", "src/gitloop"], check=True)
    return project


def replace(path: str, old: str, new: str) -> Callable[[], None]:
    def do() -> None:
        text = Path(path).read_text()
        assert old in text
        Path(path).write_text(text.replace(old, new))

    return do


def write(path: str, text: str) -> Callable[[], None]:
    def do() -> None:
        Path(path).write_text(text)
        subprocess.run(["git", "add", path], check=True)

    return do


def test_a_project_as_generated_passes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check"]) == 0, capsys.readouterr().err
    assert json.loads(layout.CHECKS.read_text()) == {"passed": True, "findings": []}


UNPINNED = """\
name: Extra
on: [push]
permissions: {}
jobs:
  one:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/setup-node@v4
"""
NOTEBOOK = json.dumps(
    {
        "cells": [{"cell_type": "code", "metadata": {}, "outputs": [], "source": [f"key = '{KEY}'\n"]}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    },
    indent=1,
)


@pytest.mark.parametrize(
    ("harm", "check", "where", "says"),
    [
        (
            replace("params.yaml", "trials: 8", "trials: 11"),
            "params",
            "params.yaml",
            "is not what conf/ composes to (first difference: tuning.trials); run `gitloop params`",
        ),
        (
            replace("conf/gates/default.yaml", "leakage: ", "leakage: a"),
            "contract",
            "conf/gates/default.yaml",
            "conf/gates/default.yaml: gates.leakage: input should be a valid number",
        ),
        (replace("conf/config.yaml", "defaults:", "defaults: ["), "contract", "conf/config.yaml", "candidate"),
        (
            replace("metrics/evaluation.json", "evaluate", "flattered"),
            "metrics",
            "metrics/evaluation.json",
            "is not what stage evaluate wrote (dvc.lock has another hash): it was edited by hand, or the lock was; run "
            "`rm metrics/evaluation.json && make train`",
        ),
        (
            lambda: Path("metrics/source.json").unlink(),
            "metrics",
            "metrics/source.json",
            "is gone, and dvc.lock has it",
        ),
        (
            replace("dvc.lock", "schema:", "<<<<<<< HEAD\n=======\n>>>>>>> main\nschema:"),
            "lock",
            "dvc.lock",
            "holds the marks of a merge conflict; run `gitloop resolve`",
        ),
        (
            write("NOTES.md", "a\n<<<<<<< HEAD\nmine\n=======\ntheirs\n>>>>>>> main\n"),
            "marks",
            "NOTES.md",
            "NOTES.md: holds the marks of a merge conflict; edit it",
        ),
        (replace("dvc.lock", "stages:", "things:"), "lock", "dvc.lock", "is not what DVC writes"),
        (
            write(".github/workflows/extra.yml", UNPINNED),
            "workflows",
            ".github/workflows/extra.yml:8",
            "(unpinned-uses): actions/setup-node@v4; see ",
        ),
        (write(".github/workflows/extra.yml", "on: ["), "workflows", ".github", "cannot be read by zizmor"),
        (write("look.ipynb", NOTEBOOK), "secrets", "look.ipynb:8", "looks like a secret (AWS Access Key); make it inv"),
        (
            write("src/late_flights/token.py", "-----BEGIN RSA " + "PRIVATE KEY-----\n"),
            "secrets",
            "src/late_flights/token.py:1",
            "looks like a secret (Private Key)",
        ),
    ],
)
def test_what_is_wrong_is_said(
    few: Path, harm: Callable[[], None], check: str, where: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    harm()
    assert main(["check"]) == 1
    said = capsys.readouterr().err
    found = json.loads(layout.CHECKS.read_text())
    assert not found["passed"]
    assert [(one["check"], one["where"].removeprefix("./")) for one in found["findings"]] == [(check, where)], found
    assert says in said
    assert KEY not in said + layout.CHECKS.read_text()  # the secret is not repeated


def test_a_line_may_be_excused(few: Path) -> None:
    write("notes.py", f"key = '{KEY}'  # pragma: allowlist secret\n")()
    assert main(["check"]) == 0


def test_zizmor_must_be_there(few: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("gitloop.layout.sys.executable", os.devnull)
    assert main(["check"]) == 2
    assert "zizmor: is not installed; run `make setup`" in capsys.readouterr().err
