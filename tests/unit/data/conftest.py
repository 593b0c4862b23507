"""A small repository with a contract of every type of column, and a raw table that keeps it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
