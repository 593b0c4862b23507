"""Parts of the test slice: how good the model is in each, and how differently it treats groups of people.

A part is a value of a column, a quarter of a number's range, or a month. Parts with too few rows are not judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from gitloop.arrays import Array, Columns
from gitloop.contract import Column
from gitloop.modeling.intervals import Draws, Scored, resampled
from gitloop.modeling.metrics import compute
from gitloop.modeling.weighted import Statistic, share

MISSING = "missing"


def parts(columns: Columns, contract: Mapping[str, Column]) -> Columns:
    """For each column, the name (n,) of the part that each row is in."""
    return {name: _named(values, contract[name].type) for name, values in columns.items()}


def _named(values: Array, kind: str) -> Array:
    if kind == "datetime":
        return np.where(np.isnat(values), MISSING, values.astype("datetime64[M]").astype(str)).astype(object)
    if kind in ("categorical", "text"):
        return np.where(values == "", MISSING, values).astype(object)
    names = np.full(len(values), MISSING, dtype=object)
    known = ~np.isnan(values)
    distinct = np.unique(values[known])
    if kind == "boolean":
        names[known] = np.where(values[known] > 0, "true", "false")
    elif len(distinct) <= 4:
        names[known] = [f"{value:g}" for value in values[known]]
    else:
        edges = np.quantile(values[known], [0.25, 0.5, 0.75])
        labels = [*(f"Q{quarter} ≤ {edge:g}" for quarter, edge in enumerate(edges, 1)), f"Q4 > {edges[-1]:g}"]
        names[known] = np.array(labels, dtype=object)[np.searchsorted(edges, values[known], side="left")]
    return names


def members(names: Array, rows: int) -> tuple[dict[str, Array], dict[str, int]]:
    """The rows (as a mask) of each part of at least `rows` rows, the largest first; and the sizes of the others."""
    found, inverse, counts = np.unique(names.astype(str), return_inverse=True, return_counts=True)
    order = np.lexsort((found, -counts))
    large = {str(found[part]): inverse == part for part in order if counts[part] >= rows}
    return large, {str(found[part]): int(counts[part]) for part in order if counts[part] < rows}


def judged(task: str, y: Array, scored: Scored, names: Columns, rows: int) -> dict[str, Any]:
    """Column → part → its rows and metrics."""
    return {
        column: {
            part: {"rows": int(inside.sum()), "metrics": compute(task, y[inside], *within(scored, inside))}
            for part, inside in members(of, rows)[0].items()
        }
        for column, of in names.items()
    }


def within(scored: Scored, inside: Array) -> Scored:
    return scored._replace(scores=scored.scores[inside])


def fairness(task: str, y: Array, scored: Scored, names: Array, *, rows: int, draws: Draws) -> dict[str, Any]:
    """What the model does to each group of a sensitive column, and the largest differences between groups.

    Binary: selection rate (demographic parity), true and false positive rate (equalized odds: Hardt, Price and Srebro
    2016). Multiclass: accuracy. Regression: mean error in standard deviations of the target. Groups of fewer than
    `rows` rows are left out and named.
    """
    from fairlearn.metrics import MetricFrame

    large, small = members(names, rows)
    judged = np.isin(names.astype(str), list(large))
    truth, called = _called(task, y, scored)
    if not large:
        return {"groups": {}, "difference": {}, "left_out": small}
    frame = MetricFrame(
        metrics=_rates(task),
        y_true=truth[judged],
        y_pred=called[judged],
        sensitive_features=pd.Series(names[judged].astype(str), name="group"),
    )
    by_group = frame.by_group.astype(float)
    groups = {
        group: {"rows": int(inside.sum()), **{rate: float(by_group.loc[group, rate]) for rate in by_group}}
        for group, inside in large.items()
    }
    if len(large) < 2:
        return {"groups": groups, "difference": {}, "left_out": small}
    drawn = _drawn(task, truth, called, large, draws)
    difference = {
        rate: draws.interval(float(_spread(by_group[rate].to_numpy())), _spread(drawn[rate]))._asdict()
        for rate in by_group
    }
    return {"groups": groups, "difference": difference, "left_out": small}


def _called(task: str, y: Array, scored: Scored) -> tuple[Array, Array]:
    """Truth and prediction (n,) as the rates want them."""
    if task == "binary":
        return y.astype(np.int8), (scored.scores >= scored.threshold).astype(np.int8)
    if task == "multiclass":
        return y, np.asarray(scored.classes, dtype=object)[scored.scores.argmax(axis=1)]
    scale = float(y.std()) or 1.0
    return y / scale, scored.scores / scale


def _rates(task: str) -> dict[str, Any]:
    from fairlearn import metrics as fair
    from sklearn.metrics import accuracy_score

    if task == "binary":
        return {
            "selection_rate": fair.selection_rate,
            # fairlearn says 0 of a group in which there is nothing to find.
            "true_positive_rate": lambda y, p: fair.true_positive_rate(y, p) if y.any() else np.nan,
            "false_positive_rate": lambda y, p: fair.false_positive_rate(y, p) if not y.all() else np.nan,
        }
    if task == "multiclass":
        return {"accuracy": accuracy_score}
    return {"mean_error": lambda y_true, y_pred: float(np.mean(y_pred - y_true))}


def _drawn(task: str, truth: Array, called: Array, groups: Mapping[str, Array], draws: Draws) -> dict[str, Array]:
    """Each rate of each group for each draw: (groups, resamples)."""

    def rates(inside: Array) -> dict[str, Statistic]:
        if task == "binary":
            return {
                "selection_rate": share(called, inside),
                "true_positive_rate": share(called, inside & (truth == 1)),
                "false_positive_rate": share(called, inside & (truth == 0)),
            }
        if task == "multiclass":
            return {"accuracy": share((called == truth).astype(np.float64), inside)}
        return {"mean_error": share(called - truth, inside)}

    of = {group: rates(inside) for group, inside in groups.items()}
    flat = {f"{name}\n{group}": statistic for group, one in of.items() for name, statistic in one.items()}
    values = resampled(flat, len(truth), draws)
    names = next(iter(of.values()))
    return {name: np.stack([values[f"{name}\n{group}"] for group in of]) for name in names}


def _spread(rates: Array) -> Array:
    """The largest difference between groups (groups, …) → (…); NaN where fewer than two groups have the rate."""
    spread: Array = np.fmax.reduce(rates) - np.fmin.reduce(rates)
    return np.where((~np.isnan(rates)).sum(axis=0) > 1, spread, np.nan)
