"""What helps a person before CI does: hooks that run CI's own commands, and a machine to work on."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def devcontainer(root: Path) -> dict[str, Any]:
    comments, _, rest = (root / ".devcontainer/devcontainer.json").read_text().partition("{")
    assert all(line.startswith("//") for line in comments.splitlines())
    told: dict[str, Any] = json.loads("{" + rest)
    return told


def test_the_devcontainer_is_one_of_the_specification() -> None:
    """Pinned by its digest, with the Python of CI; each key of the type that devContainer.base.schema.json gives it."""
    told = devcontainer(TEMPLATE)
    action = yaml.safe_load((TEMPLATE / ".github/actions/setup/action.yml").read_text())
    python = next(step["with"]["python-version"] for step in action["runs"]["steps"] if "with" in step)
    assert re.fullmatch(
        rf"mcr\.microsoft\.com/devcontainers/python:\d+\.\d+\.\d+-{re.escape(python)}-\w+@sha256:[0-9a-f]{{64}}",
        told["image"],
    )
    port = yaml.safe_load((TEMPLATE / "conf/serving/default.yaml").read_text())["port"]
    assert told["forwardPorts"] == [port]
    extensions = told["customizations"]["vscode"]["extensions"]
    assert "redhat.vscode-yaml" in extensions  # reads .schemas/
    assert extensions == json.loads((TEMPLATE / ".vscode/extensions.json").read_text())["recommendations"]
    assert {key: type(value) for key, value in told.items()} == {
        "name": str,
        "image": str,
        "postCreateCommand": str,
        "remoteEnv": dict,
        "forwardPorts": list,
        "customizations": dict,
    }
    assert {type(value) for value in told["remoteEnv"].values()} == {str}


def typed(command: str, where: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=where, env=env, shell=True, capture_output=True, text=True, check=False)


def test_what_the_devcontainer_runs_makes_the_environment(tmp_path: Path) -> None:
    """Its command with a lock of what setting up itself needs; then gitloop is on the path that it sets."""
    made = generate(tmp_path, git=False)
    lock = made / "requirements.txt"
    locked = re.findall(r"^(?:setuptools|uv|uv-build)==.*\n(?: .*\n?)+", lock.read_text(), re.MULTILINE)
    assert len(locked) == 3
    lock.write_text("".join(locked))
    told = devcontainer(made)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "VENV", "PYTHONPATH"))}
    done = typed(told["postCreateCommand"], made, env)
    assert done.returncode == 0, done.stderr

    path = told["remoteEnv"]["PATH"].replace("${containerWorkspaceFolder}", str(made))
    env["PATH"] = path.replace("${containerEnv:PATH}", env["PATH"])
    done = typed("command -v gitloop && gitloop --help && make setup", made, env)
    assert done.stdout.startswith(f"{made}/.venv/bin/gitloop\n"), done.stderr
    assert "compose conf/ into params.yaml" in done.stdout
    assert done.stdout.endswith("make: Nothing to be done for 'setup'.\n")

    shutil.rmtree(made / ".venv")
    lock.write_text(re.sub(r"(sha256:)\w{8}", r"\g<1>00000000", "".join(locked)))
    done = typed(told["postCreateCommand"], made, env)
    assert done.returncode != 0  # what is not the locked package is not installed
    assert "DO NOT MATCH THE HASHES" in done.stderr
