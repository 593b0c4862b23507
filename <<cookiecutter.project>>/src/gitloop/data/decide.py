"""What one column is and what it is for, by itself, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gitloop.contract import Column
from gitloop.data import personal, survey, written
from gitloop.data.measure import Measured, Reading
from gitloop.data.outcome import Outcome
from gitloop.data.sniff import Opened
from gitloop.data.spans import span
from gitloop.data.survey import Look

LEAST = 50  # values of which it can be told that nearly all differ
CLOSED = 12  # so many values and no more make a closed list
OFTEN = 20  # rows of each value, on average, in a closed list
EMPTY = 0.95  # share of missing values from which a column says nothing
UNIQUE = 0.9  # share of different values from which text names its row
LONG = 40  # characters on average: free text
TIMES = {"timestamp", "time", "datetime", "date", "created", "when", "day", "at", "on", "ts", "occurred", "seen"}


@dataclass
class Decision:
    """What was decided of one column, and why. `keys` are those of the contract's column."""

    name: str
    keys: dict[str, Any]
    why: str = ""
    unsure: str = ""

    @property
    def role(self) -> str:
        role = self.keys.get("role", "feature")
        return role if isinstance(role, str) else ", ".join(role)

    @property
    def column(self) -> Column:
        return Column.model_validate(self.keys)

    def ignore(self, why: str) -> None:
        self.keys = {"type": self.keys["type"], "role": "ignored"}
        self.why, self.unsure = why, ""


@dataclass
class Table:
    """A table understood. `decisions` are in the order of its columns."""

    rows: int
    decisions: dict[str, Decision]
    outcome: Outcome
    target: str
    reading: Reading
    measured: dict[str, Measured]
    levels: dict[str, list[tuple[str, int]]]  # of columns with few values
    timestamp: str | None = None
    until: Any = None  # the day after the last timestamp
    unsure: list[str] = field(default_factory=list)

    @property
    def features(self) -> list[str]:
        return [name for name, one in self.decisions.items() if one.role == "feature"]


def type_of(look: Look) -> str:  # noqa: PLR0911 -- a table of cases
    kind = look.kind
    if kind == "BOOLEAN" or set(look.values) in ({"0", "1"}, {"0.0", "1.0"}):
        return "boolean"
    if survey.is_number(kind):
        return "numeric"
    if kind.startswith(("TIMESTAMP", "DATE")):
        return "datetime"
    if look.filled and look.words == 1 and look.distinct == 2:
        return "boolean"
    if look.filled and look.numbers >= 0.99 and not look.padded:
        return "numeric"
    if look.filled and look.dates >= 0.99:
        return "datetime"
    return "text" if _is_text(look) else "categorical"


def _is_text(look: Look) -> bool:
    if not look.filled or look.distinct < 0.3 * look.filled:
        return False
    return look.length > LONG or (look.spaces >= 4 and look.dates == 0)


def decide(opened: Opened, table: Table, look: Look, kind: str) -> Decision:
    """What one column is for, by itself."""
    name, seen, rows = look.name, table.measured[look.name], table.rows
    missing = 1 - seen.filled / rows
    decision = Decision(name, {"type": kind})
    if not _readable(look.kind):
        decision.keys["type"] = "categorical"
        decision.ignore(f"a column of {look.kind} is not read")
    elif seen.filled == 0 or missing > EMPTY:
        decision.ignore("empty" if seen.filled == 0 else f"{missing:.0%} of it is missing")
    elif seen.distinct <= 1 and missing == 0:
        decision.ignore("constant")
    elif about := _personal(opened, look, kind):
        decision.keys = {"type": "numeric" if kind == "numeric" else "text", "role": "pii"}
        decision.why = f"looks like personal data: {about}"
        _nullable(decision, missing)
    elif _other_dates(look, kind):
        decision.ignore("dates in another form than 2013-01-31; rewrite them in the source to use them")
        decision.unsure = decision.why
    else:
        _feature(table, look, decision)
        _numbers(opened, look, decision)
    return decision


def _other_dates(look: Look, kind: str) -> bool:
    if kind == "numeric":
        return look.whole and look.digits >= 0.9 and bool(TIMES & set(personal.words(look.name)))
    return kind in ("categorical", "text") and look.other_dates >= 0.9


def _numbers(opened: Opened, look: Look, decision: Decision) -> None:
    """Text that would be a number if it were written plainly is of no use as so many labels."""
    kind = decision.keys["type"]
    if kind not in ("categorical", "text") or look.distinct <= CLOSED or look.padded:
        return
    if about := written.doubt(look, survey.some(opened, look.name)):
        if about == written.DRESSED:
            decision.ignore(about)
        decision.unsure = about


def _readable(kind: str) -> bool:
    plain = survey.is_number(kind) or kind.startswith(("TIMESTAMP", "DATE", "ENUM"))
    return plain or kind in ("VARCHAR", "BOOLEAN", "UUID")


def _personal(opened: Opened, look: Look, kind: str) -> str | None:
    """Why a column looks like personal data. A name alone is not believed of few values or of plain amounts."""
    if about := personal.by_name(look.name):
        person = look.distinct > 20 or kind == "text"
        if person and not (kind == "numeric" and not look.whole):
            return f"named like {'an' if about[0] in 'aeiI' else 'a'} {about}"
    if kind in ("categorical", "text") or (kind == "numeric" and look.whole and look.distinct > 20):
        return personal.by_values(look.name, survey.some(opened, look.name))
    return None


def _feature(table: Table, look: Look, decision: Decision) -> None:
    kind, seen = decision.keys["type"], table.measured[look.name]
    if kind == "numeric":
        decision.keys["range"] = span(seen.low, seen.high, look.whole)
        whole = f"whole numbers, {seen.low:,.0f} to {seen.high:,.0f}"
        decision.why = whole if look.whole else f"numbers, {seen.low:.4g} to {seen.high:.4g}"
    elif kind == "categorical":
        _categories(table, look, decision)
    elif kind == "datetime":
        decision.why = f"from {_day(seen.low)} to {_day(seen.high)}"
    elif kind == "text":
        decision.why = f"free text, {look.spaces:.0f} words on average: its words are counted"
    else:
        decision.why = "true or false"
    if seen.unread:
        decision.unsure = f"{seen.unread:,} of its values cannot be read as {kind}: those rows will be set aside"
    _nullable(decision, 1 - seen.filled / table.rows)


def _nullable(decision: Decision, missing: float) -> None:
    if missing > 0:
        decision.keys["nullable"] = True
        if missing >= 0.2 and decision.role == "feature":
            decision.why += f", {missing:.0%} missing"


def _categories(table: Table, look: Look, decision: Decision) -> None:
    seen = table.measured[look.name]
    if look.distinct >= UNIQUE * look.filled and look.filled >= LEAST:
        decision.ignore("names its row: nearly every value differs")
        return
    decision.why = _values(seen.distinct)
    if look.distinct <= CLOSED and seen.filled >= OFTEN * look.distinct:
        found = table.levels.get(look.name, [])
        if 0 < len(found) <= CLOSED and found[-1][1] >= 3:
            decision.keys["categories"] = sorted(value for value, _ in found)
            decision.why = f"{_values(len(found))}, each often: others are set aside"


def _values(number: int) -> str:
    return f"{number:,} value{'s' if number != 1 else ''}"


def _day(value: Any) -> str:
    return str(value)[:10]
