"""Split the valid rows into train and test, and draw the reference sample from train.

With a timestamp the test slice is the latest: equal times are never parted, both files are in the order of time. Without
one, a row's place is decided by a hash of its key (of its number where there is no key), so that it does not depend on
the order of the rows: each class, or tenth of a numeric target, gives its share, or whole groups go together. These
files are in the order of the hash, so that any stretch of them is a fair sample.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from gitloop import layout, ui
from gitloop.data import table
from gitloop.data.table import identifier, literal
from gitloop.errors import InputError
from gitloop.files import write_json
from gitloop.settings import Data, load

LEAST = 10  # rows in each slice
BINS = 10  # strata of a numeric target
MOST_CLASSES = 50  # whose shares are reported
EXACT = 2**53
HASH, TEST = identifier("split:hash"), identifier("split:test")  # columns of the view `marked`
SEPARATOR, NULL = "\x1f", "\x1e"


class Plan(NamedTuple):
    """How the rows of the view `marked` are parted and ordered."""

    method: str
    by: str | None
    order: str  # SQL
    cutoff: str | None = None  # first time of the test slice, UTC


def run(arguments: argparse.Namespace) -> None:  # noqa: ARG001 -- every verb has the same signature
    """`gitloop split`."""
    data = load().data
    valid = table.metadata(layout.VALID, "gitloop validate").schema.to_arrow_schema()
    schema = pa.schema([(name, table.ARROW[data.columns[name].type]) for name in valid.names])
    with table.connect() as connection:
        source = f"read_parquet({literal(layout.VALID)}, file_row_number = true)"
        connection.execute(f"CREATE VIEW valid AS SELECT * FROM {source}")
        rows = _number(connection, "SELECT count(*) FROM valid")
        plan = _by_time(connection, data, rows) if data.timestamp else _by_hash(connection, data, rows)
        report = _report(connection, data, plan, rows)
        _refuse(data, report)
        columns = ", ".join(map(identifier, schema.names))
        for path, condition in ((layout.TRAIN, f"NOT {TEST}"), (layout.TEST, TEST)):
            query = f"SELECT {columns} FROM marked WHERE {condition} ORDER BY {plan.order}"
            table.write(path, schema, connection.sql(query).to_arrow_reader(table.CHUNK))
        report["rows"]["reference"] = _write_reference(connection, data, schema, columns)
    write_json(layout.SPLIT, report)
    _show(data, report)


def _number(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.sql(query).fetchall()[0][0])


def _by_time(connection: duckdb.DuckDBPyConnection, data: Data, rows: int) -> Plan:
    time = identifier(str(data.timestamp))
    first = int(rows * (1 - data.split.test))  # the row, in order of time, from which the test slice begins
    found = connection.sql(
        f"SELECT strftime({time}, '%Y-%m-%d %H:%M:%S.%f') FROM valid ORDER BY {time} LIMIT 1 OFFSET {first}"
    )
    cutoff = str(found.fetchall()[0][0]) if rows else "2000-01-01 00:00:00"
    connection.execute(f"CREATE VIEW marked AS SELECT *, {time} >= TIMESTAMP {literal(cutoff)} AS {TEST} FROM valid")
    order = [
        time,
        *(identifier(key) for key in data.keys if key in data.kept and key != data.timestamp),
        "file_row_number",
    ]
    return Plan("time", data.timestamp, ", ".join(order), cutoff)


def _by_hash(connection: duckdb.DuckDBPyConnection, data: Data, rows: int) -> Plan:
    """Mark the rows with the lowest hashes of each stratum, or the groups with the lowest hashes."""
    keys = [key for key in data.keys if key in data.kept]
    hashed = _hash(data, keys) if keys else f"md5_number_lower('{data.split.seed}{SEPARATOR}' || file_row_number)"
    group, stratum = data.split.group, _stratum(connection, data, rows)
    by = _hash(data, [group]) if group else hashed
    connection.execute(
        f'CREATE VIEW hashed AS SELECT *, {hashed} AS {HASH}, {by} AS "split:by", '
        f'{"0" if group else stratum} AS "split:stratum" FROM valid'
    )
    (_limit_groups if group else _limit_strata)(connection, data, rows)
    connection.execute(
        f'CREATE VIEW marked AS SELECT hashed.*, coalesce("split:by" <= highest, false) AS {TEST} '
        'FROM hashed LEFT JOIN limits USING ("split:stratum")'
    )
    return Plan("group" if group else "stratified", group or data.target, f"{HASH}, file_row_number")


def _hash(data: Data, names: list[str]) -> str:
    """64 bits of the MD5 of the seed and the values as text: the same in every version of DuckDB, unlike hash()."""
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


def _limit_strata(connection: duckdb.DuckDBPyConnection, data: Data, rows: int) -> None:  # noqa: ARG001 -- as _limit_groups
    """Table `limits`: the highest hash of each stratum that goes to test.

    Shares are rounded on the running total, so that each stratum and the whole are within one row of what is asked.
    """
    connection.execute(f"""
        CREATE TABLE limits AS
        WITH strata AS (SELECT "split:stratum", count(*) AS n FROM hashed GROUP BY 1),
        running AS (SELECT *, sum(n) OVER (ORDER BY "split:stratum") AS upto FROM strata),
        shares AS (
            SELECT "split:stratum", round(upto * {data.split.test!r}) - round((upto - n) * {data.split.test!r}) AS k
            FROM running
        ),
        ranked AS (
            SELECT "split:stratum", "split:by",
                row_number() OVER (PARTITION BY "split:stratum" ORDER BY "split:by", file_row_number) AS nth FROM hashed
        )
        SELECT "split:stratum", "split:by" AS highest FROM ranked JOIN shares USING ("split:stratum") WHERE nth = k""")


def _limit_groups(connection: duckdb.DuckDBPyConnection, data: Data, rows: int) -> None:
    """Table `limits`: the highest hash of a group that goes to test, so that the share comes nearest to what is asked."""
    wanted = data.split.test * rows
    connection.execute(f"""
        CREATE TABLE limits AS
        WITH groups AS (SELECT "split:by", count(*) AS n FROM hashed GROUP BY 1),
        running AS (SELECT "split:by", sum(n) OVER (ORDER BY "split:by") AS upto FROM groups)
        SELECT 0 AS "split:stratum", "split:by" AS highest FROM running WHERE upto < {rows}
        ORDER BY abs(upto - {wanted!r}), "split:by" LIMIT 1""")
