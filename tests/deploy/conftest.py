"""A repository with four versions of a small model, of which two are bad, and an environment on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import customers
import pytest
import yaml
from deployed import Site, environment, opened
from repositories import git
from service import SOURCE

from gitloop.cli import main

STAGES = {"stages": {"package": {"cmd": "gitloop package", "outs": ["model"]}}}
ENVIRONMENT = "version: none\ntarget: local\nsmoke: {latency_ms: null}\nlocal: {port: 8080}  # of callers\n"
# What the bad versions do: say something else than the model, and not start.
WRONG = ("desk.py", "said = outcomes(self.served, scores)", "said = outcomes(self.served, 1 - scores)")
BROKEN = ("service.py", "try:\n    SETTINGS", "raise SystemExit('this version is broken')\ntry:\n    SETTINGS")


@pytest.fixture(scope="session")
def released(stock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with origin.git and a clone: v0.1.0 and v0.2.0 are good, v0.3.0 is wrong, v0.4.0 does not start."""
    folder = tmp_path_factory.mktemp("released")
    clone = folder / "clone"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(folder, "init", "--quiet", "--initial-branch=main", "clone")
    git(clone, "remote", "add", "origin", "../origin.git")
    values = customers.values_of("binary", stock)
    customers.make(clone, values, "linear", customers.table("binary"))
    with customers.inside(clone):
        assert main(["package"]) == 0
    shutil.copytree(SOURCE / "gitloop", clone / "src/gitloop", ignore=shutil.ignore_patterns("__pycache__"))
    (clone / "conf").mkdir()
    (clone / "conf/config.yaml").write_text("a: 1\n")
    (clone / "environments").mkdir()
    (clone / "environments/production.yaml").write_text(ENVIRONMENT)
    (clone / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (clone / ".gitignore").write_text("/model\n/models\n/data\n/.deploy\n__pycache__\n")
    for arguments in (["init", "--quiet"], ["commit", "--force", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=clone, env=environment(), check=True)
    _release(clone, "v0.1.0")
    (clone / "conf/config.yaml").write_text("a: 2\n")
    _release(clone, "v0.2.0")
    for version, (name, was, now) in (("v0.3.0", WRONG), ("v0.4.0", BROKEN)):
        path = clone / "src/gitloop/serving" / name
        before = path.read_text()
        assert was in before
        path.write_text(before.replace(was, now))
        _release(clone, version)
        path.write_text(before)
    git(clone, "commit", "--quiet", "--all", "--message", "mend")
    git(clone, "push", "--quiet", "origin", "main")
    return folder


def _release(clone: Path, version: str) -> None:
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", version)
    git(clone, "tag", "--annotate", f"model@{version}", "--message", f"Registered {version}: a test")
    git(clone, "push", "--quiet", "origin", "main", f"model@{version}")


@pytest.fixture
def site(released: Path, tmp_path: Path) -> Iterator[Site]:
    """A copy of its own; nothing of it runs at the end."""
    shutil.copytree(released, tmp_path / "site", symlinks=True)
    with opened(tmp_path / "site/clone") as made:
        yield made
