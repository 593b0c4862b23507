"""Rows on the edges of what a contract allows: where two implementations of one model part first."""

from __future__ import annotations

from typing import Any

import numpy as np

from gitloop.arrays import Array, Columns
from gitloop.contract import Column

DRAWN = 1000  # rows that mix the columns' edges
UNSEEN = "a category that no row has"
SEEN = 20  # categories of an open column; the test rows have the others
YEAR = np.timedelta64(366, "D")  # a model is asked of later times than it was trained on


def boundary(rows: Columns, columns: dict[str, Column]) -> Columns:
    """Rows on the edges of what the contract allows: one column at a time on each of its edges, then mixtures.

    `rows`: canonical columns of at least one row, which say what is usual and where no range is declared.
    """
    edges = {name: _edges(values, columns[name]) for name, values in rows.items()}
    count = len(next(iter(rows.values())))
    base = np.unique(np.linspace(0, count - 1, 3).astype(int))
    drawn = np.random.default_rng(0)
    whole: dict[str, list[Array]] = {name: [] for name in rows}
    for edged, values in edges.items():
        for name, of in rows.items():
            whole[name].append(np.repeat(of[base], len(values)) if name != edged else np.tile(values, len(base)))
    for name, values in edges.items():
        whole[name] += [
            values[:1],
            values[1:2] if len(values) > 1 else values[:1],
            values[-1:],
        ]  # lowest, highest, null
        whole[name].append(values[drawn.integers(0, len(values), DRAWN)])
    return {name: np.concatenate(parts) for name, parts in whole.items()}


def _edges(values: Array, column: Column) -> Array:
    """The values of one column on its edges, lowest and highest first, null (where allowed) last."""
    found: list[Any]
    if column.type == "datetime":
        times = values[~np.isnat(values)]
        found = [times.min(), times.max() + YEAR] if len(times) else []
        return np.array(found + [np.datetime64("NaT")] * column.nullable, dtype="datetime64[us]")
    if column.type in ("numeric", "boolean"):
        known = values[~np.isnan(values)]
        low, high = column.range or ((0.0, 1.0) if column.type == "boolean" else (None, None))
        seen = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        found = [seen[0] if low is None else low, seen[1] if high is None else high, *seen, 0.0]
        found = [one for one in found if (low is None or one >= low) and (high is None or one <= high)]
        return np.array(found + [np.nan] * column.nullable, dtype=np.float64)
    if column.type == "text":
        found = ["a", *values[:3].tolist()]
    else:
        unseen = UNSEEN.upper() if column.case == "upper" else UNSEEN
        found = list(column.categories or [unseen, *sorted(set(values))[:SEEN]])
    return np.array([one for one in found if one != ""] + [""] * column.nullable, dtype=object)
