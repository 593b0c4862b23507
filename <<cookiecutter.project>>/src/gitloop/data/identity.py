"""What rows are told apart by: the column that names them, and the one that says when they came to be."""

from __future__ import annotations

from collections.abc import Mapping

from gitloop.data import measure, personal
from gitloop.data.decide import OFTEN, TIMES, UNIQUE, Decision, Table
from gitloop.data.survey import Look
from gitloop.data.table import EXACT

IDS = {"id", "uuid", "guid", "key", "rowid", "row", "index", "nr", "no", "number", "num", "code", "unnamed"}
SURE_IDS = {"id", "uuid", "guid", "rowid", "key"}


def keys(table: Table, looks: Mapping[str, Look]) -> None:
    """One column that names the rows becomes the key; others that do so are left out: a model learns them by heart."""
    key: str | None = None
    for index, (name, look) in enumerate(looks.items()):
        decision = table.decisions[name]
        named = bool(IDS & set(personal.words(name)))
        names_rows = decision.why.startswith("names its row")
        if name == table.target or not (decision.role == "feature" or names_rows):
            continue
        whole = decision.keys["type"] == "numeric" and look.whole
        if not (names_rows or whole):
            _identifier(look, decision)
            continue
        serial = whole and _serial(table, name)
        if not _unique(table, name, look) or not (named or serial or (names_rows and index == 0)):
            if not names_rows:
                _identifier(look, decision)
            continue
        if key is None:
            key = name
            large = whole and abs(table.measured[name].high) > EXACT
            decision.keys = {"type": "numeric" if whole and not large else "categorical", "role": "key"}
            decision.why = "names its row: every value differs"
        else:
            decision.ignore(f"names its row, as {key} does")


def _serial(table: Table, name: str) -> bool:
    seen = table.measured[name]
    return bool(seen.low in (0, 1) and seen.high - seen.low == table.rows - 1)


def _unique(table: Table, name: str, look: Look) -> bool:
    if look.distinct < look.rows or table.measured[name].filled < table.rows:
        return False
    told = measure.unique(table.reading, name, table.rows)
    return table.measured[name].distinct > UNIQUE * table.rows if told is None else told


def _identifier(look: Look, decision: Decision) -> None:
    """A number that is the name of something that recurs is a label, or, where there are too many, left out."""
    if not (SURE_IDS & set(personal.words(look.name))) or decision.keys["type"] not in ("numeric", "categorical"):
        return
    if decision.keys["type"] == "numeric" and not look.whole:
        return
    if look.distinct <= 1000 and look.filled >= OFTEN * look.distinct:
        if decision.keys["type"] == "numeric":
            decision.keys = {"type": "categorical"} | {k: v for k, v in decision.keys.items() if k == "nullable"}
            decision.why = f"{look.distinct:,} numbers that name something"
    else:
        decision.ignore("names something that recurs in few rows")
        decision.unsure = "rows of one may be alike: declare it a feature and name it in `split.group`"


def timestamp(table: Table, looks: Mapping[str, Look]) -> None:
    """The column that says when a row came to be: never missing, and after which the rows can be parted."""
    possible = [
        name
        for name in table.features
        if table.decisions[name].keys["type"] == "datetime"
        and table.measured[name].filled == table.rows
        and looks[name].distinct >= 10
    ]
    if not possible:
        return

    def rank(name: str) -> tuple[int, int, int]:
        return (-len(TIMES & set(personal.words(name))), -table.measured[name].distinct, possible.index(name))

    table.timestamp = min(possible, key=rank)
    decision = table.decisions[table.timestamp]
    decision.keys["role"] = "timestamp"
    decision.why += ": rows are parted by it, the latest are judged"
    others = [name for name in possible if name != table.timestamp]
    if others:
        decision.unsure = f"{', '.join(others)} could be it too"
