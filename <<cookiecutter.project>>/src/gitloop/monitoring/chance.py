"""Whether a value is beyond its bound by more than chance would put it there."""

from __future__ import annotations

import math
from collections.abc import Mapping

from scipy import stats

from gitloop.modeling.intervals import Interval

FAMILIES = 6  # metrics, slices and fairness: a sixth of the level each; the other half is for the columns


def critical(tests: int, alarms: float) -> float:
    """Standard errors that chance exceeds in none of so many tests, at the level `alarms` for all families of them."""
    return float(stats.norm.isf(alarms / FAMILIES / max(tests, 1)))


def error_of(one: Interval | Mapping[str, float | None], confidence: float) -> float:
    """The standard error behind an interval."""
    low, high = (one.low, one.high) if isinstance(one, Interval) else (one.get("low"), one.get("high"))
    if low is None or high is None or math.isnan(low) or math.isnan(high):
        return math.nan
    return (high - low) / (2 * float(stats.norm.isf((1 - confidence) / 2)))


def beyond(away: float, error: float, critical: float) -> bool:
    """Whether a value is beyond a bound by more than chance. Without an error it is not."""
    return away > 0 and not math.isnan(error) and away >= critical * error
