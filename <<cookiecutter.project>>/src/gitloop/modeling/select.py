"""Pick the best candidate by cross-validation, or a simpler one that is as good, and say why."""

from __future__ import annotations

import argparse
from typing import Any, TypedDict

from gitloop import layout, settings, ui
from gitloop.errors import InputError
from gitloop.files import read_json, write_json
from gitloop.settings import LOSSES


class Ranked(TypedDict):
    """One candidate's place: cross-validated mean and standard error of the metric."""

    candidate: str
    mean: float
    se: float
    complexity: int


class Selection(TypedDict):
    """The content of metrics/selected.json."""

    candidate: str
    reason: str
    metric: str
    mean: float
    se: float
    model: dict[str, str]
    ranking: list[Ranked]


def run(_: argparse.Namespace) -> None:
    """`gitloop select`."""
    loaded = settings.load()
    metric = loaded.data.metric
    selection = choose([_read(name, metric) for name in loaded.candidate], metric)
    write_json(layout.SELECTED, selection)
    ui.say(selection["reason"])


def _read(name: str, metric: str) -> dict[str, Any]:
    path = layout.candidate_metrics(name)
    told: dict[str, Any] = read_json(path, f"dvc repro train@{name}")
    if told["cv"].get(metric, {}).get("mean") is None:
        raise InputError(f"{path}: has no cross-validated {metric}; run `dvc repro train@{name}`")
    return told


def choose(candidates: list[dict[str, Any]], metric: str) -> Selection:
    """Of the candidates within one standard error of the best the least complex, then the better, then by name.

    `candidates`: contents of metrics/candidates/*.json. The one-standard-error rule is that of Breiman, Friedman,
    Olshen and Stone (1984), Classification and Regression Trees, section 3.4.3.
    """
    sign = -1 if metric in LOSSES else 1
    ranking = [
        Ranked(
            candidate=one["candidate"],
            mean=one["cv"][metric]["mean"],
            se=one["cv"][metric]["se"],
            complexity=one["complexity"],
        )
        for one in candidates
    ]
    ranking.sort(key=lambda one: (-sign * one["mean"], one["complexity"], one["candidate"]))
    best = ranking[0]
    margin = best["se"] * (1 + 1e-9)  # what is on the margin but for rounding is within it
    equals = [one for one in ranking if abs(best["mean"] - one["mean"]) <= margin]
    chosen = min(equals, key=lambda one: (one["complexity"], -sign * one["mean"], one["candidate"]))
    return Selection(
        candidate=chosen["candidate"],
        reason=_reason(chosen, ranking, metric),
        metric=metric,
        mean=chosen["mean"],
        se=chosen["se"],
        model=next(one["model"] for one in candidates if one["candidate"] == chosen["candidate"]),
        ranking=ranking,
    )


def _reason(chosen: Ranked, ranking: list[Ranked], metric: str) -> str:
    best = ranking[0]
    if chosen is not best:
        return (
            f"{chosen['candidate']} is simpler than {best['candidate']} and within one standard error of it: "
            f"cross-validated {metric} {_shown(chosen)} against {_shown(best)}."
        )
    if len(ranking) == 1:
        return f"{best['candidate']} is the only candidate: cross-validated {metric} {_shown(best)}."
    second = ranking[1]
    return (
        f"{best['candidate']} has the best cross-validated {metric}, {_shown(best)}; "
        f"{second['candidate']} follows with {_shown(second)}."
    )


def _shown(one: Ranked) -> str:
    return f"{one['mean']:.4g} ± {one['se']:.2g}"
