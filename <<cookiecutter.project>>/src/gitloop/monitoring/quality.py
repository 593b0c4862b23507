"""Whether the rows of a window are what the model was trained on at all: columns, types, nulls, categories, rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from scipy import stats

from gitloop.arrays import Array
from gitloop.contract import Column, Contract
from gitloop.data.table import array
from gitloop.monitoring.findings import Finding
from gitloop.monitoring.watched import Lines
from gitloop.settings import Monitoring

NATIVE = ("numeric", "boolean")  # types that JSON has; the others are text
COMPARED = ("numeric", "categorical", "boolean")  # types that have a distance


@dataclass(frozen=True)
class Values:
    """One column in the reference and in the window: values that are there, as numbers or text."""

    name: str
    kind: str
    before: Array
    now: Array
    rows_before: int
    rows: int

    @property
    def missing_before(self) -> float:
        return 1 - len(self.before) / max(self.rows_before, 1)

    @property
    def missing(self) -> float:
        return 1 - len(self.now) / max(self.rows, 1)


def there(values: pa.ChunkedArray, kind: str) -> Array:
    """The values of a canonical column that are not missing: numbers, or text."""
    found = array(values, kind)
    if kind in ("categorical", "text"):
        return np.asarray(found[found != ""], dtype=object)
    if kind == "datetime":
        return found[~np.isnat(found)]
    known = found[~np.isnan(found)]
    return np.where(known > 0, "true", "false").astype(object) if kind == "boolean" else known


def values(name: str, column: Column, before: pa.Table, now: pa.Table) -> Values:
    parts = [there(one.column(name), column.type) for one in (before, now)]
    return Values(name, column.type, parts[0], parts[1], before.num_rows, now.num_rows)


def watchable(contract: Contract, before: pa.Table) -> list[str]:
    """What a model's inputs are compared by: features and sensitive columns that may be logged."""
    names = contract.named("feature", "sensitive")
    return [name for name in names if name in before.column_names and contract.columns[name].logged]


def of_column(one: Values, lines: Lines, how: Monitoring, level: float, known: Collection[str]) -> Iterator[Finding]:
    """What is wrong with a column before any distribution is looked at. `known`: the contract's categories."""
    if not len(one.now):
        yield _without(one, lines)
        return
    yield from _typed(one, lines)
    yield from _missing(one, how.quality.missing, level)
    if one.kind in COMPARED and len(one.now) >= how.min_rows:
        yield from _constant(one, level)
    if one.kind == "categorical":
        yield from _unseen(one, how.quality.unseen, level, known)


def _without(one: Values, lines: Lines) -> Finding:
    wrong = lines.unreadable.get(one.name, 0)
    before = f"{1 - one.missing_before:.2%} of the reference has one"
    if wrong:
        words = f"{one.name}: no value can be read as {one.kind} ({wrong:,} are something else); {before}"
        return Finding("type", words, one.name, 1.0, 0.0, one.rows)
    if one.name not in lines.sent:
        words = f"{one.name}: the column is gone: no line of {one.rows:,} holds it; {before}"
        return Finding("gone", words, one.name, 1.0, 0.0, one.rows)
    words = f"{one.name}: all {one.rows:,} values are missing; {before}"
    return Finding("empty", words, one.name, 1.0, one.missing_before, one.rows)


def _typed(one: Values, lines: Lines) -> Iterator[Finding]:
    wrong = lines.unreadable.get(one.name, 0)
    if wrong:
        share = wrong / max(lines.predictions, 1)
        words = f"{one.name}: {wrong:,} of {lines.predictions:,} values ({share:.2%}) cannot be read as {one.kind}"
        yield Finding("type", words, one.name, share, 0.0, lines.predictions)
    elif one.kind in NATIVE and (other := [kind for kind in lines.sent.get(one.name, ()) if kind != one.kind]):
        words = f"{one.name}: {one.kind} values are sent as {', '.join(other)}; they are read, but mend the sender"
        yield Finding("type", words, one.name, None, None, one.rows)


