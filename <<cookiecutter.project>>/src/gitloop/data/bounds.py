"""The gates that a first model of a table must keep: those of conf/gates/, moved where the table asks for it."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gitloop.data.decide import Table
from gitloop.data.trial import Trial

WEAK = 0.2  # skill below which half of the stock `baseline` is asked for
CLEAR = {"roc_auc": 0.5, "r2": 0.25}  # skill from which the stock floor leaves room
TEST = 0.2  # share of the rows in the test slice
CHANCE = 1.26  # times 1/√rows: what chance alone adds to the calibration error in ten bins, at most (√(2·10/π)·½)


class Bound(NamedTuple):
    gate: str
    value: Any
    why: str


def bounds(table: Table, tried: Trial, gates: dict[str, Any]) -> list[Bound]:
    """What to change in `gates`, with the reason. A bound is only ever loosened."""
    found = [*_floor(table, tried, gates), *_baseline(tried, gates)]
    found += [*_calibration(table, gates), *_gap(tried, gates), *_leakage(table, tried, gates)]
    return found


def _floor(table: Table, tried: Trial, gates: dict[str, Any]) -> list[Bound]:
    """An absolute floor suits a known target; for a new one `baseline` asks for a margin over the dummy."""
    need = CLEAR.get(table.outcome.metric)
    if not gates.get("floor") or (need is not None and tried.skill >= need):
        return []
    return [Bound("floor", None, "`baseline` holds the model to the dummy; set a floor when its level is known")]


def _baseline(tried: Trial, gates: dict[str, Any]) -> list[Bound]:
    bound = gates.get("baseline")
    if bound is None or tried.skill >= WEAK:
        return []
    far = (
        f"goes {tried.skill:.0%} of the way from the dummy to perfect" if tried.skill > 0 else "does not beat the dummy"
    )
    return [Bound("baseline", bound / 2, f"a trial {far}")]


def _calibration(table: Table, gates: dict[str, Any]) -> list[Bound]:
    bound, rows = gates.get("calibration"), max(1, round(TEST * table.rows))
    noise = CHANCE / math.sqrt(rows)
    if bound is None or noise < 0.3 * bound:
        return []
    return [Bound("calibration", _up(bound + noise), f"a test slice of {rows:,} rows adds so much by chance")]


def _gap(tried: Trial, gates: dict[str, Any]) -> list[Bound]:
    bound = gates.get("gap")
    if bound is None or 1.3 * tried.gap <= bound:
        return []
    wanted, why = _up(1.3 * tried.gap + 0.05), f"a model can be {tried.gap:.2f} better on rows it has seen"
    return [Bound("gap", None if wanted > 0.9 else wanted, why)]


def _leakage(table: Table, tried: Trial, gates: dict[str, Any]) -> list[Bound]:
    bound = gates.get("leakage")
    alone = {name: tried.alone[name] for name in table.features if name in tried.alone}
    strongest = max(alone, key=lambda name: alone[name], default=None)
    if bound is None or strongest is None or alone[strongest] <= bound - 0.1:
        return []
    wanted = _up(alone[strongest] + 0.1)
    return [
        Bound("leakage", None if wanted >= 1 else wanted, f"{strongest} alone goes {alone[strongest]:.0%} of the way")
    ]


def _up(value: float) -> float:
    return math.ceil(value * 100 - 1e-9) / 100
