"""The search keeps to its budget, starts from the candidate's own arguments, and does the same each time; folds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gitloop.arrays import Array
from gitloop.errors import InputError
from gitloop.modeling.tuning import Trial, folds, ladder, search
from gitloop.settings import Dimension, Tuning

ROWS = np.arange(9000)
SPACE = {
    "rate": Dimension(low=0.001, high=1.0, log=True),
    "leaves": Dimension(low=2, high=64),
    "kind": Dimension(choices=("plain", "fancy", None)),
}


def bowl(parameters: Mapping[str, Any], rows: Array) -> float:
    """Best, 1, at rate 0.1 and 20 leaves of the fancy kind; noisier on few rows."""
    off = (
        abs(math.log10(parameters["rate"]) + 1) + abs(parameters["leaves"] - 20) / 20 + (parameters["kind"] != "fancy")
    )
    return 1 - off + math.sin(1000 * off) * 10 / len(rows)


def found(own: dict[str, Any] | None = None, **settings: Any) -> tuple[dict[str, Any], list[Trial]]:
    how = Tuning(**{"trials": 12, **settings})
    steps = ladder(ROWS, True, lambda _: True) if how.method == "halving" else [ROWS]
    return search("mine", SPACE, own=own or {}, objective=bowl, rows=steps, settings=how, greater_is_better=True)


@pytest.mark.parametrize("method", ["optuna", "halving"])
def test_the_search_is_within_its_budget_and_the_same_each_time(method: str) -> None:
    best, trials = found(method=method, trials=12)
    assert [trial.number for trial in trials] == list(range(12))
    assert found(method=method, trials=12) == (best, trials)
    assert found(method=method, trials=12, seed=1)[1] != trials
    assert best == max((trial for trial in trials if trial.complete), key=lambda trial: trial.value).parameters
    for trial in trials:
        assert 0.001 <= trial.parameters["rate"] <= 1
        assert isinstance(trial.parameters["leaves"], int)
        assert trial.parameters["kind"] in ("plain", "fancy", None)


def test_the_first_trial_is_the_candidates_own() -> None:
    own = {"rate": 0.5, "leaves": 31, "kind": "plain", "seed": 0}
    assert found(own)[1][0].parameters == {"rate": 0.5, "leaves": 31, "kind": "plain"}
    perfect = {"rate": 0.1, "leaves": 20, "kind": "fancy"}
    assert found(perfect)[0] == perfect
    outside = found({"rate": 5.0, "leaves": None, "kind": "fancy"})[1][0].parameters
    assert outside["kind"] == "fancy"
    assert 0.001 <= outside["rate"] <= 1


def test_a_loss_is_made_small() -> None:
    best, trials = search(
        "mine",
        {"x": Dimension(low=-1.0, high=1.0)},
        own={"x": 0.9},
        objective=lambda parameters, rows: (parameters["x"] - 0.2) ** 2,
        rows=[ROWS],
        settings=Tuning(trials=25),
        greater_is_better=False,
    )
    assert abs(best["x"] - 0.2) < 0.15
    assert min(trial.value for trial in trials) == (best["x"] - 0.2) ** 2


@pytest.mark.parametrize("seed", range(3))
def test_halving_judges_many_on_few_rows_and_few_on_many(seed: int) -> None:
    judged: dict[int, list[float]] = {}

    def counted(parameters: Mapping[str, Any], rows: Array) -> float:
        judged.setdefault(len(rows), []).append(bowl(parameters, rows))
        return judged[len(rows)][-1]

    how = Tuning(method="halving", trials=24, seed=seed)
    steps = ladder(ROWS, True, lambda _: True)
    best, trials = search("mine", SPACE, own={}, objective=counted, rows=steps, settings=how, greater_is_better=True)
    assert {count: len(values) for count, values in judged.items()} == {1000: 24, 3000: 8, 9000: 3}
    assert bowl(best, ROWS) == max(judged[9000])
    assert bowl(best, steps[0]) in sorted(judged[1000])[-8:]
    assert [trial.complete for trial in trials].count(True) == 3


def test_the_ladder_grows_from_the_latest_rows() -> None:
    steps = ladder(ROWS, True, lambda _: True)
    assert [len(rows) for rows in steps] == [1000, 3000, 9000]
    assert all(rows[-1] == 8999 for rows in steps)
    assert [rows[0] for rows in ladder(ROWS, False, lambda _: True)] == [0, 0, 0]
    assert [len(rows) for rows in ladder(ROWS, True, lambda rows: len(rows) > 1500)] == [3000, 9000]
    assert [len(rows) for rows in ladder(ROWS[:900], True, lambda _: True)] == [900]


def test_no_search_leaves_the_candidate_as_it_stands() -> None:
    assert found(method="none") == ({}, [])
    nothing = search("x", {}, own={}, objective=bowl, rows=[ROWS], settings=Tuning(), greater_is_better=True)
    assert nothing == ({}, [])


def test_a_metric_that_is_nowhere_defined_is_said() -> None:
    with pytest.raises(InputError, match=r"conf/tuning/: rows: mine: the metric is not defined on any of the rows"):
        search(
            "mine",
            SPACE,
            own={},
            objective=lambda parameters, rows: math.nan,
            rows=[ROWS],
            settings=Tuning(trials=3),
            greater_is_better=True,
        )


BALANCED = np.array([0, 1, 2, 3] * 50) % 2


def test_rows_in_time_are_cut_by_time() -> None:
    cut = folds(BALANCED, "binary", Tuning(folds=4), ordered=True)
    assert len(cut) == 4
    assert all(fit.max() < check.min() for fit, check in cut)
    assert cut[-1][1][-1] == len(BALANCED) - 1


def test_groups_stay_whole() -> None:
    groups = np.array([f"patient{row // 5}" for row in range(200)])
    for task, y in (("binary", BALANCED), ("regression", np.arange(200.0))):
        cut = folds(y, task, Tuning(folds=4), ordered=False, groups=groups)
        assert len(cut) == 4
        for fit, check in cut:
            assert not set(groups[fit]) & set(groups[check])
        assert sorted(np.concatenate([check for _, check in cut])) == list(range(200))


def test_other_rows_are_shuffled_and_stratified() -> None:
    rare = (np.arange(200) < 8).astype(int)
    cut = folds(rare, "binary", Tuning(folds=4), ordered=False)
    assert [rare[check].sum() for _, check in cut] == [2, 2, 2, 2]
    numbers = folds(np.arange(200.0), "regression", Tuning(folds=4), ordered=False)
    assert not np.array_equal(numbers[0][1], np.arange(50))
    again = folds(np.arange(200.0), "regression", Tuning(folds=4), ordered=False)
    other = folds(np.arange(200.0), "regression", Tuning(folds=4, seed=1), ordered=False)
    assert np.array_equal(numbers[0][1], again[0][1])
    assert not np.array_equal(numbers[0][1], other[0][1])


@pytest.mark.parametrize(
    ("y", "task", "options", "message"),
    [
        (np.arange(7.0), "regression", {"ordered": True}, "for there are 7 rows"),
        (np.array([0] * 97 + [1] * 3), "binary", {"ordered": False}, "for class 1 has 3 rows"),
        (
            np.array(["a"] * 60 + ["b"] * 60 + ["c"] * 2, dtype=object),
            "multiclass",
            {"ordered": False},
            "for class c has 2 rows",
        ),
        (
            np.arange(30.0),
            "regression",
            {"ordered": False, "groups": np.array(["a", "b", "c"] * 10)},
            "for there are 3 groups",
        ),
    ],
)
def test_too_few_rows_for_the_folds(y: Array, task: str, options: dict[str, Any], message: str) -> None:
    expected = rf"conf/tuning/: folds: 4 folds cannot be cut, {message}; use fewer folds or more rows"
    with pytest.raises(InputError, match=expected) as refused:
        folds(y, task, Tuning(folds=4), **options)
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("groups", [None, np.array(["a"] * 60 + ["b"] * 15 + ["c"] * 25)])
def test_a_fold_that_would_train_on_one_class(groups: Array | None) -> None:
    """Late positives, by time; or all positives in one group."""
    y = np.array([0] * 75 + [1] * 25)
    with pytest.raises(
        InputError, match=r"of \d folds one would train on a single class; use fewer folds or more rows"
    ):
        folds(y, "binary", Tuning(folds=3), ordered=groups is None, groups=groups)