def _missing(one: Values, bound: float, level: float) -> Iterator[Finding]:
    more = one.missing - one.missing_before
    both = one.missing * one.rows + one.missing_before * one.rows_before
    share = both / (one.rows + one.rows_before)
    error = np.sqrt(share * (1 - share) * (1 / one.rows + 1 / one.rows_before))
    if more >= bound and error > 0 and stats.norm.sf(more / error) <= level:
        words = (
            f"{one.name}: {one.missing:.2%} of {one.rows:,} values are missing, {one.missing_before:.2%} of the "
            f"reference; the bound is {bound:.2%} more"
        )
        yield Finding("missing", words, one.name, one.missing, one.missing_before + bound, one.rows)


def _constant(one: Values, level: float) -> Iterator[Finding]:
    """One value where the reference has several, and chance would not give as much."""
    if not len(one.before) or (one.now != one.now[0]).any():
        return
    same = float(np.mean(one.before == one.now[0]))
    if len(one.now) * np.log(max(same, 1e-12)) <= np.log(level):
        words = f"{one.name}: all {len(one.now):,} values are the same; {same:.2%} of the reference has this one"
        yield Finding("constant", words, one.name, 1.0, same, len(one.now))


def _unseen(one: Values, bound: float, level: float, known: Collection[str]) -> Iterator[Finding]:
    """Categories that neither the reference nor the contract has.

    A sample misses rare ones: their share is about that of the values that it has once (Good 1953).
    """
    names, counts = np.unique(one.before.astype(str), return_counts=True)
    rare = float((counts == 1).sum() / max(len(one.before), 1))
    found, times = np.unique(one.now.astype(str), return_counts=True)
    new = ~np.isin(found, [*names, *known])
    rows = int(times[new].sum())
    share = rows / len(one.now)
    if share - rare >= bound and stats.binom.sf(rows - 1, len(one.now), min(rare, 1)) <= level:
        words = (
            f"{one.name}: {share:.2%} of {len(one.now):,} values are of {int(new.sum())} categories that the reference "
            f"does not have; {rare:.2%} are expected, the bound is {bound:.2%} more"
        )
        yield Finding("unseen", words, one.name, share, rare + bound, len(one.now))


def of_contract(rows: pa.Table, contract: Contract, needed: Collection[str], bound: float) -> Iterator[Finding]:
    """Rules of the contract that more than a share `bound` of the rows break. Columns not `needed` may be missing."""
    import pandas as pd

    from gitloop.data import checks

    columns = {
        name: column if name in needed else column.model_copy(update={"nullable": True, "unique": False})
        for name, column in contract.columns.items()
        if name in rows.column_names and name != contract.target
    }
    frame = rows.select(list(columns)).to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
    cases = checks.failures(checks.schema(columns, []), frame)
    for (column, rule), count in sorted(Counter(zip(cases["column"], cases["rule"], strict=True)).items()):
        share = count / len(frame)
        if share > bound:
            words = (
                f"{column}: {count:,} of {len(frame):,} values ({share:.2%}) break the contract ({rule}); "
                f"rules.max_invalid is {bound:.2%}"
            )
            yield Finding("contract", words, str(column), share, bound, len(frame))


def of_truth(target: str, kind: str, lines: Lines, bound: float) -> Iterator[Finding]:
    """Truths that are no value of the target's type."""
    wrong = lines.unreadable.get(target, 0)
    if wrong and wrong / max(lines.truths, wrong) > bound:
        of = max(lines.truths, wrong)
        words = (
            f"{target}: {wrong:,} of {of:,} truths ({wrong / of:.2%}) cannot be read as {kind}; they are left out, "
            f"rules.max_invalid is {bound:.2%}"
        )
        yield Finding("type", words, target, wrong / of, bound, of)


def of_volume(count: int, before: Mapping[str, int], bound: float) -> Iterator[Finding]:
    """Far fewer or more predictions than the median of the windows before (end → rows)."""
    if len(before) < 2:
        return
    usual = float(np.median(list(before.values())))
    if usual and not bound <= count / usual <= 1 / bound:
        words = (
            f"{count:,} predictions, {count / usual:.2f} times the median of the {len(before)} windows before "
            f"({usual:,.0f}); allowed is {bound:g} to {1 / bound:g} times"
        )
        yield Finding("volume", words, None, count / usual, bound if count < usual else 1 / bound, count)
