"""A worse model does not pass by bringing a lower bar."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest

from gitloop.modeling.loosened import Looser, at, bounds, verdicts
from gitloop.settings import Gates, parse

GATES: dict[str, Any] = {
    "floor": {"roc_auc": 0.65, "log_loss": 0.5},
    "baseline": 0.1,
    "champion": 0.01,
    "slice_floor": None,
    "slice_regression": None,
    "fairness": {"selection_rate": 0.2},
    "calibration": 0.05,
    "gap": 0.1,
    "leakage": 0.5,
    "behaviour": "tests/behaviour",
}
EVALUATION: dict[str, Any] = {
    "metric": "roc_auc",
    "metrics": {"roc_auc": {"value": 0.6}, "log_loss": {"value": 0.45}},
    "baseline": {"roc_auc": 0.5, "log_loss": 0.6},
    "train": {"roc_auc": 0.65},
    "slices": {},
    "fairness": {"sex": {"difference": {"selection_rate": {"value": 0.3}}, "groups": {}}},
    "calibration": {"error": 0.02},
    "leakage": {"a": 0.1},
}
NONE = {"judged": False, "why": "no champion"}


def loosened(was: dict[str, Any], now: dict[str, Any]) -> list[Looser]:
    return bounds(Gates(**{**GATES, **now}), Gates(**{**GATES, **was}), EVALUATION, NONE)


@pytest.mark.parametrize(
    ("was", "now", "gate", "needed"),
    [
        ({}, {"floor": {"roc_auc": 0.55, "log_loss": 0.5}}, "floor.roc_auc", True),
        ({}, {"floor": {"roc_auc": 0.65, "log_loss": 0.7}}, "floor.log_loss", False),
        ({}, {"floor": {"log_loss": 0.5}}, "floor.roc_auc", True),
        ({}, {"baseline": 0.05}, "baseline", False),
        ({"baseline": 0.3}, {}, "baseline", True),
        ({}, {"baseline": None}, "baseline", False),
        ({}, {"fairness": {"selection_rate": 0.4}}, "fairness.selection_rate", True),
        ({}, {"fairness": None}, "fairness.selection_rate", True),
        ({}, {"calibration": 0.1}, "calibration", False),
        ({"gap": 0.01}, {}, "gap", True),
        ({}, {"behaviour": None}, "behaviour", False),
    ],
)
def test_a_looser_bound_is_found_and_whether_the_model_needs_it(
    was: dict[str, Any], now: dict[str, Any], gate: str, needed: bool
) -> None:
    (found,) = loosened(was, now)
    assert found.gate == gate
    assert bool(found.breaks) == needed


def test_a_stricter_bound_is_not_looser() -> None:
    assert not loosened({}, {"floor": {"roc_auc": 0.7, "log_loss": 0.4}, "baseline": 0.2, "gap": 0.05, "champion": 0.0})
    assert not bounds(Gates(**GATES), None, EVALUATION, NONE)  # nothing to compare with


def test_only_a_bound_that_a_new_model_needs_refuses_it() -> None:
    looser = loosened({}, {"floor": {"roc_auc": 0.55, "log_loss": 0.7}})
    (verdict,) = verdicts(looser, same=False)
    assert verdict.rule == "loosened floor.roc_auc"
    assert verdict.passed is False
    assert "was 0.65 and is 0.55, which this model needs: roc_auc 0.6 of the test slice is worse than" in verdict.why
    assert "in a pull request of its own first" in verdict.why
    assert not verdicts(looser, same=True)


def test_bounds_that_cannot_be_read_are_not_compared() -> None:
    assert at(None) is None
    assert at("0" * 40) is None


def test_another_target_begins_anew(params: dict[str, Any], root: Any) -> None:
    """Whoever turns to another table does not inherit the bounds of the last one; the same target does."""
    where = root(params)
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-q", "-m", "First"]):
        subprocess.run(["git", *command], cwd=where, check=True)
    now = parse(params).data
    was = at("HEAD", now)
    assert was is not None
    assert was.gap == params["gates"]["gap"]
    assert at("HEAD", now.model_copy(update={"name": "other"})) == was  # a name is no way out
    columns = {name.replace(now.target, "other"): one for name, one in params["data"]["columns"].items()}
    other = parse({**params, "data": {**params["data"], "columns": columns}}).data
    assert other.target == "other"
    assert at("HEAD", other) is None
    assert at("HEAD", now.model_copy(update={"task": "regression"})) is None
