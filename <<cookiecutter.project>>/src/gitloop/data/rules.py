"""The rules of the table as a whole: what was counted, and which rules that breaks."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gitloop import layout
from gitloop.data.checks import NOT_READ, unknown
from gitloop.settings import Data

SAMPLES = 5  # rows named with a broken rule
LISTED = 20  # columns named in a message
LONGEST = 40  # characters of a value in a message
LEVELS = 10_000  # distinct values are counted up to here


@dataclass
class Tally:
    """What was counted while the rows went by. Row numbers start at 1."""

    rows: int = 0
    valid: int = 0
    invalid: int = 0
    duplicates: int = 0  # repeats of a key with the same content, dropped
    missing: Counter[str] = field(default_factory=Counter)  # column → nulls among all rows
    reasons: Counter[str] = field(default_factory=Counter)  # "column: rule" → rows
    labels: list[str] = field(default_factory=list)  # labels of the target that the contract does not know, shortened
    naive: Counter[str] = field(default_factory=Counter)  # column → times as text without an offset
    offset: Counter[str] = field(default_factory=Counter)  # column → times as text with one
    levels: dict[str, set[object]] = field(default_factory=lambda: defaultdict(set))  # column → values in valid rows
    samples: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))  # finding → its first rows

    def sample(self, finding: str, rows: Iterable[int]) -> None:
        """Keep the first rows of a finding; `rows` ascend from call to call."""
        kept = self.samples[finding]
        for row in rows:
            if len(kept) >= SAMPLES:
                return
            kept.append(int(row))

    def saw(self, column: str, values: Iterable[object]) -> None:
        """Note distinct values up to LEVELS, beyond which the set holds one more than LEVELS."""
        known = self.levels[column]
        for value in values:
            if len(known) > LEVELS:
                return
            known.add(value)

    def distinct(self, column: str) -> int | str:
        count = len(self.levels[column])
        return count if count <= LEVELS else f"more than {LEVELS}"


class Broken(NamedTuple):
    """One broken rule."""

    what: str
    mend: str
    rows: list[int] = []  # noqa: RUF012 -- a default of a tuple, never changed


def shown(value: object) -> str:
    """A value or name in a message: short, on one line, printable."""
    text = "".join(one if one.isprintable() else " " for one in str(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def share(part: int, whole: int) -> str:
    return f"{part:,} of {whole:,} ({part / whole:.2%})" if whole else "none"


def of_columns(data: Data, names: list[str]) -> Iterator[Broken]:
    """Columns that the contract needs and the table lacks; columns that it has too many and the contract refuses."""
    conf = layout.data_conf(data.name).as_posix()
    extra = [name for name in names if name not in data.columns]
    for name, column in data.columns.items():
        if name not in names and not column.dropped:
            alike = next((other for other in extra if other.strip().casefold() == name.casefold()), None)
            hint = f" (there is {shown(alike)!r})" if alike else ""
            yield Broken(f"{name}: the column is missing{hint}", f"mend the source, or take it out of {conf}")
    if data.rules.extra_columns == "refuse":
        for name in extra:
            yield Broken(
                f"{shown(name)}: the column is not in the contract and rules.extra_columns refuses it",
                f"declare it in {conf} (`role: ignored` if it is not needed), or set `extra_columns: drop`",
            )


def dropped(data: Data, names: list[str]) -> Iterator[str]:
    """A warning where columns are in the table but not in the contract."""
    extra = [name for name in names if name not in data.columns]
    if extra and data.rules.extra_columns == "drop":
        more = f" and {len(extra) - LISTED} more" if len(extra) > LISTED else ""
        listed = ", ".join(map(shown, extra[:LISTED]))
        yield f"{layout.RAW}: columns that are not in the contract are dropped: {listed}{more}"


def of_values(data: Data, tally: Tally) -> Iterator[Broken]:
    """Rules about rows and values."""
    conf, rules = layout.data_conf(data.name).as_posix(), data.rules
    if tally.valid < rules.min_rows:
        yield Broken(
            f"{tally.valid:,} valid rows, rules.min_rows is {rules.min_rows:,}", f"widen `window` or lower it in {conf}"
        )
    if tally.rows and tally.invalid / tally.rows > rules.max_invalid:
        yield Broken(
            f"{share(tally.invalid, tally.rows)} rows are invalid, rules.max_invalid is {rules.max_invalid:.2%}",
            f"see {layout.QUARANTINE} for the reasons; mend the source, or the contract in {conf}",
            tally.samples["invalid"],
        )
    for name in data.named("feature", "target"):
        missing = tally.missing[name]
        if tally.rows and missing == tally.rows:
            yield Broken(
                f"{name}: all {missing:,} values are missing", f"mend the source, or set `role: ignored` in {conf}"
            )
        elif tally.rows and missing / tally.rows > rules.max_missing:
            yield Broken(
                f"{name}: {share(missing, tally.rows)} values are missing, "
                f"rules.max_missing is {rules.max_missing:.2%}",
                f"mend the source, set `role: ignored`, or raise the rule in {conf}",
                tally.samples[f"{name}: null"],
            )
    for name in tally.naive:
        if tally.naive[name] and tally.offset[name] and data.columns[name].timezone is None:
            yield Broken(
                f"{name}: mixed time zones, {tally.offset[name]:,} times with an offset "
                f"and {tally.naive[name]:,} without",
                f"say in {conf} where those without were read off, such as `timezone: UTC`",
                tally.samples[f"{name}: naive"],
            )
    yield from _of_target(data, tally, conf)


def _of_target(data: Data, tally: Tally, conf: str) -> Iterator[Broken]:
    target, column = data.target, data.columns[data.target]
    reason = f"{target}: {NOT_READ['boolean'] if column.type == 'boolean' else unknown(column)}"
    if data.task != "regression" and tally.reasons[reason]:
        named = f" ({', '.join(map(repr, tally.labels))})" if tally.labels else ""
        mend = (
            "mend the source" if column.type == "boolean" else f"add it to `categories` in {conf}, or mend the source"
        )
        yield Broken(
            f"{target}: {tally.reasons[reason]:,} rows have an unknown label{named}", mend, tally.samples[reason]
        )
    if tally.valid and tally.distinct(target) == 1:
        value = next(iter(tally.levels[target]))
        kind = "value" if data.task == "regression" else "class"
        yield Broken(
            f"{target}: all {tally.valid:,} valid rows have one {kind} ({value}), so there is nothing to learn",
            f"widen `window` in {conf}, or mend the source",
        )
