"""Which rows go to the test slice, as SQL over the view `valid`; the answer is the view `marked`.

With a timestamp the test slice is the latest, and equal times are never parted. Without one, a row's place is decided
by a hash of its key (of its number where there is no key), so that it does not depend on the order of the rows: each
class, or tenth of a numeric target, gives its share, or whole groups go together.
"""

from __future__ import annotations

from typing import NamedTuple

import duckdb

from gitloop.data.table import EXACT, identifier, literal
from gitloop.settings import Data

BINS = 10  # strata of a numeric target
# Columns of the view `marked`: a row's own hash, the hash it goes by, its stratum, whether it goes to test.
HASH, BY, STRATUM, TEST = (identifier(f"split:{name}") for name in ("hash", "by", "stratum", "test"))
SEPARATOR, NULL = "\x1f", "\x1e"
ISO = "%Y-%m-%dT%H:%M:%S.%f"


class Plan(NamedTuple):
    """How the rows of the view `marked` are parted and ordered."""

    method: str  # time · stratified · group
    by: str  # the column that decides
    order: list[str]  # SQL of what the rows are ordered by
    ranges: list[str]  # SQL conditions on the first of these, ascending, each true for a part of the rows
    cutoff: str | None = None  # first time of the test slice, UTC


def mark(connection: duckdb.DuckDBPyConnection, data: Data, rows: int, part: int) -> Plan:
    """Make the view `marked` of the view `valid`, which has `rows` rows, at least one; ranges have about `part`."""
    return _by_time(connection, data, rows, part) if data.timestamp else _by_hash(connection, data, rows, part)


def _by_time(connection: duckdb.DuckDBPyConnection, data: Data, rows: int, part: int) -> Plan:
    name = str(data.timestamp)
    time = identifier(name)
    first = min(rows - round(rows * data.split.test), rows - 1)  # where, in order of time, the test slice begins
    counted = f"SELECT {time} AS t, count(*) AS n, sum(n) OVER (ORDER BY t) AS upto FROM valid GROUP BY t"
    connection.execute(f"CREATE TABLE times AS {counted}")
    cutoff = _time(connection, f"SELECT min(t) FROM times WHERE upto > {first}")[0]
    connection.execute(f"CREATE VIEW marked AS SELECT *, {time} >= {cutoff} AS {TEST} FROM valid")
    starts = _time(connection, f"SELECT min(t) FROM times GROUP BY (upto - n) // {part} ORDER BY 1")
    keys = [identifier(key) for key in data.keys if key in data.parted and key != name]
    return Plan("time", name, [time, *keys, "file_row_number"], _ranges(time, starts), cutoff.split("'")[1])


def _time(connection: duckdb.DuckDBPyConnection, query: str) -> list[str]:
    """SQL literals of the times that a query gives."""
    found = connection.sql(f"SELECT strftime(#1, '{ISO}') FROM ({query})").fetchall()
    return [f"TIMESTAMP {literal(text)}" for (text,) in found]


def _ranges(first: str, starts: list[str]) -> list[str]:
    """A condition for each stretch from one start to the next, the last without an end."""
    ends = [f" AND {first} < {start}" for start in starts[1:]]
    return [f"{first} >= {start}{end}" for start, end in zip(starts, [*ends, ""], strict=True)]


