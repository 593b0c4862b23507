"""Run a workflow of a repository by act, on this machine without a container, and read what it did."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from atexit import register
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import warm
from ruamel.yaml import YAML

ACTIONS = Path(__file__).resolve().parent.parent / "workflows" / "actions"
BINARIES = Path(sys.executable).parent
LONGEST = 600  # seconds of a run
GET_ACT = "act is not here: GOBIN=$PWD/.venv/bin go install github.com/nektos/act@v0.2.87"


@dataclass
class Run:
    """One run of one workflow."""

    id: int
    workflow: str  # the name of its file
    event: str
    ref: str
    commit: str
    code: int
    jobs: dict[str, str] = field(default_factory=dict)  # result by the job's id; those that were skipped are not there
    steps: dict[str, dict[str, str]] = field(default_factory=dict)  # result by step, by job; without those skipped
    seconds: dict[str, dict[str, float]] = field(default_factory=dict)  # by step, by job
    log: str = ""  # all that the steps said
    artifact: Path = Path()  # the artifact `report`, which need not be there

    def read(self, name: str) -> Any:
        """A JSON file of the artifact."""
        return json.loads((self.artifact / name).read_text(encoding="utf-8"))

    @property
    def ok(self) -> bool:
        return self.code == 0


def binary() -> str:
    """Where act is. Skips where it is not."""
    found = shutil.which("act", path=os.pathsep.join([str(BINARIES), os.environ["PATH"]]))
    if found is None:
        pytest.skip(GET_ACT)
    return found


@cache
def venv() -> Path:
    """The environment that a workflow is given as its `VENV`: that of the tests, whose gitloop and dvc start warm."""
    folder = Path(tempfile.mkdtemp(prefix="gitloop-venv-"))
    register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "bin").mkdir()
    for program in BINARIES.iterdir():
        (folder / "bin" / program.name).symlink_to(program)
    for name in warm.NAMES:
        (folder / "bin" / name).unlink(missing_ok=True)
        (folder / "bin" / name).write_text(f'#!/bin/sh\nexec {warm.commands() / name} "$@"\n')
        (folder / "bin" / name).chmod(0o755)
    for name in ("lib", "pyvenv.cfg"):
        if (there := BINARIES.parent / name).exists():
            (folder / name).symlink_to(there)
    return folder


def document(text: str) -> Any:
    """A workflow, whose `on` stays a word."""
    return YAML(typ="safe").load(text)


def command(
    checkout: Path, workflow: str, event: str, payload: Path, job: str | None = None, **options: Mapping[str, str]
) -> list[str]:
    """`job`: that one, with those it needs, not all. `options`: env, var and secret, each a mapping."""
    chosen = [f"--{kind}={name}={value}" for kind, pairs in options.items() for name, value in pairs.items()]
    return [
        binary(),
        event,
        f"--directory={checkout}",
        f"--workflows={checkout}/.github/workflows/{workflow}",
        f"--eventpath={payload}",
        "--platform=ubuntu-24.04=-self-hosted",
        "--no-skip-checkout",
        "--no-cache-server",
        "--concurrent-jobs=2",
        "--defaultbranch=main",
        "--json",
        *([f"--job={job}"] if job else []),
        *(f"--local-repository={action}={folder}" for action, folder in replaced(checkout).items()),
        *chosen,
    ]


def replaced(checkout: Path) -> dict[str, str]:
    """The folder of the local action for each `owner/name@commit` that the workflows use."""
    found = {}
    for file in (checkout / ".github").rglob("*.yml"):
        for line in file.read_text(encoding="utf-8").splitlines():
            use = line.strip().removeprefix("- ").partition("uses: ")[2].partition(" ")[0]
            name, _, commit = use.partition("@")
            folder = ACTIONS / "/".join(name.split("/")[:2])
            if commit and folder.is_dir():
                found[f"{'/'.join(name.split('/')[:2])}@{commit}"] = str(folder)
    return found


def environment(home: Path) -> dict[str, str]:
    """act gives its own environment to the steps: nothing of this machine's but the packages."""
    return {
        "PATH": os.pathsep.join([str(home / "bin"), str(BINARIES), os.environ["PATH"]]),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "LANG": "C.UTF-8",
        "DVC_NO_ANALYTICS": "true",
        "DO_NOT_TRACK": "1",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",  # act gives its steps a terminal, which GitHub does not
        "GIT_PAGER": "cat",
        "MPLBACKEND": "Agg",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # those of the tests of the template take longer than a project's tests
        "MYPY_CACHE_DIR": str(home / ".cache/mypy"),
    }


def run(made: Run, arguments: list[str], home: Path) -> Run:
    """Fill in what the run did."""
    done = subprocess.run(
        arguments,
        env=environment(home),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        timeout=LONGEST,
    )
    made.code = done.returncode
    said = [json.loads(line) for line in (done.stdout + done.stderr).splitlines() if line.startswith("{")]
    for line in said:
        if (result := line.get("stepResult")) and line.get("stage", "Main") == "Main":
            made.steps.setdefault(line["jobID"], {})[line["step"]] = result
            made.seconds.setdefault(line["jobID"], {})[line["step"]] = line.get("executionTime", 0) / 1e9
        if result := line.get("jobResult"):
            made.jobs[line["jobID"]] = result
    messages = (str(line.get("msg", "")).rstrip() for line in said)
    made.log = "\n".join(one for one in messages if not one.startswith("LocalRepositoryCache"))
    return made
