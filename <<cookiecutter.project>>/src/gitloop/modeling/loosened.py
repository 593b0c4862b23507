"""Bounds that are looser than main's: a worse model must not bring its own, lower bar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml

from gitloop import git, layout
from gitloop.errors import InputError
from gitloop.modeling.metrics import greater_is_better
from gitloop.modeling.verdicts import Evidence, Verdict, judge
from gitloop.settings import Data, Gates, parse

MORE = frozenset({"baseline"})  # a larger bound is the stricter one; of the others the smaller


class Looser(NamedTuple):
    """One bound, what it was and is (None: off), and why the model breaks what it was (empty: it keeps it)."""

    gate: str
    was: float | str | None
    now: float | str | None
    breaks: str = ""


def at(base: str | None, now: Data | None = None) -> Gates | None:
    """The bounds at a commit; None where they cannot be read, or held a model of something else than `now` declares."""
    params = git.content(base, layout.PARAMS) if base else None
    if params is None:
        return None
    try:
        was = parse(yaml.safe_load(params))
    except (InputError, yaml.YAMLError):
        return None
    other = now is not None and (was.data.target, was.data.task) != (now.target, now.task)
    return None if other else was.gates


def bounds(now: Gates, was: Gates | None, evaluation: Evidence, comparison: Evidence) -> list[Looser]:
    """The bounds that were loosened, and whether the model needs that."""
    if was is None:
        return []
    broken = {one.rule: one.why for one in judge(was, evaluation, comparison) if one.passed is False}
    kept = {one.rule for one in judge(now, evaluation, comparison) if one.passed is not False}
    found = []
    for one in looser(now, was):
        rule = one.gate.replace(".", " ")
        why = next((broken[name] for name in broken if _of(name, rule) and (name in kept or one.now is None)), "")
        found.append(one._replace(breaks=why))
    return found


def looser(now: Gates, was: Gates) -> list[Looser]:
    """The bounds that were loosened, whatever the model."""
    return [
        Looser(gate, before, after)
        for gate, before, after in _pairs(was.model_dump(), now.model_dump())
        if before is not None and before != after and (after is None or _looser(gate, before, after))
    ]


def verdicts(found: list[Looser], same: bool) -> list[Verdict]:
    """No model passes only because its own change loosened a bound; where the model is main's, loosening is free."""
    return [
        Verdict(
            f"loosened {one.gate}",
            passed=False,
            why=f"was {one.was} and is {one.now or 'off'}, which this model needs: {one.breaks}; loosen the bound in a "
            f"pull request of its own first, or bring a model that keeps it",
        )
        for one in found
        if one.breaks and not same
    ]


def _pairs(was: dict[str, Any], now: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Every bound by name, `gate.metric` where a gate has one for each metric."""
    for gate, before in was.items():
        after = now[gate]
        if isinstance(before, dict):
            for name, bound in before.items():
                yield f"{gate}.{name}", bound, (after or {}).get(name)
        else:
            yield gate, before, after


def _looser(gate: str, was: Any, now: Any) -> bool:
    if isinstance(was, str):
        return False  # another folder of tests is read by the reviewer
    name, _, metric = gate.partition(".")
    strict = name in MORE or (name in ("floor", "slice_floor") and greater_is_better(metric))
    return bool(now < was if strict else now > was)


def _of(rule: str, gate: str) -> bool:
    """Whether a verdict belongs to a gate: that of fairness names the column between."""
    name, _, rate = gate.partition(" ")
    return rule == gate or (name == "fairness" and rule.startswith("fairness ") and rule.endswith(f" {rate}"))
