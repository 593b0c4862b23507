"""Projects in which a stock candidate was chosen, judged and packaged, for all tasks."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import customers
import pytest

from gitloop.cli import main


@pytest.fixture(scope="session")
def projects(stock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """The folder of a project by task and candidate, packaged; made once, not to be changed."""
    made: dict[tuple[str, str], Path] = {}

    def get(task: str, name: str) -> Path:
        if (task, name) not in made:
            folder = tmp_path_factory.mktemp(f"{task}-{name}")
            customers.make(folder, customers.values_of(task, stock), name, customers.table(task))
            with customers.inside(folder):
                assert main(["package"]) == 0
            made[task, name] = folder
        return made[task, name]

    return get


@pytest.fixture
def project(
    projects: Callable[[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], Path]:
    """The working directory becomes a copy of a packaged project."""

    def get(task: str = "binary", name: str = "linear") -> Path:
        folder = tmp_path / "project"
        shutil.copytree(projects(task, name), folder)
        monkeypatch.chdir(folder)
        return folder

    return get
