"""Parts of the test slice: their names, which are large enough, what is measured in each and between groups."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn import metrics as fair

from gitloop.contract import Column
from gitloop.modeling import slices
from gitloop.modeling.intervals import Draws, Scored
from gitloop.modeling.metrics import compute
from gitloop.settings import RATES

TIMES = np.array(["2013-01-31T23:59", "2013-02-01", "NaT"], dtype="datetime64[us]")


@pytest.mark.parametrize(
    ("kind", "values", "names"),
    [
        ("categorical", np.array(["b", "", "a"], dtype=object), ["b", "missing", "a"]),
        ("boolean", np.array([1.0, 0.0, np.nan]), ["true", "false", "missing"]),
        ("numeric", np.array([3.0, np.nan, 1.5]), ["3", "missing", "1.5"]),
        ("datetime", TIMES, ["2013-01", "2013-02", "missing"]),
    ],
)
def test_the_part_that_a_row_is_in(kind: str, values: np.ndarray, names: list[str]) -> None:
    assert slices.parts({"x": values}, {"x": Column(type=kind)})["x"].tolist() == names  # type: ignore[arg-type]


def test_numbers_are_cut_into_quarters_of_the_rows() -> None:
    values = np.append(np.random.default_rng(0).permutation(1000.0 * np.arange(400)), np.nan)
    large, small = slices.members(slices.parts({"x": values}, {"x": Column(type="numeric")})["x"], rows=50)
    assert {name.split()[0]: int(inside.sum()) for name, inside in large.items()} == dict.fromkeys(
        ("Q1", "Q2", "Q3", "Q4"), 100
    )
    assert all(values[inside].max() <= 99750 for name, inside in large.items() if name == "Q1 ≤ 99750")
    assert small == {"missing": 1}


def test_parts_are_ordered_by_size_and_small_ones_left_out() -> None:
    names = np.array(["a"] * 10 + ["b"] * 30 + ["c"] * 30 + ["d"] * 9, dtype=object)
    large, small = slices.members(names, rows=10)
    assert list(large) == ["b", "c", "a"]
    assert small == {"d": 9}
    y, scored = np.arange(79) % 2, Scored(np.linspace(0, 1, 79))
    found = slices.judged("binary", y, scored, {"x": names}, rows=10)["x"]
    assert list(found) == ["b", "c", "a"]
    assert found["a"] == {"rows": 10, "metrics": compute("binary", y[:10], scored.scores[:10])}


@pytest.fixture
def groups() -> np.ndarray:
    return np.array(["x", "y", "tiny"], dtype=object)[np.random.default_rng(1).choice(3, 3000, p=[0.6, 0.39, 0.01])]


def test_binary_fairness_is_fairlearns(groups: np.ndarray) -> None:
    generator = np.random.default_rng(2)
    y = (generator.random(3000) < 0.3).astype(np.int8)
    scores = np.clip(generator.normal(0.3 + 0.2 * y + 0.2 * (groups == "x"), 0.2), 0, 1)
    found = slices.fairness("binary", y, Scored(scores, 0.5), groups, rows=100, draws=Draws())
    assert list(found["groups"]) == ["x", "y"]
    assert list(found["left_out"]) == ["tiny"]
    assert tuple(found["difference"]) == RATES["binary"]
    judged, called = groups != "tiny", scores >= 0.5
    parity = fair.demographic_parity_difference(
        y[judged], called[judged], sensitive_features=groups[judged].astype(str)
    )
    odds = fair.equalized_odds_difference(y[judged], called[judged], sensitive_features=groups[judged].astype(str))
    difference = found["difference"]
    assert difference["selection_rate"]["value"] == pytest.approx(parity)
    assert max(difference[name]["value"] for name in RATES["binary"][1:]) == pytest.approx(odds)
    for one in difference.values():
        assert 0 < one["low"] < one["value"] < one["high"]


def test_equal_treatment_shows_no_more_than_chance(groups: np.ndarray) -> None:
    generator = np.random.default_rng(2)
    y = (generator.random(3000) < 0.3).astype(np.int8)
    found = slices.fairness("binary", y, Scored(generator.random(3000)), groups, rows=100, draws=Draws())
    assert found["difference"]["selection_rate"]["value"] < 0.05


def test_multiclass_fairness_is_the_accuracy(groups: np.ndarray) -> None:
    y = np.array(["a", "b"], dtype=object)[np.arange(3000) % 2]
    right = np.where(groups == "y", np.arange(3000) % 10 < 5, True)
    scores = np.where((y == "a") == right, 0.9, 0.1)
    found = slices.fairness(
        "multiclass",
        y,
        Scored(np.stack([scores, 1 - scores], axis=1), 0.5, ("a", "b")),
        groups,
        rows=100,
        draws=Draws(),
    )
    assert found["groups"]["x"]["accuracy"] == 1
    assert found["difference"]["accuracy"]["value"] == pytest.approx(0.5, abs=0.05)


def test_regression_fairness_is_the_mean_error_in_standard_deviations(groups: np.ndarray) -> None:
    y = np.random.default_rng(3).normal(100, 20, 3000)
    found = slices.fairness(
        "regression", y, Scored(y + np.where(groups == "x", 10.0, 0.0)), groups, rows=100, draws=Draws()
    )
    assert found["difference"]["mean_error"]["value"] == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(("rows", "left"), [(2000, []), (1500, ["x"])])
def test_without_two_groups_there_is_no_difference(groups: np.ndarray, rows: int, left: list[str]) -> None:
    y = np.arange(3000) % 2
    found = slices.fairness("binary", y, Scored(y * 0.5), groups, rows=rows, draws=Draws())
    assert list(found["groups"]) == left
    assert found["difference"] == {}
    assert set(found["groups"]) | set(found["left_out"]) == {"x", "y", "tiny"}


def test_a_group_with_nothing_to_find_has_no_true_positive_rate() -> None:
    """fairlearn says 0, which would be a difference where there is none."""
    groups = np.array(["x", "y"], dtype=object).repeat(100)
    y = np.concatenate([np.arange(100) % 2, np.zeros(100)]).astype(np.int8)
    found = slices.fairness("binary", y, Scored(np.linspace(0, 1, 200)), groups, rows=50, draws=Draws(20))
    assert np.isnan(found["groups"]["y"]["true_positive_rate"])
    assert np.isnan(found["difference"]["true_positive_rate"]["value"])
    assert found["difference"]["false_positive_rate"]["value"] > 0
