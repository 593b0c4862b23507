"""Judge the chosen model on the test slice, which neither training nor the choice has seen."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.dummy import DummyClassifier, DummyRegressor

from gitloop import layout, settings, ui
from gitloop.arrays import Array
from gitloop.contract import Contract
from gitloop.data import table
from gitloop.errors import InputError
from gitloop.files import write_json
from gitloop.modeling import chosen, diagnosis, inputs, plots, slices
from gitloop.modeling.chosen import Rows
from gitloop.modeling.inputs import Derive
from gitloop.modeling.intervals import Draws, Scored, bootstrap
from gitloop.modeling.metrics import compute, rounded
from gitloop.modeling.store import Model
from gitloop.settings import Evaluation, Settings


def run(_: argparse.Namespace) -> None:
    """`gitloop evaluate`."""
    loaded = settings.load()
    model = chosen.model(loaded)
    derive = inputs.derivation(loaded.features)
    train = chosen.rows(layout.TRAIN, loaded.data, derive)
    test = chosen.rows(layout.TEST, loaded.data, derive)
    scored = chosen.score(model, test.columns)
    evidence = rounded(evaluate(loaded, model, train, test, scored=scored, derive=derive))
    predicted = predictions(loaded.data, model, test, scored)
    table.write(layout.PREDICTIONS, predicted.schema, predicted.to_batches())
    plots.write(layout.PLOTS, loaded.data.task, test.y, scored, evidence, plots.named(loaded.data))
    write_json(layout.EVALUATION, evidence)
    show(evidence)


def evaluate(
    loaded: Settings, model: Model, train: Rows, test: Rows, *, scored: Scored, derive: Derive | None
) -> dict[str, Any]:
    """The content of metrics/evaluation.json, with numbers as they come."""
    data, how = loaded.data, loaded.evaluation
    draws = Draws(how.bootstrap, how.confidence, how.seed)
    base = baseline(data.task, train.y, len(test.y), scored)
    names = slices.parts(test.values(list(data.slices), data), data.columns)
    sensitive = [name for name in data.named("sensitive") if name in data.kept]
    groups = slices.parts(test.values(sensitive, data), data.columns)
    return {
        "candidate": model.name,
        "rows": len(test.y),
        "metric": data.metric,
        "metrics": {name: one._asdict() for name, one in bootstrap(data.task, test.y, scored, draws).items()},
        "baseline": compute(data.task, test.y, *base),
        "train": compute(data.task, train.y, *chosen.score(model, train.columns)),
        "slices": slices.judged(data.task, test.y, scored, names, how.slice_rows),
        "fairness": {
            name: slices.fairness(data.task, test.y, scored, of, rows=how.slice_rows, draws=draws)
            for name, of in groups.items()
        },
        **({"classes": diagnosis.by_class(test.y, scored)} if data.task == "multiclass" else {}),
        "calibration": diagnosis.calibration(data.task, test.y, scored),
        "importance": diagnosis.importance(loaded, model, sample(test, how), derive),
        "leakage": diagnosis.leakage(data.task, model.schema, train, test, base),
    }


def baseline(task: str, trained: Array, rows: int, scored: Scored) -> Scored:
    """What a dummy says of so many rows, having seen only the training targets."""
    nothing, blank = np.zeros((len(trained), 1)), np.zeros((rows, 1))
    if task == "regression":
        return Scored(DummyRegressor(strategy="mean").fit(nothing, trained).predict(blank))
    prior = DummyClassifier(strategy="prior").fit(nothing, trained)
    probability = prior.predict_proba(blank)
    if task == "binary":
        return scored._replace(scores=probability[:, list(prior.classes_).index(1)])
    return Scored(probability, classes=tuple(prior.classes_.tolist()))


def sample(rows: Rows, how: Evaluation) -> Rows:
    """At most `importance_rows` rows, drawn by seed, in their order."""
    count = min(how.importance_rows, len(rows.y))
    picked = np.sort(np.random.default_rng(how.seed).choice(len(rows.y), size=count, replace=False))
    return Rows(
        rows.table.take(pa.array(picked)), {name: of[picked] for name, of in rows.columns.items()}, rows.y[picked]
    )


def predictions(contract: Contract, model: Model, test: Rows, scored: Scored) -> pa.Table:
    """One row for each test row: keys, timestamp, sensitive columns and target as they are, and what was predicted.

    `predicted`, with `predicted_score` (the probability of positive) or `predicted_score_<class>` where there is one.
    """
    names = dict.fromkeys([*contract.named("key", "timestamp", "sensitive"), contract.target])
    found = test.table.select([name for name in names if name in contract.kept])
    labels = model.labels(scored.scores)
    added: dict[str, Array] = {}
    if contract.task == "multiclass":
        added = {f"predicted_score_{name}": scored.scores[:, k] for k, name in enumerate(scored.classes or ())}
    elif contract.task == "binary":
        added = {"predicted_score": scored.scores}
        column = contract.columns[contract.target]
        labels = labels.astype(bool)
        if column.positive:
            other = next(name for name in column.categories or () if name != column.positive)
            labels = np.where(labels, column.positive, other)
    for name, values in {"predicted": labels, **added}.items():
        if name in found.column_names:
            raise InputError(f"{layout.PREDICTIONS}: {name}: is a column of the contract too; give that another name")
        found = found.append_column(name, pa.array(values.tolist()))
    return found


def show(evidence: dict[str, Any]) -> None:
    rows = [
        [name, one["value"], one["low"], one["high"], evidence["baseline"][name], evidence["train"][name]]
        for name, one in evidence["metrics"].items()
    ]
    title = f"{evidence['candidate']} on {evidence['rows']:,} test rows"
    ui.table(title, ["metric", "value", "low", "high", "baseline", "train"], rows)
