"""Bootstrap intervals of the metrics of `gitloop.modeling.metrics`.

Rows are drawn with replacement and the interval lies between the quantiles of the metric over the draws: the
percentile method of Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13. It takes rows to be
independent; where they come in clusters (one storm, one customer) the true interval is wider.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from gitloop.arrays import Array
from gitloop.modeling.metrics import compute, gain, single
from gitloop.modeling.weighted import Statistic, statistics

CELLS = 4_000_000  # counts held at a time: 32 MB


class Scored(NamedTuple):
    """What one model says of n rows, in the shapes of `gitloop.modeling.metrics`."""

    scores: Array
    threshold: float = 0.5
    classes: tuple[str, ...] | None = None


class Interval(NamedTuple):
    value: float
    low: float
    high: float


class Draws(NamedTuple):
    """How many draws, how wide an interval, from which seed."""

    resamples: int = 200
    confidence: float = 0.95
    seed: int = 0

    def counts(self, rows: int) -> Iterator[Array]:
        """How often each row is drawn, (draws, rows) at a time."""
        generator = np.random.default_rng(self.seed)
        at_once = max(1, CELLS // max(rows, 1))
        for start in range(0, self.resamples, at_once):
            block = np.empty((min(at_once, self.resamples - start), rows))
            for draw in block:
                draw[:] = np.bincount(generator.integers(0, rows, size=rows), minlength=rows)
            yield block

    def interval(self, value: float, drawn: Array) -> Interval:
        """Quantiles of `drawn` (draws,), of those draws on which the metric is defined."""
        defined = drawn[~np.isnan(drawn)]
        if not len(defined):
            return Interval(value, np.nan, np.nan)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(defined, [tail, 1 - tail])
        return Interval(value, float(low), float(high))


def bootstrap(task: str, y: Array, scored: Scored, draws: Draws) -> dict[str, Interval]:
    """Every metric of the task with its interval, by name; NaN where it is not defined."""
    values = compute(task, y, *scored)
    drawn = resampled(statistics(task, y, *scored), len(y), draws)
    return {name: draws.interval(values[name], drawn[name]) for name in values}


def paired(task: str, y: Array, new: Scored, old: Scored, *, metric: str, draws: Draws) -> Interval:
    """By how much `new` is better than `old` on the same rows, in the metric's unit; both see the same draws."""
    value = gain(metric, single(metric, task, y, *new), single(metric, task, y, *old))
    both = {"new": statistics(task, y, *new)[metric], "old": statistics(task, y, *old)[metric]}
    drawn = resampled(both, len(y), draws)
    difference = drawn["new"] - drawn["old"]
    return draws.interval(value, difference * gain(metric, 1, 0))


def resampled(statistic: dict[str, Statistic], rows: int, draws: Draws) -> dict[str, Array]:
    """The values (resamples,) of each statistic over the draws."""
    if rows == 0:
        return {name: np.full(draws.resamples, np.nan) for name in statistic}
    with np.errstate(divide="ignore", invalid="ignore"):
        blocks = [{name: of(counts) for name, of in statistic.items()} for counts in draws.counts(rows)]
    return {name: np.concatenate([block[name] for block in blocks]) for name in statistic}
