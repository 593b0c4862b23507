"""Which predictions are worth a label: where the model is least sure, what it was least trained on, and a fair draw.

Reads and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa

from gitloop.arrays import Array
from gitloop.contract import Contract
from gitloop.data.table import array
from gitloop.monitoring.quality import COMPARED, watchable
from gitloop.monitoring.references import Reference
from gitloop.monitoring.scored import likely
from gitloop.settings import Labels

Why = Literal["random", "uncertain", "drifted"]
NAMED = 3  # columns that are said to be strange
STRANGE = -math.log(0.05)  # the surprise from which one is


class Pick(NamedTuple):
    row: int
    why: Why
    words: str  # one sentence


class Said(NamedTuple):
    """Of each row how much speaks for a label, NaN where that is not known, and what is said of the row then."""

    score: Array  # (n,); the greater, the more
    words: list[str]


def picks(rows: int, uncertain: Said, drifted: Said, how: Labels, seed: int) -> list[Pick]:
    """At most `how.tasks` of the rows, each once, in their order.

    Those at random come first, so that they are a fair draw of all rows; among equals, too, the draw decides. Where
    too few rows are known to be uncertain or to have drifted, fewer are picked.
    """
    drawn = np.random.default_rng(seed).permutation(rows)
    wanted = _shared(min(how.tasks, rows), how)
    found = {int(row): Pick(int(row), "random", "drawn at random") for row in drawn[: wanted["random"]]}
    shares: tuple[tuple[Why, Said], ...] = (("uncertain", uncertain), ("drifted", drifted))
    for why, said in shares:
        order = drawn[np.argsort(-said.score[drawn], kind="stable")]
        left = [int(row) for row in order if not math.isnan(said.score[row]) and int(row) not in found]
        found |= {row: Pick(row, why, said.words[row]) for row in left[: wanted[why]]}
    return [found[row] for row in sorted(found)]


def _shared(tasks: int, how: Labels) -> dict[str, int]:
    """So many tasks by share: whole numbers that make the sum, the largest remainders rounded up."""
    shares = {"random": how.random, "uncertain": how.uncertain, "drifted": how.drifted}
    counts = {name: math.floor(tasks * share + 1e-9) for name, share in shares.items()}
    order = sorted(shares, key=lambda name: (counts[name] - tasks * shares[name], name))
    for name in order[: tasks - sum(counts.values())]:
        counts[name] += 1
    return counts


def uncertain(rows: pa.Table, contract: Contract, threshold: Mapping[str, float]) -> Said:
    """How near the decision was: of `version → threshold` where two classes are, else between the two likeliest.

    A regression says no probability: there it is how far from the middle of the predictions, where errors are largest
    as a rule.
    """
    if contract.task == "binary":
        p = np.asarray(rows.column("_probability").to_numpy(zero_copy_only=False), dtype=np.float64)
        bound = np.array([threshold[one] for one in rows.column("_version").to_pylist()], dtype=np.float64)
        words = [f"probability {one:.3f}, decided at {at:g}" for one, at in zip(p, bound, strict=True)]
        return Said(-np.abs(p - bound), words)
    if contract.task == "multiclass":
        pairs = [likely(one) for one in rows.column("_probabilities").to_pylist()]
        margin = np.array([one[0][1] - one[1][1] if len(one) > 1 else math.nan for one in pairs], dtype=np.float64)
        return Said(-margin, [", ".join(f"{name} {p:.3f}" for name, p in one) for one in pairs])
    said = np.asarray(rows.column("_prediction").to_numpy(zero_copy_only=False), dtype=np.float64)
    middle = float(np.nanmedian(said)) if np.isfinite(said).any() else math.nan
    return Said(np.abs(said - middle), [f"predicted {one:.4g}, in the middle {middle:.4g}" for one in said])


def drifted(
    rows: pa.Table, references: Mapping[str, Reference], moved: Mapping[str, Collection[str]], contract: Contract
) -> Said:
    """How little each row is like the training rows of the version that predicted it.

    Of each column the surprise: minus the logarithm of the share of training rows whose value is at least as rare,
    farther out or less frequent. Their sum counts, over the columns that have `moved` by version, else over all.
    """
    version = np.array(rows.column("_version").to_pylist(), dtype=object)
    score, words = np.full(rows.num_rows, math.nan), [""] * rows.num_rows
    for name, reference in references.items():
        mine = np.flatnonzero(version == name)
        surprises = _surprises(rows.take(pa.array(mine)), reference, moved.get(name, ()), contract)
        if not surprises:
            continue
        each = np.stack(list(surprises.values()))
        score[mine] = each.sum(axis=0)
        for place, row in enumerate(mine):
            words[row] = _strange(list(surprises), each[:, place])
    return Said(score, words)


def _strange(names: list[str], surprise: Array) -> str:
    order = [index for index in np.argsort(-surprise, kind="stable")[:NAMED] if surprise[index] >= STRANGE]
    return f"rare in the training rows: {', '.join(names[index] for index in order) or 'the row as a whole'}"


def _surprises(rows: pa.Table, reference: Reference, moved: Collection[str], contract: Contract) -> dict[str, Array]:
    columns = reference.signature.contract.columns
    names = [
        name
        for name in watchable(reference.signature.contract, reference.rows)
        if columns[name].type in COMPARED
        and name in rows.column_names
        and contract.columns[name].type == columns[name].type
    ]
    chosen = [name for name in names if name in moved] or names
    found = {}
    for name in chosen:
        kind = columns[name].type
        before, now = (array(one.column(name), kind) for one in (reference.rows, rows))
        found[name] = -np.log(_far(before, now) if kind == "numeric" else _infrequent(before, now))
    return found


def _far(before: Array, now: Array) -> Array:
    """Of numbers (m,) the share of `before` (n,) that is at least as far out, on either side; nulls are a value."""
    rows, known = len(before), np.sort(before[~np.isnan(before)])
    below = np.searchsorted(known, now, side="right")
    above = len(known) - np.searchsorted(known, now, side="left")
    share: Array = (2 * np.minimum(below, above) + 1) / (rows + 1)
    return np.where(np.isnan(now), (rows - len(known) + 1) / (rows + 1), np.minimum(share, 1.0))


def _infrequent(before: Array, now: Array) -> Array:
    """Of categories (m,) the share of `before` (n,) whose category is at most as frequent; null is one of them."""
    names, counts = np.unique(before.astype(str), return_counts=True)
    held = {name: int(counts[counts <= count].sum()) for name, count in zip(names.tolist(), counts, strict=True)}
    return np.array([held.get(one, 0) + 1 for one in now.astype(str)], dtype=np.float64) / (len(before) + 1)
