"""The rules that a chosen model must keep to be merged: each a pure function from evidence to verdicts.

Evidence is the content of metrics/evaluation.json and of reports/comparison.json.
"""

from __future__ import annotations

from math import isnan
from typing import Any, Literal, NamedTuple

from gitloop.modeling.metrics import gain, greater_is_better, skill
from gitloop.settings import Bounds, Gates

Evidence = dict[str, Any]
HEADER = ("rule", "value", "bound", "verdict", "why")


class Verdict(NamedTuple):
    """One row of the table. `passed` is None where there is nothing to judge; `why` says so."""

    rule: str
    value: float | None = None
    sense: Literal["≥", "≤", ""] = ""
    bound: float | None = None
    passed: bool | None = None
    why: str = ""


def judge(gates: Gates, evaluation: Evidence, comparison: Evidence) -> list[Verdict]:
    """The verdict of every gate but behaviour, in the order of conf/gates/."""
    return [
        *floor(gates.floor, evaluation),
        *baseline(gates.baseline, evaluation),
        *champion(scaled(gates.champion, evaluation), comparison),
        *slice_floor(gates.slice_floor, evaluation),
        *slice_regression(scaled(gates.slice_regression, evaluation), comparison),
        *fairness(gates.fairness, evaluation),
        *calibration(gates.calibration, evaluation),
        *gap(scaled(gates.gap, evaluation), evaluation),
        *leakage(gates.leakage, evaluation),
    ]


def scaled(bound: float | None, evaluation: Evidence) -> float | None:
    """A bound on a difference in the unit of the metric: for losses it is declared as a share of the dummy's loss."""
    metric = evaluation["metric"]
    if bound is None or greater_is_better(metric):
        return bound
    return bound * (evaluation["baseline"][metric] or 1.0)


def floor(bounds: Bounds | None, evaluation: Evidence) -> list[Verdict]:
    """No metric of the test slice is worse than its bound."""
    mine = {name: bound for name, bound in (bounds or {}).items() if name in evaluation["metrics"]}
    if not mine:
        return [_off("floor", bounds)]
    return [
        _within(f"floor {name}", evaluation["metrics"][name]["value"], name, bound, "of the test slice")
        for name, bound in mine.items()
    ]


def baseline(bound: float | None, evaluation: Evidence) -> list[Verdict]:
    """The model goes at least this share of the way from the dummy to perfect: machine learning is needed."""
    if bound is None:
        return [_off("baseline", bound)]
    metric = evaluation["metric"]
    value, dummy = evaluation["metrics"][metric]["value"], evaluation["baseline"][metric]
    if value is None or dummy is None:
        return [Verdict("baseline", None, "≥", bound, False, f"{metric} is not defined on the test slice")]
    won = skill(metric, value, dummy)
    way = f"of the way from the baseline's {dummy:.4g} to perfect"
    why = f"{metric} {value:.4g} goes {won:.3g} {way}, less than {bound:g}; find better features, or do without a model"
    return [_checked("baseline", won, "≥", bound, why)]


def champion(bound: float | None, comparison: Evidence) -> list[Verdict]:
    """On the same rows not worse than the champion, at the bad end of the interval, by more than the bound."""
    if bound is None or not comparison["judged"]:
        return [_off("champion", bound, comparison)]
    gained, metric = comparison["gain"], comparison["metric"]
    if gained["low"] is None:
        return [Verdict("champion", None, "≥", 0 - bound, False, f"{metric} is not defined on the rows compared")]
    why = (
        f"{metric} {_change(gained)} than {comparison['champion']['revision']} on {comparison['rows']:,} rows, "
        f"and more than {bound:.4g} worse is not excluded"
    )
    return [_checked("champion", gained["low"], "≥", 0 - bound, why)]


def slice_floor(bounds: Bounds | None, evaluation: Evidence) -> list[Verdict]:
    """No slice is worse than its bound."""
    mine = {name: bound for name, bound in (bounds or {}).items() if name in evaluation["metrics"]}
    if not mine:
        return [_off("slice_floor", bounds)]
    verdicts = []
    for metric, bound in mine.items():
        rule = f"slice_floor {metric}"
        values = {
            f"{column} {part}": one["metrics"][metric]
            for column, parts in evaluation["slices"].items()
            for part, one in parts.items()
            if one["metrics"][metric] is not None
        }
        if not values:
            verdicts.append(Verdict(rule, why="no slice with enough rows"))
            continue
        sign = gain(metric, 1, 0)
        worst = min(values, key=lambda name: sign * values[name])
        below = [f"{name} {value:.4g}" for name, value in values.items() if sign * value < sign * bound]
        why = f"{metric} of {', '.join(below)} is worse than {bound:g}"
        verdicts.append(_checked(rule, values[worst], _sense(metric), bound, why))
    return verdicts


def slice_regression(bound: float | None, comparison: Evidence) -> list[Verdict]:
    """No slice is worse than the champion's by more than the bound, beyond chance (its interval leaves out zero)."""
    if bound is None or not comparison["judged"]:
        return [_off("slice_regression", bound, comparison)]
    worse = {
        f"{column} {part}": one["gain"]
        for column, parts in comparison["slices"].items()
        for part, one in parts.items()
        if one["gain"]["high"] is not None and one["gain"]["high"] < 0
    }
    value = min((one["value"] for one in worse.values()), default=0.0)
    names = [f"{name} {_change(one)}" for name, one in worse.items() if one["value"] < -bound]
    why = f"{comparison['metric']} of {'; '.join(names)}, more than {bound:.4g} below the champion"
    return [_checked("slice_regression", value, "≥", 0 - bound, why)]


