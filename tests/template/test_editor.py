"""What helps a person before CI does: hooks that run CI's own commands, and a machine to work on."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
import yaml
from project import ROOT, generate, run

TEMPLATE = ROOT / "<<cookiecutter.project>>"
HERE = {"VENV": sys.prefix}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated project with the hooks installed."""
    made = generate(tmp_path_factory.mktemp("hooked"))
    run(made, "pre-commit", "install")
    return made


def test_hooks_run_the_commands_of_ci_and_nothing_else() -> None:
    workflow = yaml.safe_load((TEMPLATE / ".github/workflows/ci.yml").read_text())
    commands = [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]
    (local,) = yaml.safe_load((TEMPLATE / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"  # nothing is downloaded
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    assert [hook["entry"] for hook in local["hooks"]] == commands


def test_a_commit_that_ci_would_refuse_is_refused(project: Path) -> None:
    """By a real commit, and one that CI would not refuse is made."""
    before = run(project, "git", "rev-parse", "HEAD").stdout
    code = project / "src/late_flights/features.py"
    text = code.read_text()
    code.write_text(f"import os\n{text}")
    done = run(project, "git", "commit", "--all", "--message", "Unused", check=False, **HERE)
    assert done.returncode == 1
    assert "F401" in done.stderr
    code.write_text(text)

    assert run(project, "git", "rev-parse", "HEAD").stdout == before
    code.write_text(f"{text}\n\nMINE = 1\n")
    said = run(project, "git", "commit", "--all", "--message", "Used", **HERE).stderr
    assert re.search(r"style, types, configuration\.+Passed", said)
    assert run(project, "git", "rev-parse", "HEAD").stdout != before


def test_a_push_runs_the_tests(project: Path, tmp_path: Path) -> None:
    run(project, "git", "init", "--bare", "--quiet", str(tmp_path))
    test = project / "tests/test_mine.py"
    test.write_text("def test_mine() -> None:\n    raise AssertionError('not yet')\n")
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--no-verify", "--message", "Fails")
    done = run(project, "git", "push", str(tmp_path), "main", check=False, **HERE)
    assert done.returncode == 1
    assert "not yet" in done.stdout + done.stderr
    run(project, "git", "reset", "--quiet", "--hard", "HEAD~1")
    run(project, "git", "push", str(tmp_path), "main", **HERE)


def test_the_devcontainer_sets_up_what_the_project_locks() -> None:
    """Pinned by its digest, with the Python of CI; the rest of it is the project's own."""
    text = (TEMPLATE / ".devcontainer/devcontainer.json").read_text()
    comments, _, rest = text.partition("{")
    assert all(line.startswith("//") for line in comments.splitlines())
    told = json.loads("{" + rest)
    action = yaml.safe_load((TEMPLATE / ".github/actions/setup/action.yml").read_text())
    python = next(step["with"]["python-version"] for step in action["runs"]["steps"] if "with" in step)
    assert re.fullmatch(
        rf"mcr\.microsoft\.com/devcontainers/python:\d+\.\d+\.\d+-{re.escape(python)}-\w+@sha256:[0-9a-f]{{64}}",
        told["image"],
    )
    target = told["postCreateCommand"].removeprefix("make ")
    assert target in re.findall(r"^\.PHONY: (.+)", (TEMPLATE / "Makefile").read_text(), re.MULTILINE)[0].split()
    port = yaml.safe_load((TEMPLATE / "conf/serving/default.yaml").read_text())["port"]
    assert told["forwardPorts"] == [port]
    extensions = told["customizations"]["vscode"]["extensions"]
    assert "redhat.vscode-yaml" in extensions  # reads .schemas/
    assert extensions == json.loads((TEMPLATE / ".vscode/extensions.json").read_text())["recommendations"]
    known = {"name", "image", "postCreateCommand", "remoteEnv", "forwardPorts", "customizations"}
    assert told.keys() <= known
