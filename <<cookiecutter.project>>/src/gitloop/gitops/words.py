"""Numbers as a reviewer reads them."""

from __future__ import annotations

from typing import Any

from gitloop import ui
from gitloop.modeling import metrics


def change(metric: str, new: float | None, old: float | None) -> str | None:
    """How much better or worse a metric became, in its unit."""
    if new is None or old is None:
        return None
    gained = metrics.gain(metric, new, old)
    return "none" if not gained else f"{abs(gained):.3g} {'better' if gained > 0 else 'worse'}"


def interval(one: dict[str, Any]) -> str | None:
    """The interval of a value."""
    return None if one["low"] is None else f"{ui.cell(one['low'])} to {ui.cell(one['high'])}"


def gain(one: dict[str, Any]) -> str | None:
    """A gain with its interval: positive is better."""
    if one["value"] is None:
        return None
    return f"{one['value']:+.3g}{bounds(one)}"


def bounds(one: dict[str, Any]) -> str:
    """The interval of a gain, in brackets; empty where there is none."""
    return "" if one["low"] is None else f" ({one['low']:+.3g} to {one['high']:+.3g})"


def sure(one: dict[str, Any]) -> bool:
    """Whether a loss is beyond chance: its interval leaves out zero."""
    return one["high"] is not None and one["high"] < 0


def time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 60 else f"{seconds / 60:.1f} minutes"


def size(number: float) -> str:
    for unit in ("bytes", "kB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"
