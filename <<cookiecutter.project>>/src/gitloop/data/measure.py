"""What the columns of a table hold in all of its rows, in constant memory.

A sample that has all rows is read exactly as the pipeline will read it; of a larger table the few figures that matter
are taken in one or two passes, by casts that are cheap.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import duckdb

from gitloop.contract import Column
from gitloop.data.clean import cleaned
from gitloop.data.sniff import Opened
from gitloop.data.survey import parts, unreadable
from gitloop.data.table import identifier, literal

LEVELS = 200  # values of a column that are told apart by name, about
TOGETHER = 20  # columns whose values are counted in one pass
SET, ROWS = identifier("counted:set"), identifier("counted:rows")


class Reading(NamedTuple):
    """How the columns of a table are read."""

    opened: Opened
    columns: Mapping[str, Column]
    comma: bool
    null: Sequence[str]
    whole: bool  # the sample has all rows

    @property
    def table(self) -> str:
        return "sample" if self.whole else "raw"

    def source(self, name: str) -> str:
        """SQL for a raw column without what stands for a missing value, and with points before decimals."""
        source = identifier(name)
        if self.opened.text and self.null:
            source = f"CASE WHEN {source} IN ({', '.join(map(literal, self.null))}) THEN NULL ELSE {source} END"
        if self.opened.text and self.comma and self.columns[name].type == "numeric":
            source = f"replace({source}, ',', '.')"
        return source


class Measured(NamedTuple):
    """One column on all rows."""

    filled: int
    unread: int  # not read as the type that it has
    distinct: int  # about
    low: Any
    high: Any


def kinds(opened: Opened) -> dict[str, str]:
    """DuckDB's types of the columns."""
    return {name: str(kind) for name, kind, *_ in opened.connection.execute("DESCRIBE sample").fetchall()}


def read(reading: Reading) -> None:
    """Make the table `read`: the sample in canonical types, with a flag beside each column where it cannot be read."""
    connection, known = reading.opened.connection, kinds(reading.opened)
    inner, outer = [], []
    for name, column in reading.columns.items():
        inner.append(f"{reading.source(name)} AS {identifier(name)}")
        sql = cleaned(name, column, known[name])
        outer.append(f"{sql.value} AS {identifier(name)}")
        outer.append(f"{sql.unread or 'false'} AS {identifier('unread:' + name)}")
    connection.execute(
        f"CREATE OR REPLACE TABLE read AS SELECT {', '.join(outer)} FROM (SELECT {', '.join(inner)} FROM sample)"
    )


def measure(reading: Reading) -> tuple[int, dict[str, Measured]]:
    """Rows, and every column on all of them. Raises `InputError` where the table cannot be read to its end."""
    found: dict[str, Measured] = {}
    rows = 0
    for names in parts(list(reading.columns)):
        select = [one for name in names for one in (_exact if reading.whole else _cheap)(reading, name)]
        table = "read" if reading.whole else "raw"
        row = _one(reading.opened, f"SELECT count(*), {', '.join(select)} FROM {table}")
        rows = row[0]
        for index, name in enumerate(names):
            found[name] = Measured(*row[1 + 5 * index : 6 + 5 * index])
    return rows, found


def _one(opened: Opened, query: str) -> tuple[Any, ...]:
    try:
        return tuple(opened.connection.execute(query).fetchall()[0])
    except duckdb.Error as error:
        raise unreadable(opened, error) from error


def _exact(reading: Reading, name: str) -> list[str]:
    value, flag = identifier(name), identifier("unread:" + name)
    ends = reading.columns[name].type in ("numeric", "datetime")
    return [
        f"count({value})",
        f"count_if(coalesce({flag}, false))",
        f"approx_count_distinct({value})",
        *(f"{end}({value})" if ends else "NULL" for end in ("min", "max")),
    ]


def _cheap(reading: Reading, name: str) -> list[str]:
    source, kind = reading.source(name), reading.columns[name].type
    if kind == "numeric":
        value = f"nullif(TRY_CAST({source} AS DOUBLE), 'nan'::DOUBLE)"
    elif kind == "datetime":
        value = f"TRY_CAST({source} AS TIMESTAMP)"
    else:
        return [f"count({source})", "0", f"approx_count_distinct({source})", "NULL", "NULL"]
    return [
        f"count({value})",
        f"count({source}) - count({value})",
        f"approx_count_distinct({source})",
        f"min({value})",
        f"max({value})",
    ]


def levels(
    reading: Reading, names: Sequence[str], measured: Mapping[str, Measured]
) -> dict[str, list[tuple[str, int]]]:
    """The values of columns and their rows, the most frequent first; only of columns with few."""
    few = [name for name in names if measured[name].distinct <= LEVELS]
    found: dict[str, list[tuple[str, int]]] = {}
    for start in range(0, len(few), TOGETHER):
        found |= _levels(reading, few[start : start + TOGETHER])
    return found


def _levels(reading: Reading, names: Sequence[str]) -> dict[str, list[tuple[str, int]]]:
    """All in one pass; what is counted apart by its raw text is then put together as the contract reads it."""
    connection, known = reading.opened.connection, kinds(reading.opened)
    quoted = [identifier(name) for name in names]
    inner = ", ".join(f"{reading.source(name)} AS {identifier(name)}" for name in names)
    which = " ".join(f"WHEN grouping({name}) = 0 THEN {index}" for index, name in enumerate(quoted))
    sets = ", ".join(f"({name})" for name in quoted)
    query = (
        f"SELECT {', '.join(quoted)}, CASE {which} END AS {SET}, count(*) AS {ROWS} "
        f"FROM (SELECT {inner} FROM {reading.table}) GROUP BY GROUPING SETS ({sets})"
    )
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE counted AS {query}")
    except duckdb.Error as error:
        raise unreadable(reading.opened, error) from error
    found: dict[str, list[tuple[str, int]]] = {}
    for index, name in enumerate(names):
        value = cleaned(name, reading.columns[name], known[name]).value
        found[name] = connection.execute(
            f"SELECT CAST({value} AS VARCHAR) AS v, CAST(sum({ROWS}) AS BIGINT) AS n FROM counted "
            f"WHERE {SET} = {index} GROUP BY v HAVING v IS NOT NULL ORDER BY n DESC, v"
        ).fetchall()
    return found


def unique(reading: Reading, name: str, rows: int, most: int = 2_000_000) -> bool | None:
    """Whether no value occurs twice; None where that cannot be told in bounded memory."""
    if rows > most:
        return None
    query = f"SELECT count(DISTINCT {reading.source(name)}) FROM {reading.table}"
    return bool(_one(reading.opened, query)[0] == rows)