def _by_hash(connection: duckdb.DuckDBPyConnection, data: Data, rows: int, part: int) -> Plan:
    """Mark the rows with the lowest hashes of each stratum, or the groups with the lowest hashes."""
    keyed = bool(data.keys) and set(data.keys) <= set(data.parted)
    own = hashed(data, data.keys) if keyed else f"md5_number_lower('{data.split.seed}{SEPARATOR}' || file_row_number)"
    group = data.split.group
    by, stratum = (hashed(data, [group]), "0") if group else (own, _stratum(connection, data, rows))
    connection.execute(
        f"CREATE VIEW hashed AS SELECT *, {own} AS {HASH}, {by} AS {BY}, {stratum} AS {STRATUM} FROM valid"
    )
    limits = _limits_of_groups(data.split.test * rows, rows) if group else _limits_of_strata(data.split.test)
    connection.execute(f"CREATE TABLE limits AS {limits}")
    connection.execute(
        f"CREATE VIEW marked AS SELECT hashed.*, coalesce({BY} <= highest, false) AS {TEST} "
        f"FROM hashed LEFT JOIN limits USING ({STRATUM})"
    )
    parts = rows // part + 1
    ranges = _ranges(HASH, [str(2**64 * number // parts) for number in range(parts)])
    return Plan("group" if group else "stratified", group or data.target, [HASH, "file_row_number"], ranges)


def hashed(data: Data, names: list[str]) -> str:
    """SQL of the lower 64 bits of the MD5 of the seed and the values as text.

    The same in every version of DuckDB, which its hash() is not.
    """
    parts = []
    for name in names:
        column, kind = identifier(name), data.columns[name].type
        text = f"CAST({column} AS VARCHAR)"
        if kind == "numeric":
            whole = f"{column} = trunc({column}) AND abs({column}) <= {EXACT}"
            text = f"CASE WHEN {whole} THEN CAST(CAST({column} AS BIGINT) AS VARCHAR) ELSE {text} END"
        elif kind == "datetime":
            text = f"CAST(epoch_us({column}) AS VARCHAR)"
        parts.append(f"coalesce({text}, '{NULL}')")
    return f"md5_number_lower(concat_ws('{SEPARATOR}', '{data.split.seed}', {', '.join(parts)}))"


def _stratum(connection: duckdb.DuckDBPyConnection, data: Data, rows: int) -> str:
    """SQL of the class of a row, or of the tenth of a numeric target that it lies in."""
    target = identifier(data.target)
    if data.task != "regression":
        return target
    nth = ", ".join(str(rows * number // BINS) for number in range(1, BINS))
    edges = connection.sql(
        f"SELECT DISTINCT {target} FROM (SELECT {target}, row_number() OVER (ORDER BY {target}) - 1 AS nth FROM valid) "
        f"WHERE nth IN ({nth}) ORDER BY 1"
    ).fetchall()
    return " + ".join(["0", *(f"CAST({target} >= CAST('{edge!r}' AS DOUBLE) AS INTEGER)" for (edge,) in edges)])


def _limits_of_strata(share: float) -> str:
    """SQL of the highest hash of each stratum that goes to test.

    Shares are rounded on the running total, so that each stratum and the whole are within one row of what is asked.
    """
    return f"""
        WITH strata AS (SELECT {STRATUM}, count(*) AS n FROM hashed GROUP BY 1),
        running AS (SELECT *, sum(n) OVER (ORDER BY {STRATUM}) AS upto FROM strata),
        shares AS (SELECT {STRATUM}, round(upto * {share!r}) - round((upto - n) * {share!r}) AS k FROM running),
        ranked AS (SELECT {STRATUM}, {BY}, row_number() OVER (PARTITION BY {STRATUM} ORDER BY {BY}) AS nth FROM hashed)
        SELECT {STRATUM}, {BY} AS highest FROM ranked JOIN shares USING ({STRATUM}) WHERE nth = k"""


def _limits_of_groups(wanted: float, rows: int) -> str:
    """SQL of the highest hash of a group that goes to test: the one that brings the slice nearest to `wanted` rows."""
    return f"""
        WITH groups AS (SELECT {BY}, count(*) AS n FROM hashed GROUP BY 1),
        running AS (SELECT {BY}, sum(n) OVER (ORDER BY {BY}) AS upto FROM groups)
        SELECT 0 AS {STRATUM}, {BY} AS highest FROM running WHERE upto < {rows}
        ORDER BY abs(upto - {wanted!r}), {BY} LIMIT 1"""
