"""Calibration, importance and leakage on cases whose answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from gitloop import layout
from gitloop.modeling import chosen, diagnosis
from gitloop.modeling.evaluate import sample
from gitloop.modeling.intervals import Scored
from gitloop.settings import Settings


def test_calibrated_probabilities_have_next_to_no_error() -> None:
    generator = np.random.default_rng(0)
    truth = generator.random(20_000)
    y = (generator.random(20_000) < truth).astype(np.int8)
    assert diagnosis.calibration("binary", y, Scored(truth))["error"] < 0.02
    over = diagnosis.calibration("binary", y, Scored(np.clip(truth + 0.2, 0, 1)))
    assert over["error"] == pytest.approx(0.18, abs=0.02)
    assert all(one["predicted"] > one["observed"] for one in over["bins"])


def test_one_probability_for_all_is_one_bin() -> None:
    found = diagnosis.calibration("binary", np.array([0, 0, 0, 1]), Scored(np.full(4, 0.25)))
    assert found == {"error": 0, "bins": [{"predicted": 0.25, "observed": 0.25, "rows": 4}]}


def test_of_several_classes_the_confidence_is_judged() -> None:
    y = np.array(["a", "b"] * 500, dtype=object)
    sure = Scored(np.tile([0.9, 0.1], (1000, 1)), 0.5, ("a", "b"))
    assert diagnosis.calibration("multiclass", y, sure)["error"] == pytest.approx(0.4)


def test_of_numbers_the_bias_is_judged_in_standard_deviations() -> None:
    generator = np.random.default_rng(0)
    y = generator.normal(0, 10, 5000)
    found = diagnosis.calibration("regression", y, Scored(y + generator.normal(2, 3, 5000)))
    assert found["error"] == pytest.approx(0.2, abs=0.01)
    assert (found["bias"], found["spread"]) == (pytest.approx(2, abs=0.1), pytest.approx(3, abs=0.1))
    assert np.isnan(diagnosis.calibration("regression", np.ones(50), Scored(np.ones(50)))["error"])


def test_the_column_that_the_model_lives_on_is_the_most_important(study: Callable[..., Settings]) -> None:
    """Shuffled before anything is derived: the loss is the same as of shuffling the raw column by hand."""
    loaded = study("regression")
    model = chosen.model(loaded)
    test = chosen.rows(layout.TEST, loaded.data, None)
    sampled = sample(test, loaded.evaluation)
    assert len(sampled.y) == loaded.evaluation.importance_rows
    found = diagnosis.importance(loaded, model, sampled, None)
    weights = dict(zip(model.schema.numeric, np.abs(model.pipeline[-1].coef_), strict=False))
    assert next(iter(found)) == max(weights, key=lambda name: weights[name])
    assert [one["mean"] for one in found.values()] == sorted((one["mean"] for one in found.values()), reverse=True)
    assert found == diagnosis.importance(loaded, model, sampled, None)


def test_a_loss_that_grows_is_an_importance_too(study: Callable[..., Settings]) -> None:
    """Positive means needed, whichever way the metric runs."""
    loaded = study("multiclass")
    assert loaded.data.metric == "log_loss"
    sampled = sample(chosen.rows(layout.TEST, loaded.data, None), loaded.evaluation)
    assert next(iter(diagnosis.importance(loaded, chosen.model(loaded), sampled, None).values()))["mean"] > 0
