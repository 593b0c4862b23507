"""Small projects in which a model has been chosen, for the verbs that judge it; real data, all tasks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gitloop import layout
from gitloop.data.table import arrays
from gitloop.files import write_json
from gitloop.modeling import features, inputs, store
from gitloop.settings import Settings, parse

LOADERS = {"binary": load_breast_cancer, "multiclass": load_wine, "regression": load_diabetes}
TARGETS: dict[str, dict[str, Any]] = {
    "binary": {"type": "categorical", "categories": ["malignant", "benign"], "positive": "malignant"},
    "multiclass": {"type": "categorical", "categories": ["class_0", "class_1", "class_2"]},
    "regression": {"type": "numeric"},
}
MODELS = {"binary": LogisticRegression, "multiclass": LogisticRegression, "regression": Ridge}
METRIC = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "r2"}
Change = Callable[[dict[str, Any]], None]


def table(task: str) -> pa.Table:
    """The data set with a key, a time, a group of three, and the target called `outcome`."""
    loaded = LOADERS[task]()
    order = np.random.default_rng(0).permutation(len(loaded.target))
    names = [str(name).replace(" ", "_") for name in loaded.feature_names[:6]]
    columns = {name: pa.array(loaded.data[order, index].astype(float)) for index, name in enumerate(names)}
    target = loaded.target[order]
    outcome = target.astype(float) if task == "regression" else np.asarray(loaded.target_names)[target].astype(str)
    start = np.datetime64("2020-01-01", "us")
    return pa.table(
        {
            "id": pa.array(np.arange(len(order)).astype(float)),
            "at": pa.array(start + np.arange(len(order)) * np.timedelta64(3600, "s")),
            **columns,
            "ward": pa.array(np.array(["north", "south", "west"])[np.arange(len(order)) % 7 % 3]),
            "outcome": pa.array(outcome),
        }
    )


def settings_of(task: str, stock: dict[str, Any], change: Change | None = None) -> dict[str, Any]:
    rows = table(task)
    columns: dict[str, Any] = {name: {"type": "numeric"} for name in rows.column_names}
    columns["id"] |= {"role": "key"}
    columns["at"] = {"type": "datetime", "role": "timestamp"}
    columns["ward"] = {"type": "categorical", "role": "sensitive"}
    columns["outcome"] = {**TARGETS[task], "role": "target"}
    values = {key: json.loads(json.dumps(value)) for key, value in stock.items()}
    values["project"] = dict.fromkeys(values["project"], "study")
    values["data"] = {
        "name": "study",
        "task": task,
        "metric": METRIC[task],
        "threshold": 0.4,
        "slices": ["ward", rows.column_names[2]],
        "source": {"_target_": "study.sources.Study"},
        "columns": columns,
    }
    values["features"]["derive"] = None
    values["evaluation"] |= {"bootstrap": 30, "importance_rows": 60, "slice_rows": 10}
    values["gates"] |= {"behaviour": None, "floor": {METRIC[task]: {"log_loss": 0.9}.get(METRIC[task], 0.1)}}
    if change:
        change(values)
    return values


def choose(loaded: Settings, **arguments: Any) -> str:
    """Train a model of the rows in data/train.parquet and make it the chosen one; the sha256 of its file."""
    data = loaded.data
    train = pq.read_table(layout.TRAIN)
    derive = inputs.derivation(loaded.features)
    built = inputs.build(arrays(train, data.columns, inputs.visible(data)), data, derive)
    y = features.target(train, data)
    kinds = {name: values.dtype.kind for name, values in built.items()}
    schema = inputs.Schema(
        numeric=tuple(name for name in built if kinds[name] == "f"),
        categorical=tuple(name for name in built if kinds[name] == "O"),
    )
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    text = OneHotEncoder(handle_unknown="ignore")
    prepare = ColumnTransformer([("n", numbers, list(schema.numeric)), ("c", text, list(schema.categorical))])
    fitted = make_pipeline(prepare, MODELS[data.task](**arguments))
    fitted.fit(features.frame(built, schema), y)
    classes = tuple(fitted.classes_.tolist()) if data.task == "multiclass" else None
    times = train.column("at").to_numpy()
    until = str(times.max()) if data.timestamp else None
    model = store.Model("linear", data.task, schema, fitted, classes, 0.5, None, until, len(y))
    path = layout.candidate_model("linear")
    sha256 = store.save(path, model)
    ranking = [
        {"candidate": name, "mean": mean, "se": 0.01, "complexity": complexity}
        for name, mean, complexity in (("linear", 0.9, 1), ("dummy", 0.5, 0))
    ]
    write_json(
        layout.SELECTED,
        {
            "candidate": "linear",
            "reason": "linear has the best cross-validated value.",
            "metric": data.metric,
            "mean": 0.9,
            "se": 0.01,
            "model": {"path": path.as_posix(), "sha256": sha256},
            "ranking": ranking,
        },
    )
    return sha256


@pytest.fixture
def study(stock: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """Make the working directory a project of the task in which a model has been chosen; its settings."""

    def make(task: str, change: Change | None = None, rows: pa.Table | None = None) -> Settings:
        monkeypatch.chdir(tmp_path)
        values = settings_of(task, stock, change)
        layout.PARAMS.write_text(yaml.safe_dump(values, sort_keys=False))
        rows = table(task) if rows is None else rows
        layout.TRAIN.parent.mkdir(exist_ok=True)
        cut = int(0.7 * rows.num_rows)
        pq.write_table(rows.slice(0, cut), layout.TRAIN)
        pq.write_table(rows.slice(cut), layout.TEST)
        loaded = parse(values)
        choose(loaded)
        return loaded

    return make


@pytest.fixture
def rows_of() -> Callable[[str], pa.Table]:
    """The rows of a task's study, to be changed by a test."""
    return table
