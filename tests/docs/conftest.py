"""The documentation, built once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from project import ROOT

Build = Callable[[Path, Path], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def build() -> Build:
    """Build the pages of a folder into another, as `make docs` does."""

    def built(root: Path, to: Path) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).parent / "mkdocs"), "build", "--strict", "--site-dir", str(to)]
        env = {"PATH": "/usr/bin:/bin", "NO_MKDOCS_2_WARNING": "1"}
        return subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)

    return built


@pytest.fixture(scope="session")
def site(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder
