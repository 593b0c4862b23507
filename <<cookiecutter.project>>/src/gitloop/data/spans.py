"""The range that a column of numbers is held to: wide enough for a new record, too narrow for another unit."""

from __future__ import annotations

import math

from gitloop.data.table import EXACT


def span(low: float, high: float, whole: bool) -> list[float | int | None]:
    """A range that later rows should not leave: once the observed width on either side, rounded outwards.

    Amounts that are never negative stay so, shares stay within 0 and 1. Both ends are there to catch another unit or
    a slipped column, not a new record.
    """
    if low >= 0 and high <= 1 and not whole:
        return [0, 1]
    width = (high - low) or abs(high) or 1.0
    bottom = 0.0 if low >= 0 else _rounded(low - width, up=False)
    top = 0.0 if high <= 0 else _rounded(high + width, up=True)
    return [_plain(bottom), _plain(top)]


def _rounded(value: float, *, up: bool) -> float:
    """To two digits, away from the data."""
    if value == 0:
        return 0.0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    return (math.ceil(value / step) if up else math.floor(value / step)) * step


def _plain(value: float) -> float | int:
    return int(value) if value.is_integer() and abs(value) < EXACT else float(f"{value:.6g}")
