"""What every test may use: the template's folder, its composed configuration, a repository root with params.yaml."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "<<cookiecutter.project>>"

# Tests never reach for a home's configuration, nor report home.
os.environ.update(
    {
        "DVC_NO_ANALYTICS": "true",
        "DO_NOT_TRACK": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "Tester",
        "GIT_AUTHOR_EMAIL": "tester@example.org",
        "GIT_COMMITTER_NAME": "Tester",
        "GIT_COMMITTER_EMAIL": "tester@example.org",
        "MPLBACKEND": "Agg",
        "OMP_WAIT_POLICY": "passive",
        "GOMP_SPINCOUNT": "10000",  # as gitloop.modeling sets it, and here scikit-learn may be imported first
    }
)


# Rooms whose tests take longest come first, so that no worker is left with one of them while the others are done.
FIRST = ("image", "workflows", "loop", "deploy", "serving", "template", "site", "sabotage")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rooms = {name: rank for rank, name in enumerate(FIRST)}
    items.sort(key=lambda item: rooms.get(item.path.parent.name, len(FIRST)))


@pytest.fixture(scope="session")
def template() -> Path:
    """The folder that is generated from, which is also where gitloop is developed."""
    return TEMPLATE


@pytest.fixture(scope="session")
def stock() -> dict[str, Any]:
    """The template's params.yaml as it lies; copy before changing."""
    loaded: dict[str, Any] = yaml.safe_load((TEMPLATE / "params.yaml").read_text())
    return loaded


@pytest.fixture
def params(stock: dict[str, Any]) -> dict[str, Any]:
    """A copy of the template's composed configuration, to be changed by a test."""
    return copy.deepcopy(stock)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Path]:
    """Make the working directory a repository root whose params.yaml is the mapping given."""

    def make(values: dict[str, Any]) -> Path:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True))
        return tmp_path

    return make
