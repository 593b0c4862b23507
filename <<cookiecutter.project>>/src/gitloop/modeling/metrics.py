"""The metrics of every task: one implementation for folds, candidates, champion and live predictions.

Shapes: `y` is (n,): 0 and 1 (binary), labels as text (multiclass) or numbers (regression). `scores` is (n,)
probabilities of the positive class, (n, k) probabilities in the order of `classes`, or (n,) values.
scikit-learn is imported where it is used: what only needs a metric's direction must not wait for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gitloop.settings import LOSSES, METRICS

if TYPE_CHECKING:
    from gitloop.arrays import Array

Later = Callable[[], Any]  # a metric that is computed when it is asked for


def greater_is_better(metric: str) -> bool:
    return metric not in LOSSES


def perfect(metric: str) -> float:
    return 1.0 if greater_is_better(metric) else 0.0


def skill(metric: str, value: float, baseline: float) -> float:
    """The share of the way from the baseline to perfect that `value` has gone; NaN where the baseline is perfect.

    This is the skill score of forecast verification: Wilks, Statistical Methods in the Atmospheric Sciences, eq. 8.4.
    """
    way = perfect(metric) - baseline
    return (value - baseline) / way if way else math.nan


def gain(metric: str, new: float, old: float) -> float:
    """How much better `new` is than `old`, in the metric's unit; negative where it is worse."""
    return new - old if greater_is_better(metric) else old - new


def compute(
    task: str,
    y: Array,
    scores: Array,
    threshold: float = 0.5,
    classes: Sequence[str] | None = None,
    *,
    only: Collection[str] | None = None,
) -> dict[str, float]:
    """Metrics of the task by name: every one, or `only` some. NaN where one is undefined, such as without a class.

    `threshold`: binary; positive from this probability on. `classes`: multiclass; the names of the columns of `scores`.
    A label that is not among `classes` counts as one to which the model gives probability 0.
    """
    names = [name for name in METRICS[task] if only is None or name in only]
    if len(y) == 0:
        return dict.fromkeys(names, math.nan)
    if task == "binary":
        of = _binary(np.asarray(y, dtype=np.int8), np.asarray(scores, dtype=np.float64), threshold)
    elif task == "multiclass":
        of = _multiclass(*coded(y, scores, classes or ()))
    else:
        of = _regression(np.asarray(y, dtype=np.float64), np.asarray(scores, dtype=np.float64))
    return {name: float(of[name]()) for name in names}


def single(
    metric: str, task: str, y: Array, scores: Array, threshold: float = 0.5, classes: Sequence[str] | None = None
) -> float:
    """One metric, as `compute` says it. The others cost several times as much."""
    return compute(task, y, scores, threshold, classes, only=(metric,))[metric]


def coded(y: Array, scores: Array, classes: Sequence[str]) -> tuple[Array, Array]:
    """Labels as column numbers of the scores, with a column of zeros appended for each label not among `classes`."""
    known = list(classes)
    known += sorted(set(y.tolist()) - set(known))
    column = {name: index for index, name in enumerate(known)}
    unseen = np.zeros((len(y), len(known) - scores.shape[1]))
    codes = np.fromiter((column[name] for name in y.tolist()), dtype=np.int64, count=len(y))
    return codes, np.hstack([scores, unseen])


def _binary(y: Array, scores: Array, threshold: float) -> dict[str, Later]:
    from sklearn import metrics as sk

    labels = (scores >= threshold).astype(np.int8)
    both, some = 0 < y.sum() < len(y), y.any()
    return {
        "roc_auc": lambda: sk.roc_auc_score(y, scores) if both else math.nan,
        "average_precision": lambda: sk.average_precision_score(y, scores) if both else math.nan,
        "log_loss": lambda: sk.log_loss(y, scores, labels=[0, 1]),
        "brier": lambda: np.mean((scores - y) ** 2),
        "accuracy": lambda: np.mean(labels == y),
        "balanced_accuracy": lambda: sk.balanced_accuracy_score(y, labels) if both else math.nan,
        "f1": lambda: sk.f1_score(y, labels, zero_division=0) if some else math.nan,
        "precision": lambda: sk.precision_score(y, labels, zero_division=0) if some else math.nan,
        "recall": lambda: sk.recall_score(y, labels) if some else math.nan,
    }


def _multiclass(y: Array, scores: Array) -> dict[str, Later]:
    """Averages over the classes that are present: area under the curve of each against the rest, F1, recall."""
    from sklearn import metrics as sk

    labels = scores.argmax(axis=1)
    present = np.unique(y)
    several = len(present) > 1
    return {
        "roc_auc": lambda: np.mean([sk.roc_auc_score(y == k, scores[:, k]) for k in present]) if several else math.nan,
        "log_loss": lambda: sk.log_loss(y, scores, labels=np.arange(scores.shape[1])),
        "accuracy": lambda: np.mean(labels == y),
        "balanced_accuracy": lambda: (
            sk.recall_score(y, labels, labels=present, average="macro") if several else math.nan
        ),
        "f1": lambda: sk.f1_score(y, labels, average="macro", zero_division=0),
    }


def _regression(y: Array, scores: Array) -> dict[str, Later]:
    from sklearn.metrics import r2_score

    error = scores - y
    return {
        "r2": lambda: r2_score(y, scores) if np.ptp(y) > 0 else math.nan,
        "mae": lambda: np.mean(np.abs(error)),
        "rmse": lambda: np.sqrt(np.mean(error**2)),
        "median_error": lambda: np.median(np.abs(error)),
    }


def rounded(value: Any, digits: int = 6) -> Any:
    """`value` with every number in it at so many significant digits, and None where one is not finite.

    Sums differ in their last bits between machines and thread counts; what is written must not.
    """
    if isinstance(value, dict):
        return {key: rounded(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item, digits) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f"{value:.{digits}g}") if math.isfinite(value) else None
    return value
