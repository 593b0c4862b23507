"""Packaged projects to be served, and one server that the tests of a module share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import customers
import httpx
import pytest
from service import Packaged, Server, serving

from gitloop.cli import main


@pytest.fixture(scope="session")
def packaged(stock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    """A new folder with a packaged model; `change` works on its params."""

    def make(
        task: str = "binary",
        name: str = "linear",
        *,
        text: bool = False,
        change: Callable[[dict[str, Any]], None] | None = None,
    ) -> Path:
        folder = tmp_path_factory.mktemp(f"{task}-{name}")
        values = customers.values_of(task, stock, text=text, change=change)
        customers.make(folder, values, name, customers.table(task))
        with customers.inside(folder):
            assert main(["package"]) == 0
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
