"""How good the model is where the truth has come: found where it is worse, and only where chance does not say it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import windows

from gitloop.monitoring.findings import Finding, Result
from gitloop.monitoring.references import Reference
from gitloop.monitoring.watch import watch
from gitloop.settings import Settings

ROWS = 4000
Look = Callable[..., Result]


@pytest.fixture
def look(loaded: Settings, reference: Reference) -> Look:
    def look(columns: windows.Columns, truth: float = 1.0, **changes: Any) -> Result:
        how = loaded.model_copy(update=changes)
        return watch(how, windows.watched(columns, how, truth), lambda _: reference)[0]

    return look


def of(result: Result, kind: str) -> Finding:
    [found] = [one for one in result.findings if one.kind == kind]
    return found


def test_a_model_that_has_become_worse(look: Look) -> None:
    result = look(windows.some(ROWS, 1, skill=0.5))
    one = of(result, "performance")
    assert "on 4,000 rows with truth" in one.words
    assert "below the 0.7" in one.words
    assert one.bound is not None
    assert one.value is not None
    assert one.value < one.bound
    assert not [one for one in result.findings if one.kind == "floor"]


def test_a_model_below_the_floor(look: Look) -> None:
    one = of(look(windows.some(ROWS, 1, skill=0.0)), "floor")
    assert one.bound == 0.55
    assert "beyond the floor of 0.55" in one.words


def test_a_model_that_is_as_good_as_before(look: Look) -> None:
    result = look(windows.some(ROWS, 1))
    assert result.findings == ()
    truth = result.versions[windows.VERSION].truth
    assert truth is not None
    roc_auc = truth.metrics["roc_auc"]
    assert roc_auc["low"] < roc_auc["value"] < roc_auc["high"]  # type: ignore[operator]
    assert roc_auc["value"] == pytest.approx(roc_auc["test"], abs=0.03)


def test_truth_of_too_few_says_nothing(look: Look) -> None:
    result = look(windows.some(ROWS, 1, skill=0.0), truth=0.1)
    truth = result.versions[windows.VERSION].truth
    assert truth is not None
    assert (truth.rows, truth.coverage, truth.delay_hours) == (400, 0.1, 24.0)
    assert truth.why == "truth has come of 400 predictions, 500 are needed"
    assert result.findings == ()
    assert set(result.versions[windows.VERSION].fairness["group"]) == {"selection_rate"}  # needs none


def test_truth_of_one_class_only(look: Look) -> None:
    columns = windows.some(ROWS, 1)
    columns["won"] = np.ones(ROWS, dtype=bool)
    result = look(columns)
    truth = result.versions[windows.VERSION].truth
    assert truth is not None
    assert truth.why == "all 4,000 truths are of one class"
    assert [one.kind for one in result.findings] == ["target drift"]


def test_probabilities_that_are_no_longer_right(look: Look) -> None:
    columns = windows.some(ROWS, 1)
    columns["won"] = columns["won"] & (np.random.default_rng(0).random(ROWS) < 0.5)
    one = of(look(columns), "calibration")
    assert "the calibration error is 0.2" in one.words
    assert "gates.calibration is 0.1" in one.words


def test_one_slice_in_which_the_model_is_wrong(look: Look) -> None:
    columns = windows.some(ROWS, 1)
    blue = columns["colour"] == "blue"
    columns["won"] = np.where(blue, np.random.default_rng(0).random(ROWS) > columns["_probability"], columns["won"])
    one = of(look(columns), "slice")
    assert (one.column, one.slice) == ("colour", "blue")
    assert one.words.startswith("colour = blue: roc_auc is 0.")
    assert one.words.endswith("gates.slice_floor is 0.55")


@pytest.mark.parametrize("truth", [1.0, 0.0])
def test_groups_that_are_treated_differently(truth: float, look: Look) -> None:
    columns = windows.some(ROWS, 1)
    score = np.log(columns["_probability"] / (1 - columns["_probability"])) + np.where(
        columns["group"] == "a", 1.5, -1.5
    )
    columns["_probability"] = 1 / (1 + np.exp(-score))
    result = look(columns, truth=truth)
    if truth:
        one = of(result, "fairness")
        assert one.column == "group"
        assert "group: the selection_rate of its groups differs by 0." in one.words
        assert "gates.fairness is 0.2" in one.words
    assert result.versions[windows.VERSION].fairness["group"]["selection_rate"] > 0.2  # type: ignore[operator]


def test_scores_that_have_moved(look: Look) -> None:
    columns = windows.some(ROWS, 1)
    columns["_probability"] = columns["_probability"] ** 2
    one = of(look(columns, truth=0.0), "prediction drift")
    assert one.words.startswith("the predictions: drifted by ")


def test_a_prediction_that_the_log_does_not_hold(look: Look) -> None:
    columns = windows.some(ROWS, 1)
    columns["_probability"][:1000] = np.nan
    result = look(columns)
    truth = result.versions[windows.VERSION].truth
    assert truth is not None
    assert truth.metrics["roc_auc"]["value"] is not None


def test_bounds_that_are_switched_off(look: Look, loaded: Settings) -> None:
    gates = loaded.gates.model_copy(update={"calibration": None, "slice_floor": None, "fairness": None})
    columns = windows.some(ROWS, 1)
    columns["won"] = columns["won"] & (np.random.default_rng(0).random(ROWS) < 0.5)
    kinds = {one.kind for one in look(columns, gates=gates).findings}
    assert not kinds & {"calibration", "slice", "fairness"}


def test_a_metric_that_the_test_slice_did_not_have(loaded: Settings, reference: Reference) -> None:
    old = replace(reference, evaluation={**reference.evaluation, "metrics": {}, "calibration": {}})
    watched = windows.watched(windows.some(ROWS, 1), loaded)
    result, _ = watch(loaded, watched, lambda _: old)
    assert result.findings == ()
    assert result.versions[windows.VERSION].prediction is None
