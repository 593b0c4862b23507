"""Why a model is as good as it is: calibration, importance of columns, columns that give the target away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gitloop.arrays import Array, Columns
from gitloop.data.table import arrays
from gitloop.modeling import inputs
from gitloop.modeling.chosen import Rows, score
from gitloop.modeling.inputs import Derive, Schema
from gitloop.modeling.intervals import Scored
from gitloop.modeling.metrics import coded, gain, single, skill
from gitloop.settings import METRICS, Settings

if TYPE_CHECKING:  # loads skops
    from gitloop.modeling.store import Model

BINS = 10
REPEATS = 5
LEAVES = 32


def calibration(task: str, y: Array, scored: Scored) -> dict[str, Any]:
    """How far what is predicted is from what is observed, in bins of equally many rows.

    Binary and multiclass: the expected calibration error (Naeini, Cooper and Hauskrecht 2015) of the probability of the
    positive or of the likeliest class. Regression: the mean residual in standard deviations of the target, with the
    residuals' mean (bias) and standard deviation (spread) in the target's unit.
    """
    if task == "regression":
        residual = scored.scores - y
        bias, scale = float(residual.mean()), float(y.std())
        error = abs(bias) / scale if scale else np.nan
        return {"error": error, "bias": bias, "spread": float(residual.std()), "bins": _bins(scored.scores, y)}
    if task == "multiclass":
        right = np.asarray(scored.classes, dtype=object)[scored.scores.argmax(axis=1)] == y
        bins = _bins(scored.scores.max(axis=1), right.astype(np.float64))
    else:
        bins = _bins(scored.scores, y.astype(np.float64))
    return {"error": sum(one["rows"] * abs(one["predicted"] - one["observed"]) for one in bins) / len(y), "bins": bins}


def by_class(y: Array, scored: Scored) -> dict[str, dict[str, float]]:
    """Of each class (multiclass) how many rows are of it and were called it, and how well the two agree.

    Precision is NaN of a class that nothing was called, recall and F1 are of one that no row is of; the area under the
    curve is that of the class against the rest.
    """
    known = tuple(scored.classes or ())
    codes, scores = coded(y, scored.scores, known)
    called = scores.argmax(axis=1)
    found = {}
    for code, name in enumerate([*known, *sorted(set(y.tolist()) - set(known))]):
        of, said = codes == code, called == code
        both, rows, calls = int((of & said).sum()), int(of.sum()), int(said.sum())
        found[name] = {
            "rows": rows,
            "called": calls,
            "precision": both / calls if calls else np.nan,
            "recall": both / rows if rows else np.nan,
            "f1": 2 * both / (rows + calls) if rows else np.nan,
            "roc_auc": single("roc_auc", "binary", of.astype(np.int8), scores[:, code]),
        }
    return found


def _bins(predicted: Array, observed: Array) -> list[dict[str, Any]]:
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, BINS + 1)[1:-1]))
    places = np.searchsorted(edges, predicted, side="left")
    return [
        {
            "predicted": float(predicted[places == place].mean()),
            "observed": float(observed[places == place].mean()),
            "rows": int((places == place).sum()),
        }
        for place in np.unique(places)
    ]


def importance(loaded: Settings, model: Model, sampled: Rows, derive: Derive | None) -> dict[str, dict[str, float]]:
    """By how much the metric worsens when a column's values are shuffled among the rows (Breiman 2001, section 10).

    The columns are those of the contract, shuffled before anything is derived from them; the most important first.
    """
    data = loaded.data
    raw = arrays(sampled.table, data.columns, inputs.visible(data))
    rows = len(sampled.y)
    generator = np.random.default_rng(loaded.evaluation.seed)
    shuffles = np.concatenate([generator.permutation(rows) for _ in range(REPEATS)])
    repeated = {name: np.tile(values, REPEATS) for name, values in raw.items()}
    best = single(data.metric, data.task, sampled.y, *score(model, sampled.columns))
    found: dict[str, dict[str, float]] = {}
    for name in raw:
        shuffled: Columns = {**repeated, name: raw[name][shuffles]}
        scored = score(model, inputs.build(shuffled, data, derive))
        losses = [
            gain(data.metric, best, single(data.metric, data.task, sampled.y, *scored._replace(scores=part)))
            for part in np.split(scored.scores, REPEATS)
        ]
        found[name] = {"mean": float(np.mean(losses)), "std": float(np.std(losses))}
    return dict(sorted(found.items(), key=lambda item: (-item[1]["mean"], item[0])))


def leakage(task: str, schema: Schema, train: Rows, test: Rows, base: Scored) -> dict[str, float]:
    """How far each feature alone takes a small tree from the baseline to perfect, the farthest first.

    A feature that nearly decides the target alone is rarely known before it. The measure is the task's ranking metric
    (roc_auc) or r2, whatever metric models are chosen by.
    """
    metric = METRICS[task][0]
    chance = single(metric, task, test.y, *base)
    found = {}
    for name in (*schema.numeric, *schema.categorical, *schema.text):
        scored = _alone(task, train.columns[name], train.y, test.columns[name])
        found[name] = skill(metric, single(metric, task, test.y, *scored), chance)
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _folds(kind: str) -> Any:
    from sklearn.model_selection import KFold, StratifiedKFold

    return (KFold if kind == "continuous" else StratifiedKFold)(3, shuffle=True, random_state=0)


def _alone(task: str, fit: Array, y: Array, check: Array) -> Scored:
    """What a tree of one feature says. Text is encoded by its mean target, cross-fitted: rare values say little."""
    from sklearn.preprocessing import TargetEncoder
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    fit, check = fit.reshape(-1, 1), check.reshape(-1, 1)
    if fit.dtype.kind == "O":
        kind = "continuous" if task == "regression" else task
        encoder = TargetEncoder(target_type=kind, cv=_folds(kind))
        fit, check = encoder.fit_transform(fit, y), encoder.transform(check)
    if task == "regression":
        return Scored(DecisionTreeRegressor(max_leaf_nodes=LEAVES, random_state=0).fit(fit, y).predict(check))
    tree = DecisionTreeClassifier(max_leaf_nodes=LEAVES, random_state=0).fit(fit, y)
    probability = tree.predict_proba(check)
    if task == "binary":
        return Scored(probability[:, 1])
    return Scored(probability, classes=tuple(tree.classes_.tolist()))
