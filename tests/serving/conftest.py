"""Packaged projects to be served, and one server that the tests of a module share."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import customers
import httpx
import pytest
import yaml
from service import Packaged, Server, serving

from gitloop.cli import main


@pytest.fixture(scope="session")
def packaged(stock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """A new folder with a packaged model; `change` works on its serving, which no model depends on."""
    made: dict[tuple[str, str, bool], Path] = {}

    def trained(task: str, name: str, text: bool) -> Path:
        folder = tmp_path_factory.mktemp(f"{task}-{name}")
        values = customers.values_of(task, stock, text=text)
        customers.make(folder, values, name, customers.table(task))
        with customers.inside(folder):
            assert main(["package"]) == 0
        return folder

    def make(
        task: str = "binary",
        name: str = "linear",
        *,
        text: bool = False,
        change: Callable[[dict[str, Any]], None] | None = None,
    ) -> Path:
        key = (task, name, text)
        if key not in made:
            made[key] = trained(*key)
        folder = tmp_path_factory.mktemp("packaged") / "project"
        shutil.copytree(made[key], folder)
        if change:
            path = folder / "params.yaml"
            values = yaml.safe_load(path.read_text())
            change(serving := {"serving": values["serving"]})
            path.write_text(yaml.safe_dump(values | serving, sort_keys=False, allow_unicode=True))
        return folder

    return make


@pytest.fixture(scope="module")
def server(packaged: Packaged) -> Iterator[Server]:
    with serving(packaged()) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=30) as one:
        yield one


@pytest.fixture
def row() -> dict[str, Any]:
    """What the contract of customers.py allows."""
    return {
        "age": 41,
        "income": 30000.0,
        "balance": -12.5,
        "member": True,
        "colour": "green",
        "town": "TOWN 3",
        "id": 7,
        "seen": "2024-03-01T10:00:00+02:00",
    }
