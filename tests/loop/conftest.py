"""One small flights project, trained once without disturbance; tests work on copies of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from project import generate, run, shrink


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated, made small, run by `dvc repro`, committed."""
    project = generate(tmp_path_factory.mktemp("trained"))
    shrink(project)
    run(project, "dvc", "repro")
    run(project, "git", "add", "--all")
    run(project, "git", "commit", "--quiet", "--message", "Train")
    return project


@pytest.fixture
def copied(trained: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy of the trained project, cache and all."""

    def copy(name: str = "copy") -> Path:
        return Path(shutil.copytree(trained, tmp_path / name, symlinks=True))

    return copy
