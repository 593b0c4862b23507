"""Small projects with every kind of column, in which a stock candidate was chosen and judged, for all tasks."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import windows
import yaml

from gitloop import layout, settings
from gitloop.cli import main
from gitloop.data.table import ARROW, arrays
from gitloop.files import write_json
from gitloop.modeling import candidates, chosen, features, inputs, store
from gitloop.serving import runtime
from gitloop.serving.answer import outcomes, record
from gitloop.settings import Settings, parse

COLUMNS: dict[str, Any] = {
    "id": {"type": "numeric", "role": "key"},
    "seen": {"type": "datetime", "role": "timestamp"},
    "phone": {"type": "text", "role": "pii", "nullable": True},
    "age": {"type": "numeric", "range": [0, 120]},
    "income": {"type": "numeric", "range": [0, None], "nullable": True, "unit": "EUR"},
    "balance": {"type": "numeric"},
    "member": {"type": "boolean", "nullable": True},
    "colour": {"type": "categorical", "categories": ["red", "green", "blue"], "role": ["feature", "sensitive"]},
    "town": {"type": "categorical", "nullable": True, "case": "upper"},
}
TEXT = {"remark": {"type": "text", "nullable": True}}
TARGETS: dict[str, dict[str, Any]] = {
    "binary": {"type": "categorical", "categories": ["stays", "leaves"], "positive": "leaves"},
    "multiclass": {"type": "categorical"},
    "regression": {"type": "numeric"},
}
METRIC = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "r2"}
WORDS = ["late", "early", "kind", "rude", "cheap", "dear", "again", "never", "café", "naïve", "3", "mail"]
Change = Callable[[dict[str, Any]], None]
ROWS = 900


def table(task: str, rows: int = ROWS, towns: int = 12) -> pa.Table:
    """Random customers whose outcome follows from their columns and from chance."""
    random = np.random.default_rng(5)

    def some(values: list[Any]) -> list[Any]:
        return [None if missing else value for value, missing in zip(values, random.random(rows) < 0.1, strict=True)]

    age = random.integers(18, 90, rows).astype(float)
    balance = random.normal(0, 500, rows).round(2)
    town = random.integers(0, towns, rows)
    remarks = [" ".join(random.choice(WORDS, 4)) for _ in range(rows)]
    score = age / 30 + balance / 400 + town % 3 + ["rude" in one for one in remarks] + random.normal(0, 0.8, rows)
    columns = {
        "id": np.arange(rows).astype(float),
        "seen": np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(3600, "s"),
        "age": age,
        "income": some(random.gamma(2, 20000, rows).round().tolist()),
        "balance": balance,
        "member": some((random.random(rows) < 0.5).tolist()),
        "colour": random.choice(["red", "green", "blue"], rows),
        "town": some([f"TOWN {index}" for index in town]),
        "remark": some(remarks),
        "outcome": {
            "binary": np.where(score > np.median(score), "leaves", "stays"),
            "multiclass": np.array(["low", "middle", "high"])[np.digitize(score, np.quantile(score, [0.3, 0.7]))],
            "regression": score * 100,
        }[task],
    }
    kinds = {**COLUMNS, **TEXT, "outcome": TARGETS[task]}
    return pa.table({name: pa.array(values, ARROW[kinds[name]["type"]]) for name, values in columns.items()})


def settings_of(task: str, stock: dict[str, Any], *, text: bool = False, change: Change | None = None) -> Settings:
    return parse(values_of(task, stock, text=text, change=change))


def values_of(task: str, stock: dict[str, Any], *, text: bool = False, change: Change | None = None) -> dict[str, Any]:
    values = copy.deepcopy(stock)
    values["project"] = {
        "name": "Customers",
        "package": "customers",
        "owner": "Ada",
        "contact": "ada@example.org",
        "description": "Who leaves",
    }
    values["data"] = {
        "name": "customers",
        "task": task,
        "metric": METRIC[task],
        "threshold": 0.4,
        "slices": ["colour"],
        "source": {"_target_": "customers.sources.Customers"},
        "columns": copy.deepcopy({**COLUMNS, **(TEXT if text else {}), "outcome": {**TARGETS[task], "role": "target"}}),
    }
    values["features"]["derive"] = None
    values["evaluation"] |= {"bootstrap": 20, "importance_rows": 50, "slice_rows": 10}
    values["gates"]["behaviour"] = None
    for kind in ("classifier", "regressor"):  # fewer trees: each test asks them thousands of times
        values["candidate"]["boosting"][kind]["max_iter"] = 30
        values["candidate"]["forest"][kind]["n_estimators"] = 20
    if change:
        change(values)
    return values


def trained(loaded: Settings, rows: pa.Table, name: str) -> store.Model:
    """The candidate of conf/candidate/ fitted to the rows."""
    data = loaded.data
    derive = inputs.derivation(loaded.features)
    columns = inputs.build(chosen.arrays(rows, data.columns, inputs.visible(data)), data, derive)
    y = features.target(rows, data)
    schema = features.schema(columns, data, loaded.features)
    pipeline = candidates.pipeline(loaded.candidate[name], schema, data.task, loaded.features, name=name)
    pipeline.fit(features.frame(columns, schema), y)
    classes = tuple(sorted(set(y.tolist()))) if data.task == "multiclass" else None
    return store.Model(name, data.task, schema, pipeline, classes, data.threshold, None, None, len(y))


def choose(loaded: Settings, model: store.Model) -> None:
    """Save the model, and write what training and selection write."""
    path = layout.candidate_model(model.name)
    sha256 = store.save(path, model)
    metric = loaded.data.metric
    write_json(layout.candidate_metrics(model.name), {"parameters": {}, "trained_from": None, "trained_until": None})
    write_json(
        layout.SELECTED,
        {
            "candidate": model.name,
            "reason": f"{model.name} has the best cross-validated {metric}.",
            "metric": metric,
            "mean": 0.8,
            "se": 0.01,
            "model": {"path": path.as_posix(), "sha256": sha256},
            "ranking": [
                {"candidate": one, "mean": mean, "se": 0.01, "complexity": complexity}
                for one, mean, complexity in ((model.name, 0.8, 1), ("dummy", 0.5, 0))
            ],
        },
    )


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def make(folder: Path, values: dict[str, Any], name: str, rows: pa.Table) -> None:
    """A project below `folder` that `gitloop package` can be run in."""
    loaded = parse(values)
    with inside(folder):
        layout.PARAMS.write_text(yaml.safe_dump(values, sort_keys=False))
        layout.TRAIN.parent.mkdir()
        kept = rows.select(loaded.data.kept)
        cut = int(0.7 * rows.num_rows)
        pq.write_table(kept.slice(0, cut), layout.TRAIN)
        pq.write_table(kept.slice(cut), layout.TEST)
        pq.write_table(kept.slice(cut, 100), layout.REFERENCE)
        window = {"since": None, "until": None}
        source = {"kind": "Customers", "package": "customers", "version": "1"}
        write_json(
            layout.SOURCE,
            {"source": source, "window": window, "rows": rows.num_rows, "columns": {}, "sha256": "ab" * 32},
        )
        write_json(layout.SPLIT, {"rows": {"train": cut, "test": rows.num_rows - cut, "reference": 100}})
        write_json(layout.VALIDATION, {"invalid": 0, "duplicates": 0})
        choose(loaded, trained(loaded, kept.slice(0, cut), name))
        assert main(["evaluate"]) == 0


def answer(rows: pa.Table, version: str | None = None, folder: Path = Path("predictions")) -> None:
    """Have the packaged model of the working directory answer the rows over a week, and tell it the truth."""
    contract = settings.load().data
    served = runtime.load(contract=contract)
    said = outcomes(served, served.scores(arrays(rows, contract.columns, served.signature.inputs)))
    names = [*served.signature.inputs, *served.signature.passengers]
    inputs = [
        {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
        for row in rows.select(names).to_pylist()
    ]
    random = np.random.default_rng(0).bytes(16 * len(said))
    predictions, told = [], []
    for row, (one, given, truth) in enumerate(zip(said, inputs, rows.column("outcome").to_pylist(), strict=True)):
        id = random[16 * row : 16 * row + 16].hex()
        time = windows.SINCE.replace(tzinfo=UTC) + row * timedelta(days=7) / len(said)
        predictions.append(record({"id": id, "version": version or served.version, **one}, given, time, 0.002))
        told.append({"id": id, "time": (time + timedelta(hours=5)).isoformat(), "truth": truth})
    windows.put(folder, "predictions", predictions)
    windows.put(folder, "feedback", told)
