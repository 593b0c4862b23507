"""Features from dates and times, for tables that have nothing better: named in conf/features/ as `derive`.

A model sees no date itself. Each column becomes its month, weekday and hour, and each pair of columns the days from the
first to the second. Columns that say nothing, such as the hour of a date, are left out in training (`drop_constant`).
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from gitloop.arrays import Array, Columns

PAIRED = 5  # columns that are compared with each other, at most
EPOCH = np.datetime64("1970-01-01", "us")  # a Thursday
DAY = np.timedelta64(1, "D")


def derive(columns: Columns) -> Columns:
    """For a table with a timestamp: what is counted from a fixed day would never be seen again."""
    times = {name: values for name, values in columns.items() if values.dtype.kind == "M"}
    derived: Columns = {}
    for name, values in times.items():
        days = np.floor(_days(values))
        months = values.astype("datetime64[M]")
        derived[f"{name} month"] = _number(months - months.astype("datetime64[Y]"), np.timedelta64(1, "M")) + 1
        derived[f"{name} weekday"] = (days + 3) % 7  # 0 is Monday
        derived[f"{name} hour"] = np.floor((_days(values) - days) * 24 + 1e-9)
    for first, second in combinations(list(times)[:PAIRED], 2):
        derived[f"days from {first} to {second}"] = _days(times[second]) - _days(times[first])
    return derived


def with_years(columns: Columns) -> Columns:
    """For a table without a timestamp: also the year, with its part that has gone by."""
    years = {
        f"{name} year": 1970 + _days(values) / 365.2425 for name, values in columns.items() if values.dtype.kind == "M"
    }
    return derive(columns) | years


def _days(values: Array) -> Array:
    return _number(values - EPOCH, DAY)


def _number(spans: Array, unit: np.timedelta64) -> Array:
    """Spans of time as numbers of a unit, NaN where there is none."""
    return np.asarray(spans / unit, dtype=np.float64)