def fairness(bounds: Bounds | None, evaluation: Evidence) -> list[Verdict]:
    """No rate differs by more than its bound between groups of a sensitive column."""
    if not bounds:
        return [_off("fairness", bounds)]
    if not evaluation["fairness"]:
        return [Verdict("fairness", why="no column is declared sensitive")]
    verdicts = []
    for column, found in evaluation["fairness"].items():
        if not found["difference"]:
            verdicts.append(Verdict(f"fairness {column}", why="fewer than two groups with enough rows"))
        for rate, difference in found["difference"].items():
            if rate in bounds and difference["value"] is None:
                verdicts.append(Verdict(f"fairness {column} {rate}", why="is not defined in two groups"))
            elif rate in bounds:
                rates = ", ".join(f"{group} {one[rate]:.3g}" for group, one in found["groups"].items() if one[rate])
                why = f"{rate} differs by {difference['value']:.3g}, more than {bounds[rate]:g}: {rates}"
                verdicts.append(_checked(f"fairness {column} {rate}", difference["value"], "≤", bounds[rate], why))
    return verdicts or [Verdict("fairness", why="no rate of the task has a bound")]


def calibration(bound: float | None, evaluation: Evidence) -> list[Verdict]:
    """What is predicted is on average what is observed."""
    if bound is None:
        return [_off("calibration", bound)]
    error = evaluation["calibration"]["error"]
    why = f"predicted and observed are {error or 0:.3g} apart on average, more than {bound:g}"
    if (bias := evaluation["calibration"].get("bias")) is not None:  # of a regression
        side = "above" if bias > 0 else "below"
        why = f"predicted is on average {error or 0:.3g} standard deviations {side} actual, more than {bound:g}"
    return [_checked("calibration", error, "≤", bound, f"{why}; see reports/plots/calibration.svg")]


def gap(bound: float | None, evaluation: Evidence) -> list[Verdict]:
    """The model is not much better on its training rows than on the test slice."""
    if bound is None:
        return [_off("gap", bound)]
    metric = evaluation["metric"]
    train, test = evaluation["train"][metric], evaluation["metrics"][metric]["value"]
    if train is None or test is None:
        return [Verdict("gap", None, "≤", bound, False, f"{metric} is not defined on the train or the test slice")]
    why = f"{metric} is {train:.4g} on training rows and {test:.4g} on the test slice; give the model less freedom"
    return [_checked("gap", gain(metric, train, test), "≤", bound, why)]


def leakage(bound: float | None, evaluation: Evidence) -> list[Verdict]:
    """No feature decides the target nearly alone: such a one is rarely known before it."""
    if bound is None:
        return [_off("leakage", bound)]
    known = {name: value for name, value in evaluation["leakage"].items() if value is not None}
    if not known:
        return [Verdict("leakage", None, "≤", bound, False, "no feature alone could be judged on the test slice")]
    high = [f"{name} {value:.3g}" for name, value in known.items() if value > bound]
    why = f"{', '.join(high)} of the way from chance to perfect with one feature alone, more than {bound:g}"
    return [_checked("leakage", max(known.values()), "≤", bound, f"{why}; leave out what is known only afterwards")]


def _sense(metric: str) -> Literal["≥", "≤"]:
    return "≥" if greater_is_better(metric) else "≤"


def _within(rule: str, value: float | None, metric: str, bound: float, of: str) -> Verdict:
    why = f"{metric} {value or 0:.4g} {of} is worse than {bound:g}"
    return _checked(rule, value, _sense(metric), bound, why)


def _checked(rule: str, value: float | None, sense: Literal["≥", "≤"], bound: float, why: str) -> Verdict:
    """`why` is shown where the value breaks the bound; a value that is not defined breaks every bound."""
    if value is None or isnan(value):
        return Verdict(rule, None, sense, bound, False, "is not defined on the test slice")
    passed = value >= bound if sense == "≥" else value <= bound
    return Verdict(rule, value, sense, bound, passed, "" if passed else why)


def _off(rule: str, bound: object, comparison: Evidence | None = None) -> Verdict:
    if bound is None:
        return Verdict(rule, why="off")
    return Verdict(rule, why=comparison["why"] if comparison else "no metric of the task has a bound")


def _change(gained: Evidence) -> str:
    value = gained["value"]
    word = "better" if value > 0 else "worse"
    return f"{abs(value):.3g} {word} ({gained['low']:.3g} to {gained['high']:.3g})"


def cells(verdicts: list[Evidence]) -> list[list[object]]:
    """Rows below `HEADER`."""
    words = {True: "passed", False: "FAILED", None: "–"}
    return [
        [
            one["rule"],
            one["value"],
            f"{one['sense']} {one['bound']:.4g}" if one["sense"] else None,
            words[one["passed"]],
            one["why"],
        ]
        for one in verdicts
    ]
