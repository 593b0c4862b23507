"""Columns that say what another one says: the same values, other names for them, or a straight line of them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gitloop.arrays import Array

LINE = 0.99999  # correlation from which a column is a straight line of another: another unit, another sign
OFTEN = 2  # rows of each value, on average, from which names can be compared


def twins(x: Mapping[str, Array]) -> dict[str, str]:
    """Column → the earliest one that says the same. `x` are columns (n,) of numbers, NaN where missing."""
    seen: dict[bytes, str] = {}
    found: dict[str, str] = {}
    alike: dict[bytes, list[str]] = {}  # columns by where they have values
    for name, values in x.items():
        first = seen.setdefault(_named_by_place(values), name)
        if first != name:
            found[name] = first
        else:
            alike.setdefault(np.isnan(values).tobytes(), []).append(name)
    for names in alike.values():
        found |= _lines({name: x[name] for name in names})
    return found


def _named_by_place(values: Array) -> bytes:
    """The same bytes for columns with the same values, or, where values recur, with other names for them."""
    known = values[~np.isnan(values)]
    distinct, first, codes = np.unique(values, return_index=True, return_inverse=True)
    if len(distinct) * OFTEN > max(len(known), 1):
        return values.tobytes()
    return np.argsort(np.argsort(first))[codes].astype(np.float64).tobytes()


def _lines(x: Mapping[str, Array]) -> dict[str, str]:
    names = list(x)
    known = ~np.isnan(next(iter(x.values())))
    values = np.array([one[known] for one in x.values()])
    varied = values.std(axis=1) > 0 if known.any() else np.zeros(len(names), bool)
    names, values = [name for name, one in zip(names, varied, strict=True) if one], values[varied]
    if len(names) < 2 or known.sum() < 3:
        return {}
    correlated = np.abs(np.corrcoef(values)) >= LINE
    found: dict[str, str] = {}
    for index, name in enumerate(names):
        first = int(correlated[index].argmax())
        if first < index:
            found[name] = names[first]
    return found
