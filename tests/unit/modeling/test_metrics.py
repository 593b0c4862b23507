"""One implementation of every metric: scikit-learn's values, and no exception where a class is absent."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn import metrics as sk

from gitloop.modeling import metrics
from gitloop.settings import LOSSES, METRICS

BETTER = {
    "binary": ([0, 0, 1, 1], [0.1, 0.4, 0.6, 0.9], [0.6, 0.4, 0.3, 0.6]),
    "multiclass": (["a", "b", "c"], np.eye(3) * 0.7 + 0.1, np.full((3, 3), 0.3) + np.eye(3)[::-1] * 0.1),
    "regression": ([1.0, 2.0, 4.0], [1.1, 2.1, 3.9], [4.0, 2.0, 1.0]),
}


@pytest.mark.parametrize("task", METRICS)
def test_the_names_and_directions_are_those_of_the_settings(task: str) -> None:
    """The better of two models is better by every metric, in the direction that LOSSES says."""
    y, good, bad = (np.asarray(one) for one in BETTER[task])
    y = y.astype(object) if task == "multiclass" else y
    better, worse = (metrics.compute(task, y, scores, classes=["a", "b", "c"]) for scores in (good, bad))
    assert tuple(better) == METRICS[task]
    for name in METRICS[task]:
        assert metrics.gain(name, better[name], worse[name]) > 0, name
        assert metrics.greater_is_better(name) == (name not in LOSSES)


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    y = (generator.random(500) < 0.3).astype(np.int8)
    return y, np.round(np.clip(generator.normal(0.3 + 0.3 * y, 0.2), 0, 1), 2)


def test_binary_is_scikit_learns_at_the_threshold(rows: tuple[np.ndarray, np.ndarray]) -> None:
    y, scores = rows
    found = metrics.compute("binary", y, scores, threshold=0.35)
    labels = scores >= 0.35
    assert found["roc_auc"] == sk.roc_auc_score(y, scores)
    assert found["average_precision"] == sk.average_precision_score(y, scores)
    assert found["brier"] == pytest.approx(sk.brier_score_loss(y, scores))
    assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(y, labels))
    assert (found["precision"], found["recall"]) == (sk.precision_score(y, labels), sk.recall_score(y, labels))
    assert metrics.compute("binary", y, scores, threshold=0.9)["recall"] < found["recall"]


def test_multiclass_is_scikit_learns_where_every_class_is_there() -> None:
    generator = np.random.default_rng(0)
    y = np.array(["x", "y", "z"], dtype=object)[generator.integers(0, 3, 300)]
    scores = generator.dirichlet([1, 1, 1], 300)
    found = metrics.compute("multiclass", y, scores, classes=("x", "y", "z"))
    assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(y, scores, multi_class="ovr", average="macro"))
    assert found["log_loss"] == pytest.approx(sk.log_loss(y, scores))
    assert found["f1"] == pytest.approx(sk.f1_score(y, np.array(list("xyz"))[scores.argmax(axis=1)], average="macro"))


def test_a_label_the_model_does_not_know_counts_as_wrong_and_given_no_probability() -> None:
    scores = np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    found = metrics.compute("multiclass", np.array(["a", "b", "new"], dtype=object), scores, classes=("a", "b"))
    assert found["accuracy"] == pytest.approx(2 / 3)
    assert found["log_loss"] > 10
    assert all(math.isfinite(value) for value in found.values())


@pytest.mark.parametrize(
    ("task", "y", "scores", "undefined"),
    [
        (
            "binary",
            [0, 0],
            [0.1, 0.9],
            {"roc_auc", "average_precision", "balanced_accuracy", "f1", "precision", "recall"},
        ),
        ("binary", [1, 1], [0.1, 0.9], {"roc_auc", "average_precision", "balanced_accuracy"}),
        ("multiclass", ["a", "a"], [[0.6, 0.4], [0.2, 0.8]], {"roc_auc", "balanced_accuracy"}),
        ("regression", [2.0, 2.0], [1.0, 3.0], {"r2"}),
        ("binary", [], [], set(METRICS["binary"])),
    ],
)
def test_what_is_not_defined_is_nan_and_never_raises(task: str, y: list, scores: list, undefined: set[str]) -> None:
    values = np.asarray(y, dtype=object if task == "multiclass" else None)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics.compute(task, values, np.asarray(scores), classes=("a", "b"))
    assert {name for name, value in found.items() if math.isnan(value)} == undefined


@pytest.mark.parametrize(
    ("metric", "value", "baseline", "share"),
    [("roc_auc", 0.75, 0.5, 0.5), ("log_loss", 0.1, 0.4, 0.75), ("r2", -0.5, 0.0, -0.5), ("mae", 3.0, 3.0, 0.0)],
)
def test_skill_is_the_share_of_the_way_to_perfect(metric: str, value: float, baseline: float, share: float) -> None:
    assert metrics.skill(metric, value, baseline) == pytest.approx(share)


def test_nothing_can_be_won_over_a_perfect_baseline() -> None:
    assert math.isnan(metrics.skill("accuracy", 1.0, 1.0))


def test_rounding_makes_any_evidence_fit_for_json() -> None:
    messy = {"a": [np.float64(0.123456789), np.int64(3), float("nan")], "b": (1e-12 / 3, float("inf"), True, None, "x")}
    clean = {"a": [0.123457, 3, None], "b": [3.33333e-13, None, True, None, "x"]}
    assert json.dumps(metrics.rounded(messy), allow_nan=False) == json.dumps(clean)


def test_a_metrics_direction_is_known_without_scikit_learn() -> None:
    code = "import sys, gitloop.modeling.metrics; print('sklearn' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("task", METRICS)
def test_one_metric_alone_is_the_same_number(task: str) -> None:
    random = np.random.default_rng(0)
    y, scores, classes = {
        "binary": (random.integers(0, 2, 500), random.random(500), None),
        "multiclass": (random.choice(["a", "b", "c"], 500).astype(object), random.dirichlet([1, 1, 1], 500), "abc"),
        "regression": (random.normal(size=500), random.normal(size=500), None),
    }[task]
    every = metrics.compute(task, y, scores, 0.4, classes)
    assert {name: metrics.single(name, task, y, scores, 0.4, classes) for name in METRICS[task]} == every
    assert math.isnan(metrics.single(METRICS[task][0], task, y[:0], scores[:0], 0.4, classes))
