"""A small repository with a contract of every type of column, and a raw table that keeps it."""

from __future__ import annotations

import copy
import hashlib
import shutil
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from gitloop import config, layout
from gitloop.cli import main

Told = Callable[..., str]
Values = dict[str, list[Any]]
Make = Callable[..., Path]

COLUMNS: dict[str, dict[str, Any]] = {
    "id": {"type": "numeric", "role": "key"},
    "when": {"type": "datetime", "role": "timestamp"},
    "mail": {"type": "text", "role": "pii", "nullable": True},
    "size": {"type": "numeric", "range": [0, 100]},
    "rate": {"type": "numeric", "nullable": True},
    "kind": {"type": "categorical", "categories": ["a", "b"], "case": "lower"},
    "note": {"type": "text", "nullable": True},
    "open": {"type": "boolean"},
    "late": {"type": "boolean", "role": "target"},
}
RULES = {"min_rows": 10, "max_invalid": 0.1, "max_missing": 0.5}


@pytest.fixture
def columns() -> dict[str, dict[str, Any]]:
    """The contract's columns, to be changed by a test."""
    return {name: dict(column) for name, column in COLUMNS.items()}


@pytest.fixture
def values() -> Values:
    """100 rows that keep the contract, to be changed by a test."""
    rows = range(100)
    return {
        "id": list(rows),
        "when": [datetime(2013, 1, 1) + timedelta(hours=row) for row in rows],
        "mail": [f"canary{row}@example.org" for row in rows],
        "size": [row % 100 for row in rows],
        "rate": [row / 7 for row in rows],
        "kind": ["ab"[row % 2] for row in rows],
        "note": [f"note {row}" for row in rows],
        "open": [row % 3 == 0 for row in rows],
        "late": [row % 4 == 0 for row in rows],
    }


@pytest.fixture
def repository(params: dict[str, Any], root: Callable[[dict[str, Any]], Path]) -> Make:
    """Make the working directory a repository with this contract and these rows in `path`."""

    def make(
        columns: Mapping[str, Any],
        rows: Mapping[str, Any] | pa.Table,
        path: str = "data/raw.parquet",
        rules: Mapping[str, Any] | None = None,
        split: Mapping[str, Any] | None = None,
        task: str = "binary",
    ) -> Path:
        params["data"] |= {
            "name": "small",
            "task": task,
            "metric": {"binary": "roc_auc", "multiclass": "accuracy", "regression": "r2"}[task],
            "slices": [],
            "window": {},
            "split": {"test": 0.2, **(split or {})},
            "rules": {**RULES, **(rules or {})},
            "columns": dict(columns),
        }
        where = root(params)
        (where / path).parent.mkdir(exist_ok=True)
        pq.write_table(rows if isinstance(rows, pa.Table) else pa.table(dict(rows)), where / path)
        return where

    return make


COMPOSED: dict[str, dict[str, Any]] = {}


@pytest.fixture
def composed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same files below conf/ are composed once: Hydra takes longer than all else that `gitloop init` does."""
    compose = config.compose

    def once(root: Path, overrides: list[str] | None = None) -> dict[str, Any]:
        files = sorted(path for path in (root / layout.CONF).rglob("*.yaml"))
        told = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in files]
        key = hashlib.sha256(repr((told, overrides)).encode()).hexdigest()
        if key not in COMPOSED:
            COMPOSED[key] = compose(root, overrides)
        return copy.deepcopy(COMPOSED[key])

    monkeypatch.setattr(config, "compose", once)


@pytest.fixture
def there(composed_once: None, template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a repository with the stock conf/ and nothing in data/source/."""
    root = tmp_path / "repository"
    shutil.copytree(template / "conf", root / "conf")
    shutil.copy(template / "params.yaml", root)
    (root / "data/source").mkdir(parents=True)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def refused(there: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    """What `gitloop init` says, in one line, of a table that cannot be taken; nothing is written then."""

    def told(*arguments: str) -> str:
        before = {path: path.read_bytes() for path in there.rglob("*") if path.is_file()}
        assert main(["init", *arguments]) == 2
        lines = capsys.readouterr().err.splitlines()
        assert len(lines) == 1
        assert {path: path.read_bytes() for path in there.rglob("*") if path.is_file()} == before
        return lines[0].removeprefix("gitloop init: ")

    return told


@pytest.fixture
def declared(there: Path) -> Callable[..., dict[str, Any]]:
    """`gitloop init` of a source; the contract as it was written."""

    def made(source: str | Path, target: str = "sold", *options: str) -> dict[str, Any]:
        assert main(["--debug", "init", str(source), "--target", target, "--name", "table", *options]) == 0
        found: dict[str, Any] = yaml.safe_load((there / "conf/data/table.yaml").read_text())
        return found

    return made
