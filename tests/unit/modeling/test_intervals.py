"""Bootstrap intervals: the metrics of drawn rows are scikit-learn's, the intervals as wide as they should be."""

from __future__ import annotations

import numpy as np
import pytest

from gitloop.modeling import metrics
from gitloop.modeling.intervals import Draws, Scored, bootstrap, paired, resampled
from gitloop.modeling.weighted import statistics
from gitloop.settings import METRICS

CLASSES = ("a", "b", "c", "d")


def data(task: str, rows: int, seed: int = 0) -> tuple[np.ndarray, Scored]:
    generator = np.random.default_rng(seed)
    if task == "binary":
        y = (generator.random(rows) < 0.2).astype(np.int8)
        return y, Scored(np.round(generator.random(rows) * 0.7 + y * 0.3, 2), 0.6)
    if task == "multiclass":
        y = np.array([*CLASSES, "unseen"], dtype=object)[np.minimum(generator.geometric(0.5, rows) - 1, 4)]
        return y, Scored(generator.dirichlet(np.ones(4), rows), 0.5, CLASSES)
    y = generator.normal(50, 10, rows)
    return y, Scored(y + generator.normal(0, 5, rows))


@pytest.mark.parametrize("rows", [9, 40, 400])
@pytest.mark.parametrize("task", METRICS)
def test_a_draw_by_counts_is_the_metric_of_the_drawn_rows(task: str, rows: int) -> None:
    """Few rows: draws that lack a class are among them."""
    y, scored = data(task, rows)
    draws = Draws(resamples=20, seed=1)
    found = resampled(statistics(task, y, *scored), rows, draws)
    generator = np.random.default_rng(1)
    for draw in range(draws.resamples):
        picked = generator.integers(0, rows, size=rows)
        expected = metrics.compute(task, y[picked], scored.scores[picked], scored.threshold, scored.classes)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name][draw], value, rtol=1e-9, atol=1e-12, err_msg=name)


def test_draws_in_blocks_are_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    y, scored = data("binary", 200)
    at_once = bootstrap("binary", y, scored, Draws())
    monkeypatch.setattr("gitloop.modeling.intervals.CELLS", 1000)
    assert bootstrap("binary", y, scored, Draws()) == at_once


def test_an_interval_is_as_wide_as_theory_says() -> None:
    """Accuracy is a share: 95 % lie within 1.96 standard errors of √(p(1−p)/n)."""
    y, scored = data("binary", 2000)
    found = bootstrap("binary", y, scored, Draws(resamples=1000))["accuracy"]
    half = 1.96 * np.sqrt(found.value * (1 - found.value) / 2000)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)
    assert found.low < found.value < found.high
    narrow = bootstrap("binary", y, scored, Draws(resamples=1000, confidence=0.5))["accuracy"]
    assert narrow.high - narrow.low < (found.high - found.low) / 2


def test_a_metric_that_is_not_defined_has_no_interval() -> None:
    found = bootstrap("binary", np.zeros(50, dtype=np.int8), Scored(np.linspace(0, 1, 50)), Draws(20))
    assert np.isnan(found["roc_auc"]).all()
    assert np.isfinite(found["log_loss"]).all()


@pytest.mark.parametrize(("metric", "sign"), [("roc_auc", 1), ("log_loss", 1), ("f1", 1)])
def test_a_paired_gain_is_positive_where_the_new_model_is_better(metric: str, sign: int) -> None:
    y, good = data("binary", 3000)
    noise = np.random.default_rng(5).random(3000)
    bad = Scored(np.clip(0.7 * good.scores + 0.3 * noise, 0, 1), good.threshold)
    better = paired("binary", y, good, bad, metric=metric, draws=Draws())
    worse = paired("binary", y, bad, good, metric=metric, draws=Draws())
    assert 0 < better.low < better.value < better.high
    assert worse.high < 0
    assert worse.value == -better.value


def test_pairing_takes_out_what_both_models_share() -> None:
    """The same rows are hard for both: the interval of the difference is far narrower than those of the two."""
    y, scored = data("regression", 1000)
    other = Scored(scored.scores + 0.1)
    difference = paired("regression", y, other, scored, metric="rmse", draws=Draws())
    alone = bootstrap("regression", y, scored, Draws())["rmse"]
    assert difference.high - difference.low < (alone.high - alone.low) / 5
    same = paired("regression", y, scored, scored, metric="rmse", draws=Draws())
    assert same == (0, 0, 0)
