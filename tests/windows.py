"""Windows of predictions of an invented model of fifteen columns, as logs and as tables."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from gitloop.arrays import Array
from gitloop.contract import Contract
from gitloop.data.table import ARROW
from gitloop.modeling import diagnosis
from gitloop.modeling.inputs import Schema
from gitloop.modeling.intervals import Draws, Scored, bootstrap
from gitloop.monitoring.references import Reference
from gitloop.monitoring.watched import Lines, Watched
from gitloop.serving import history
from gitloop.serving.signature import Signature
from gitloop.settings import Settings, parse

SINCE = datetime(2026, 11, 2)
UNTIL = datetime(2026, 11, 9)
NOW = datetime(2026, 11, 9, 3)
NUMBERS = [f"n{index}" for index in range(11)]
WORDS = {"town": 12, "colour": 3, "group": 2}  # column → categories
COLUMNS: dict[str, Any] = {
    "at": {"type": "datetime", "role": ["timestamp", "key"]},
    **{name: {"type": "numeric", "nullable": name == "n0", "range": [-100, 100]} for name in NUMBERS},
    "town": {"type": "categorical", "nullable": True},
    "colour": {"type": "categorical", "categories": ["red", "green", "blue"]},
    "group": {"type": "categorical", "categories": ["a", "b"], "role": ["feature", "sensitive"]},
    "member": {"type": "boolean"},
    "won": {"type": "boolean", "role": "target"},
}
FEATURES = [name for name, column in COLUMNS.items() if name not in ("at", "won")]
VERSION = "v1.0.0"
Columns = dict[str, Array]
Change = Callable[[Columns], None]


def settings(stock: Mapping[str, Any], **monitoring: Any) -> Settings:
    values = copy.deepcopy(dict(stock))
    values["data"] = {
        "name": "windows",
        "task": "binary",
        "metric": "roc_auc",
        "threshold": 0.5,
        "slices": ["colour"],
        "source": {"_target_": "windows.Source"},
        "columns": COLUMNS,
    }
    values["features"]["derive"] = None
    values["monitoring"] |= monitoring
    return parse(values)


def some(rows: int, seed: int, skill: float = 1.0) -> Columns:
    """Rows that have not drifted: features, `_probability` and `won`; the less skill, the less these have in common."""
    random = np.random.default_rng(seed)
    columns: Columns = {name: random.normal(0, 1, rows) for name in NUMBERS}
    columns["n1"] = np.exp(columns["n1"])  # a long tail
    columns["n2"] = np.round(columns["n2"] * 2)  # few values
    columns["n0"][random.random(rows) < 0.1] = np.nan
    shares = 1 / np.arange(1, WORDS["town"] + 1)
    columns["town"] = random.choice([f"T{index}" for index in range(WORDS["town"])], rows, p=shares / shares.sum())
    columns["colour"] = random.choice(["red", "green", "blue"], rows, p=[0.5, 0.3, 0.2])
    columns["group"] = random.choice(["a", "b"], rows)
    columns["member"] = random.random(rows) < 0.3
    score = columns["n3"] + 0.5 * columns["n4"]
    columns["_probability"] = 1 / (1 + np.exp(-score))
    columns["won"] = random.random(rows) < 1 / (1 + np.exp(-score * skill))
    return columns


def table(columns: Mapping[str, Array]) -> pa.Table:
    """Features and target with canonical types."""
    names = [name for name in COLUMNS if name in columns]
    return pa.table({name: _arrow(columns[name], COLUMNS[name]["type"]) for name in names})


def _arrow(values: Array, kind: str) -> pa.Array:
    if kind == "numeric":
        return pa.array(values.astype(float), pa.float64(), from_pandas=True)
    return pa.array(values.tolist(), ARROW[kind])


def reference(rows: int = 5000, seed: int = 0, change: Change | None = None) -> Reference:
    """What a version was trained on; its scores on a test slice of as many rows."""
    contract = Contract.model_validate({"task": "binary", "columns": COLUMNS})
    signature = Signature(
        name="linear",
        contract=contract,
        features=Schema(numeric=tuple(NUMBERS), categorical=tuple(WORDS), text=(), dropped={}),
        derive=None,
        derive_sha256=None,
        format="onnx",
        labels=("false", "true"),
        threshold=0.5,
    )
    train, test = some(rows, seed + 1_000_000), some(rows, seed + 2_000_000)
    if change:
        change(train)
    y, scored = test["won"].astype(np.int8), Scored(test["_probability"])
    evaluation = {
        "metric": "roc_auc",
        "metrics": {name: one._asdict() for name, one in bootstrap("binary", y, scored, Draws(50)).items()},
        "baseline": {},
        "calibration": diagnosis.calibration("binary", y, scored),
    }
    return Reference(signature, table(train), evaluation, "2026-10-01T00:00:00")


def watched(columns: Columns, loaded: Settings, truth: float = 1.0, lines: Lines | None = None) -> Watched:
    """A window's rows as the log gives them, without writing one."""
    rows = len(columns["n3"])
    shape = history.schema(loaded.data)
    times = pa.array(
        np.datetime64(SINCE, "us") + np.arange(rows) * np.timedelta64((UNTIL - SINCE) // rows), pa.timestamp("us")
    )
    told = np.arange(rows) < truth * rows
    own = {
        "_id": pa.array([f"{index:032x}" for index in range(rows)]),
        "_time": times,
        "_version": pa.array([VERSION] * rows),
        "_prediction": pa.array((columns["_probability"] >= 0.5).tolist()),
        "_probability": pa.array(columns["_probability"]),
        "_probabilities": pa.nulls(rows, pa.string()),
        "_latency_ms": pa.array(np.full(rows, 2.0)),
        "_truth": pa.array(
            [bool(won) if one else None for won, one in zip(columns["won"], told, strict=True)], pa.bool_()
        ),
        "at": times,
    }
    given = table(columns)
    whole = {name: own[name] if name in own else given.column(name) for name in shape.names}
    found = pa.table(whole).cast(shape)
    delay = pa.array(np.where(told, 24.0, np.nan), pa.float64(), from_pandas=True)
    default = Lines(predictions=rows, truths=int(told.sum()), told=int(told.sum()))
    return Watched(SINCE, UNTIL, found.append_column("_delay_hours", delay), 1.0, lines or default)


def records(columns: Columns, seed: int = 0, version: str = VERSION, since: datetime = SINCE) -> list[dict[str, Any]]:
    """Lines of the log, one prediction after the other over a week."""
    rows = len(columns["_probability"])
    step = (UNTIL - SINCE) / rows
    ids = np.random.default_rng(seed).bytes(16 * rows)
    names = [name for name in FEATURES if name in columns]
    values = {name: [_json(one) for one in columns[name].tolist()] for name in names}
    return [
        {
            "id": ids[16 * row : 16 * row + 16].hex(),
            "version": version,
            "prediction": bool(columns["_probability"][row] >= 0.5),
            "probability": float(columns["_probability"][row]),
            "time": (since + row * step).replace(tzinfo=UTC).isoformat(),
            "inputs": {name: values[name][row] for name in names},
            "latency_ms": 2.0,
        }
        for row in range(rows)
    ]


def _json(value: Any) -> Any:
    return None if isinstance(value, float) and np.isnan(value) else value


def truths(predictions: list[dict[str, Any]], columns: Columns, hours: float = 24) -> list[dict[str, Any]]:
    return [
        {
            "id": one["id"],
            "time": (datetime.fromisoformat(one["time"]) + timedelta(hours=hours)).isoformat(),
            "truth": bool(won),
        }
        for one, won in zip(predictions, columns["won"].tolist(), strict=True)
    ]


def put(folder: Path, name: str, lines: list[dict[str, Any]], of: str = "here-1") -> None:
    """Write lines as the service does, into a file for each hour."""
    folder.mkdir(parents=True, exist_ok=True)
    hours: dict[str, list[str]] = {}
    for line in lines:
        hours.setdefault(line["time"][:13], []).append(json.dumps(line, separators=(",", ":")))
    for hour, of_hour in hours.items():
        with (folder / f"{name}-{hour}-{of}.jsonl").open("a") as file:
            file.write("\n".join(of_hour) + "\n")


def shift(columns: Columns, name: str, by: float, seed: int = 0) -> None:
    """Move a column by so many of its standard deviations: of words, the first becomes the last in as many rows."""
    values = columns[name]
    if name in NUMBERS:
        columns[name] = values + by * np.nanstd(values)
        return
    last = {"town": "T11", "colour": "blue", "group": "b", "member": True}[name]
    others = np.flatnonzero(values != last)
    share = np.mean(values == last)
    moved = round(by * np.sqrt(share * (1 - share)) * len(values))
    changed = values.copy()
    changed[np.random.default_rng(seed).choice(others, moved, replace=False)] = last
    columns[name] = changed
