"""Every gate bites: evidence that is sound passes all, and each change of it is refused by its rule, with a reason."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from gitloop.modeling.verdicts import cells, gap, judge, scaled
from gitloop.settings import Gates

GATES: dict[str, Any] = {
    "floor": {"roc_auc": 0.65, "log_loss": 0.5, "r2": 0.1},
    "baseline": 0.1,
    "champion": 0.01,
    "slice_floor": {"roc_auc": 0.55},
    "slice_regression": 0.05,
    "fairness": {"selection_rate": 0.2},
    "calibration": 0.1,
    "gap": 0.2,
    "leakage": 0.9,
    "behaviour": None,
}


def interval(value: float | None, half: float = 0.01) -> dict[str, float | None]:
    return (
        {"value": value, "low": None, "high": None}
        if value is None
        else {
            "value": value,
            "low": value - half,
            "high": value + half,
        }
    )


def part(value: float | None, rows: int = 300) -> dict[str, Any]:
    return {"rows": rows, "metrics": {"roc_auc": value, "log_loss": 0.4}}


def gained(value: float, half: float = 0.01) -> dict[str, Any]:
    return {"rows": 300, "champion": 0.7, "challenger": 0.7 + value, "gain": interval(value, half)}


EVALUATION: dict[str, Any] = {
    "candidate": "linear",
    "metric": "roc_auc",
    "metrics": {"roc_auc": interval(0.75), "log_loss": interval(0.4)},
    "baseline": {"roc_auc": 0.5, "log_loss": 0.45},
    "train": {"roc_auc": 0.8, "log_loss": 0.35},
    "slices": {"origin": {"JFK": part(0.7), "LGA": part(0.6), "XXX": part(None)}},
    "fairness": {
        "origin": {
            "groups": {"JFK": {"selection_rate": 0.3}, "LGA": {"selection_rate": 0.2}},
            "difference": {"selection_rate": interval(0.1), "true_positive_rate": interval(0.9)},
            "left_out": {},
        }
    },
    "calibration": {"error": 0.02},
    "leakage": {"hour": 0.3, "humid": 0.2, "empty": None},
}
COMPARISON: dict[str, Any] = {
    "judged": True,
    "metric": "roc_auc",
    "champion": {"revision": "model@v0.1.0"},
    "rows": 2000,
    "gain": interval(0.005),
    "slices": {"origin": {"JFK": gained(0.02), "LGA": gained(-0.04)}},
}


def changed(base: dict[str, Any], place: str, value: Any) -> dict[str, Any]:
    tree = copy.deepcopy(base)
    *path, last = place.split(".") if place else [""]
    branch = tree
    for key in path:
        branch = branch[key]
    if place:
        branch[last] = value
    return tree


def verdicts(
    gates: dict[str, Any] = GATES, evaluation: Any = EVALUATION, comparison: Any = COMPARISON
) -> dict[str, Any]:
    return {verdict.rule: verdict for verdict in judge(Gates(**gates), evaluation, comparison)}


def test_sound_evidence_passes_every_gate() -> None:
    found = verdicts()
    assert list(found) == [
        "floor roc_auc",
        "floor log_loss",
        "baseline",
        "champion",
        "slice_floor roc_auc",
        "slice_regression",
        "fairness origin selection_rate",
        "calibration",
        "gap",
        "leakage",
    ]
    assert {verdict.passed for verdict in found.values()} == {True}
    assert {verdict.why for verdict in found.values()} == {""}
    values = {rule: round(verdict.value, 6) for rule, verdict in found.items()}
    assert values["baseline"] == 0.5  # half of the way from 0.5 to 1
    assert values["champion"] == -0.005  # the bad end
    assert values["slice_floor roc_auc"] == 0.6  # the worst slice
    assert values["gap"] == 0.05


@pytest.mark.parametrize(
    ("place", "value", "rule", "words"),
    [
        ("metrics.roc_auc.value", 0.64, "floor roc_auc", "roc_auc 0.64 of the test slice is worse than 0.65"),
        ("metrics.log_loss.value", 0.51, "floor log_loss", "log_loss 0.51 of the test slice is worse than 0.5"),
        ("metrics.roc_auc.value", None, "floor roc_auc", "is not defined on the test slice"),
        (
            "baseline.roc_auc",
            0.74,
            "baseline",
            "roc_auc 0.75 goes 0.0385 of the way from the baseline's 0.74 to perfect",
        ),
        ("baseline.roc_auc", None, "baseline", "roc_auc is not defined"),
        ("baseline.roc_auc", 1.0, "baseline", "is not defined on the test slice"),
        (
            "slices.origin.LGA.metrics.roc_auc",
            0.54,
            "slice_floor roc_auc",
            "roc_auc of origin LGA 0.54 is worse than 0.55",
        ),
        (
            "fairness.origin.difference.selection_rate.value",
            0.25,
            "fairness origin selection_rate",
            "selection_rate differs by 0.25, more than 0.2: JFK 0.3, LGA 0.2",
        ),
        ("calibration.error", 0.11, "calibration", "predicted and observed are 0.11 apart on average, more than 0.1"),
        ("calibration.error", None, "calibration", "is not defined"),
        ("train.roc_auc", 0.96, "gap", "roc_auc is 0.96 on training rows and 0.75 on the test slice"),
        ("train.roc_auc", None, "gap", "is not defined on the train or the test slice"),
        ("leakage.taxi_out", 0.95, "leakage", "taxi_out 0.95 of the way from chance to perfect with one feature alone"),
        ("leakage", {"hour": None}, "leakage", "no feature alone could be judged"),
    ],
)
def test_a_gate_bites(place: str, value: Any, rule: str, words: str) -> None:
    verdict = verdicts(evaluation=changed(EVALUATION, place, value))[rule]
    assert verdict.passed is False
    assert words in verdict.why


@pytest.mark.parametrize(
    ("place", "value", "rule", "words"),
    [
        ("gain", interval(-0.005), "champion", "roc_auc 0.005 worse (-0.015 to 0.005) than model@v0.1.0 on 2,000 rows"),
        ("gain", interval(None), "champion", "roc_auc is not defined on the rows compared"),
        ("slices.origin.LGA", gained(-0.06), "slice_regression", "roc_auc of origin LGA 0.06 worse (-0.07 to -0.05)"),
    ],
)
def test_a_gate_against_the_champion_bites(place: str, value: Any, rule: str, words: str) -> None:
    verdict = verdicts(comparison=changed(COMPARISON, place, value))[rule]
    assert verdict.passed is False
    assert words in verdict.why


def test_a_champion_that_is_slightly_better_is_within_the_tolerance() -> None:
    assert verdicts(comparison=changed(COMPARISON, "gain", interval(-0.002, 0.007)))["champion"].passed


def test_a_slice_worse_by_chance_is_not_refused() -> None:
    """Of thirty small slices one is always worse: its interval must leave out zero."""
    verdict = verdicts(comparison=changed(COMPARISON, "slices.origin.LGA", gained(-0.06, half=0.08)))[
        "slice_regression"
    ]
    assert verdict.passed is True
    assert verdict.value == 0


@pytest.mark.parametrize(
    ("gates", "evaluation", "rule", "words"),
    [
        *((dict.fromkeys([name]), EVALUATION, name, "off") for name in GATES if name != "behaviour"),
        ({"floor": {"r2": 0.1}}, EVALUATION, "floor", "no metric of the task has a bound"),
        ({"slice_floor": {"r2": 0.1}}, EVALUATION, "slice_floor", "no metric of the task has a bound"),
        ({"fairness": {"accuracy": 0.1}}, EVALUATION, "fairness", "no rate of the task has a bound"),
        ({}, changed(EVALUATION, "slices", {}), "slice_floor roc_auc", "no slice with enough rows"),
        ({}, changed(EVALUATION, "fairness", {}), "fairness", "no column is declared sensitive"),
        (
            {},
            changed(EVALUATION, "fairness.origin.difference", {}),
            "fairness origin",
            "fewer than two groups with enough rows",
        ),
        (
            {},
            changed(EVALUATION, "fairness.origin.difference.selection_rate", interval(None)),
            "fairness origin selection_rate",
            "is not defined in two groups",
        ),
    ],
)
def test_what_is_not_judged_is_listed_with_the_reason(gates: Any, evaluation: Any, rule: str, words: str) -> None:
    verdict = verdicts({**GATES, **gates}, evaluation)[rule]
    assert (verdict.passed, verdict.value, verdict.why) == (None, None, words)


def test_without_a_champion_its_gates_are_not_judged() -> None:
    found = verdicts(comparison={"judged": False, "why": "no champion yet"})
    for rule in ("champion", "slice_regression"):
        assert (found[rule].passed, found[rule].why) == (None, "no champion yet")


def test_regression_is_judged_by_its_losses() -> None:
    evaluation = {
        **EVALUATION,
        "metric": "mae",
        "metrics": {"mae": interval(4.0), "r2": interval(0.5)},
        "baseline": {"mae": 5.0, "r2": 0.0},
        "train": {"mae": 3.0, "r2": 0.7},
        "slices": {},
    }
    found = verdicts({**GATES, "gap": 0.1}, evaluation)
    assert found["baseline"].value == pytest.approx(0.2)
    assert found["gap"].value == pytest.approx(1.0)
    assert found["gap"].bound == pytest.approx(0.5)  # a share of the dummy's loss
    assert found["gap"].passed is False
    assert found["floor r2"].passed is True


def test_the_table_says_each_bound_with_its_direction() -> None:
    shown = cells([verdict._asdict() for verdict in verdicts().values()])
    assert shown[0] == ["floor roc_auc", 0.75, "≥ 0.65", "passed", ""]
    assert shown[1][2] == "≤ 0.5"
    assert shown[3][2] == "≥ -0.01"


def test_differences_of_a_loss_are_shares_of_the_dummys_loss() -> None:
    """An error in euros or days has no bound that suits every table."""
    evaluation = {
        "metric": "mae",
        "metrics": {"mae": {"value": 46.0, "low": 40.0, "high": 50.0}},
        "baseline": {"mae": 65.0},
        "train": {"mae": 43.0},
    }
    (kept,) = gap(scaled(0.2, evaluation), evaluation)
    assert (kept.value, kept.bound, kept.passed) == (3.0, 13.0, True)
    (broken,) = gap(scaled(0.04, evaluation), evaluation)
    assert (broken.bound, broken.passed) == (2.6, False)
