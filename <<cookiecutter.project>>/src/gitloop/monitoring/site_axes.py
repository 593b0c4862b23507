"""Axes of a chart: numbers and times become places, with few round marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

DAY = 86_400.0
LETTER = 6.6  # width of a letter of 12 pixels, about


@dataclass(frozen=True)
class Axis:
    """From `low` to `high` in the unit of the data, which lie at `start` and `end` of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def axis(values: Sequence[float], start: float, end: float, *, room: float = 0.08) -> Axis:
    """An axis that holds all values, with some room at both ends."""
    low, high = min(values), max(values)
    extent = (high - low) or abs(high) or 1.0
    return Axis(low - room * extent, high + room * extent, start, end)


def marks(of: Axis, count: int = 5) -> list[float]:
    """About `count` round numbers on an axis: one, two or five times a power of ten apart."""
    rough = (of.high - of.low) / max(count, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.ceil(of.low / step - 1e-9)
    last = math.floor(of.high / step + 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def seconds(time: str) -> float:
    """Of a time in ISO 8601; without a zone it is UTC."""
    found = datetime.fromisoformat(time.replace("Z", "+00:00"))
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def days(of: Axis, count: int) -> list[tuple[float, str]]:
    """So many times on an axis, at equal distances, with their days; of a short time with their hours."""
    step = (of.high - of.low) / count
    form = "%Y-%m-%d" if step >= DAY else "%m-%d %H:%M"
    places = [of.low + step * (number + 0.5) for number in range(count)]
    return [(place, datetime.fromtimestamp(place, UTC).strftime(form)) for place in places]


def apart(wanted: Sequence[tuple[float, str]], room: float = 8) -> list[tuple[float, str]]:
    """Labels at places, of which none covers one that was placed before: the newest are kept."""
    kept: list[tuple[float, str]] = []
    free = math.inf
    for place, words in sorted(wanted, reverse=True):
        if place + len(words) * LETTER <= free:
            kept.append((place, words))
            free = place - room
    return kept[::-1]
