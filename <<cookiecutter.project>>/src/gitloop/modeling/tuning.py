"""Search a candidate's arguments within the declared budget, and cut training rows into folds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold, TimeSeriesSplit

from gitloop import ui
from gitloop.arrays import Array
from gitloop.errors import InputError
from gitloop.settings import Dimension, Tuning

Folds = list[tuple[Array, Array]]  # row numbers to train on and to check on
Objective = Callable[[Mapping[str, Any], Array], float]  # parameters, row numbers → cross-validated metric

CONF = "conf/tuning/"
FACTOR = 3  # halving: one in three goes on, to three times the rows; Hyperband's customary value
RUNGS = 3
FEWEST = 1000  # halving: below so many rows scores are mostly noise


class Trial(NamedTuple):
    number: int
    parameters: dict[str, Any]
    value: float  # in the metric's own direction; NaN where it is not defined
    complete: bool  # judged on all rows of the search


def folds(y: Array, task: str, settings: Tuning, ordered: bool, groups: Array | None = None) -> Folds:
    """Cut rows: by time where `ordered`, whole groups where there are any, else shuffled; stratified by class.

    Raises `InputError` where rows, groups or a class are too few.
    """
    count = settings.folds
    few = _too_few(y, task, count, ordered, groups)
    if few:
        raise InputError(f"{CONF}: folds: {count} folds cannot be cut, for {few}; use fewer folds or more rows")
    classes = task != "regression"
    shuffled = {"shuffle": True, "random_state": settings.seed}
    if ordered:
        cut = list(TimeSeriesSplit(count).split(y))
    elif groups is not None:
        kind = StratifiedGroupKFold if classes else GroupKFold
        cut = list(kind(count, **shuffled).split(y, y, groups))
    else:
        kind = StratifiedKFold if classes else KFold
        cut = list(kind(count, **shuffled).split(y, y))
    if classes and any(len(np.unique(y[fit])) < 2 for fit, _ in cut):
        raise InputError(
            f"{CONF}: folds: of {count} folds one would train on a single class; use fewer folds or more rows"
        )
    return cut


def _too_few(y: Array, task: str, count: int, ordered: bool, groups: Array | None) -> str:
    if len(y) < 2 * count:
        return f"there are {len(y)} rows"
    if groups is not None and (several := len(np.unique(groups))) < count:
        return f"there are {several} groups"
    if not ordered and task != "regression":
        names, rows = np.unique(y, return_counts=True)
        if rows.min() < count:
            return f"class {names[rows.argmin()]} has {rows.min()} rows"
    return ""


def search(
    name: str,
    space: Mapping[str, Dimension],
    *,
    own: Mapping[str, Any],
    objective: Objective,
    rows: Sequence[Array],
    settings: Tuning,
    greater_is_better: bool,
) -> tuple[dict[str, Any], list[Trial]]:
    """The best parameters and every trial; the first is the candidate's `own`, as far as the space holds them.

    optuna: one trial after another, each proposed by the ones before (tree-structured Parzen estimator), on the last of
    `rows`. halving: all trials drawn at random, and judged on the first of `rows`; the best third of them is judged on
    the next, and so on (Jamieson and Talwalkar 2016, Non-stochastic best arm identification, algorithm 1).
    """
    if settings.method == "none" or not space:
        return {}, []
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    together = settings.method == "halving"
    sampler = optuna.samplers.RandomSampler if together else optuna.samplers.TPESampler
    more: dict[str, Any] = {} if together else {"n_startup_trials": max(2, settings.trials // 2)}
    direction = "maximize" if greater_is_better else "minimize"
    study = optuna.create_study(direction=direction, sampler=sampler(seed=settings.seed, **more))
    study.enqueue_trial({key: own[key] for key in space if key in own and _holds(space[key], own[key])})
    steps = rows if together else rows[-1:]
    with ui.progress(f"tune {name}", settings.trials) as advance:
        for batch in [settings.trials] if together else [1] * settings.trials:
            left = [study.ask() for _ in range(batch)]
            proposed = {trial.number: _propose(trial, space) for trial in left}
            for step, some in enumerate(steps, start=1):
                values = {}
                for trial in left:
                    values[trial.number] = objective(proposed[trial.number], some)
                    trial.report(values[trial.number], step)
                goes_on = _best(values, greater_is_better) if step < len(steps) else set()
                for trial in left:
                    if trial.number not in goes_on:
                        _tell(study, trial, values[trial.number], complete=step == len(steps))
                        advance(1, _shown(study))
                left = [trial for trial in left if trial.number in goes_on]
    trials = [_told(trial) for trial in study.trials]
    if not any(trial.complete for trial in trials):
        raise InputError(f"{CONF}: rows: {name}: the metric is not defined on any of the rows searched; use more rows")
    return dict(study.best_params), trials


def ladder(rows: Array, ordered: bool, possible: Callable[[Array], bool]) -> list[Array]:
    """A ninth, a third and all of the rows, the latest where `ordered`; steps not `possible` are left out."""
    sizes = [len(rows) // FACTOR**step for step in reversed(range(1, RUNGS))]
    parts = [rows[-size:] if ordered else rows[:size] for size in sizes if size >= FEWEST]
    return [*(part for part in parts if possible(part)), rows]


def _best(values: Mapping[int, float], greater_is_better: bool) -> set[int]:
    """The best third, one at least; what is not defined comes last, and of equals the earlier first."""
    sign = -1 if greater_is_better else 1
    order = sorted(values, key=lambda number: (math.isnan(values[number]), sign * values[number], number))
    return set(order[: -(-len(order) // FACTOR)])


def _tell(study: optuna.Study, trial: optuna.Trial, value: float, complete: bool) -> None:
    if math.isnan(value):
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    elif complete:
        study.tell(trial, value)
    else:
        study.tell(trial, state=optuna.trial.TrialState.PRUNED)


def _shown(study: optuna.Study) -> str:
    done = study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
    return f"best {study.best_value:.4f}" if done else ""


def _told(trial: optuna.trial.FrozenTrial) -> Trial:
    last = trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else math.nan
    return Trial(trial.number, dict(trial.params), last, trial.state == optuna.trial.TrialState.COMPLETE)


def _holds(dimension: Dimension, value: Any) -> bool:
    if dimension.choices is not None:
        return value in dimension.choices
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return numeric and float(dimension.low or 0) <= value <= float(dimension.high or 0)


def _propose(trial: optuna.Trial, space: Mapping[str, Dimension]) -> dict[str, Any]:
    return {key: _suggest(trial, key, dimension) for key, dimension in space.items()}


def _suggest(trial: optuna.Trial, key: str, dimension: Dimension) -> Any:
    if dimension.choices is not None:
        return trial.suggest_categorical(key, dimension.choices)
    low, high = dimension.low, dimension.high
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=dimension.log)
    return trial.suggest_float(key, float(low or 0), float(high or 0), log=dimension.log)
