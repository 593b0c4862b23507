"""How far a column has moved from its reference, and how likely that is by chance.

A column has drifted where the distance reaches its bound *and* chance alone would hardly give as much: the first so
that millions of rows do not make a hair's breadth an alarm, the second so that few rows do not. Distances are those of
Evidently's methods of the same names; the chances are of the two-sample Kolmogorov–Smirnov test and of Pearson's
chi-squared test of homogeneity. Both take rows to be independent. The level is shared out over all that is tested in a
window (Bonferroni), so that it holds for the window as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats
from scipy.spatial.distance import jensenshannon

from gitloop.arrays import Array
from gitloop.monitoring.findings import Distance
from gitloop.settings import DriftBounds

LEAST = 0.001  # Evidently's smallest standard deviation
EXPECTED = 5  # in each cell of a chi-squared test, or it is pooled with others


def numeric(reference: Array, current: Array, bound: float, level: float) -> Distance:
    """The Wasserstein distance in standard deviations of the reference. Values (n,) and (m,) without NaN."""
    scale = max(float(np.std(reference)), LEAST)
    distance = float(stats.wasserstein_distance(reference, current)) / scale
    p = float(stats.ks_2samp(reference, current, method="asymp").pvalue)
    return _judged(distance, bound, p, level, len(current), "wasserstein")


def categorical(reference: Array, current: Array, bound: float, level: float) -> Distance:
    """The Jensen–Shannon distance (natural logarithm) of the shares of categories. Text (n,) and (m,)."""
    before, now = counted(reference, current)
    distance = float(jensenshannon(before / before.sum(), now / now.sum()))
    return _judged(distance, bound, _homogeneous(before, now), level, len(current), "jensenshannon")


def counted(reference: Array, current: Array) -> tuple[Array, Array]:
    """How often each category occurs in either."""
    names, codes = np.unique(np.concatenate([reference, current]).astype(str), return_inverse=True)
    split = len(reference)
    return np.bincount(codes[:split], minlength=len(names)), np.bincount(codes[split:], minlength=len(names))


def _homogeneous(before: Array, now: Array) -> float:
    table = np.stack([before, now])
    small = table.sum(axis=0) * min(table.sum(axis=1)) / table.sum() < EXPECTED
    if small.any():
        table = np.column_stack([table[:, ~small], table[:, small].sum(axis=1)])
    if table.shape[1] < 2:
        return 1.0
    return float(stats.chi2_contingency(table, correction=False).pvalue)


def predictions(bins: Sequence[Mapping[str, Any]], current: Array, bound: float, level: float) -> Distance | None:
    """Scores (n,) beside those on the test slice, of which only means of bins of equally many rows are kept.

    The same bins are made of the window, and the distance is the Wasserstein distance of the two sets of means: at
    most that of the scores themselves. The chance is that of a difference of means as large. None where the test
    slice had fewer than two different scores.
    """
    weights = np.array([one["rows"] for one in bins], dtype=np.float64)
    means = np.array([one["predicted"] for one in bins], dtype=np.float64)
    if len(means) < 2 or not len(current):
        return None
    order = np.argsort(means)
    weights, means = weights[order], means[order]
    centre = np.average(means, weights=weights)
    scale = float(np.sqrt(np.average((means - centre) ** 2, weights=weights)))
    if scale <= 0:
        return None
    ends = np.round(weights.cumsum() / weights.sum() * len(current)).astype(int)
    ranked = np.sort(current)
    stretches = [(start, end) for start, end in zip([0, *ends[:-1]], ends, strict=True) if end > start]
    now = np.array([ranked[start:end].mean() for start, end in stretches])
    counts = np.array([end - start for start, end in stretches], dtype=np.float64)
    distance = float(stats.wasserstein_distance(means, now, weights, counts)) / scale
    error = np.sqrt(1 / len(current) + 1 / weights.sum())
    p = float(2 * stats.norm.sf(distance / error))
    return _judged(distance, bound, p, level, len(current), "wasserstein of bins")


def column(kind: str, reference: Array, current: Array, bounds: DriftBounds, level: float) -> Distance:
    """By the column's type: numbers without NaN, or text."""
    if kind == "numeric":
        return numeric(reference, current, bounds.wasserstein, level)
    return categorical(reference, current, bounds.jensenshannon, level)


def _judged(distance: float, bound: float, p: float, level: float, rows: int, method: str) -> Distance:
    return Distance(distance, bound, p, bool(distance >= bound and p <= level), rows, method)
