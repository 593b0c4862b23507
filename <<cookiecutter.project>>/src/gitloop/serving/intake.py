"""Rows straight from a source, checked by the contract as `validate` does it.

They lie in a temporary file meanwhile, because they are gone through several times; of each a byte is held.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import ValidationError

from gitloop import layout, ui
from gitloop.contract import Column, Window
from gitloop.data import checks, order, pseudonym, table
from gitloop.data.clean import Cleaned, cleaned
from gitloop.data.places import reason
from gitloop.data.protocol import Request, Source, empty
from gitloop.data.rules import shown
from gitloop.data.table import identifier, literal
from gitloop.errors import GitloopError, InputError, Refused
from gitloop.serving.rows import ROW, Rows
from gitloop.serving.threads import ahead
from gitloop.settings import Data, nearest

MEMORY = "500MB"  # what DuckDB may hold before it spills


@dataclass(frozen=True)
class Wanted:
    """A window of a source, which is called `place` in messages."""

    data: Data
    source: Source
    request: Request  # its columns are checked, as far as the source has them
    needed: Sequence[str]  # columns that it must have
    place: str


@contextmanager
def taken(wanted: Wanted) -> Iterator[Rows]:
    """Read the source and check its rows.

    Raises `InputError` where a needed column is missing or the source fails, `Refused` for mixed time zones.
    """
    try:
        with tempfile.TemporaryDirectory(prefix="gitloop-") as name, table.connect(MEMORY) as connection:
            folder = Path(name)
            _fetch(wanted, folder / "raw.parquet")
            rows = _viewed(wanted, connection, folder)
            rows.judge()
            yield rows
    except OSError as error:  # of the temporary folder: what sources and destinations raise says what it is
        words = os.strerror(error.errno or 0)
        raise InputError(f"{tempfile.gettempdir()}: cannot be used ({words}); free it, or set TMPDIR") from error


def window(arguments: argparse.Namespace, data: Data) -> Window:
    """--since and --until. Raises `InputError` where one is no time, or rows have none."""
    if (arguments.since or arguments.until) and data.timestamp is None:
        raise InputError("--since: the contract has no column with `role: timestamp`; leave out --since and --until")
    try:
        return Window.model_validate({"since": arguments.since, "until": arguments.until})
    except ValidationError as error:
        place = error.errors()[0]["loc"]
        if not place:
            raise InputError("--since: is not before --until; move one of them") from error
        raise InputError(f"--{place[0]}: is not a date or time; write 2013-04-01 or 2013-04-01T12:00") from error


def _fetch(wanted: Wanted, path: Path) -> None:
    """Write the window's rows as they come."""
    batches = ahead(_batches(wanted))
    schema = next(batches).schema
    _fits(wanted, schema.names)
    columns = {name: one for name, one in wanted.request.columns.items() if _read(wanted, name, one)}
    names = [name for name in schema.names if name in columns]
    secret = pseudonym.key(columns, layout.data_conf(wanted.data.name).as_posix())
    schema = pseudonym.schema(pa.schema([schema.field(name) for name in names]), columns)
    batches = (pseudonym.hashes(batch.select(names), columns, secret) for batch in batches)
    # What is cleaned in a dictionary is cleaned once for many rows: several times faster.
    texts = [one.name for one in schema if pa.types.is_string(one.type) or pa.types.is_large_string(one.type)]
    began, rows = time.perf_counter(), 0
    with (
        table.connect() as connection,
        ui.progress("rows read", None) as advance,
        pq.ParquetWriter(path, schema, compression="lz4", use_dictionary=texts, write_statistics=False) as writer,
    ):
        instant = wanted.request.instant(order.kinds(connection, schema))
        inside = wanted.request.bounds(instant) if instant else "true"
        for chunk in table.even(schema, batches):
            if inside != "true":
                connection.register("rows", chunk)
                chunk = chunk.filter(connection.sql(f"SELECT {inside} FROM rows").to_arrow_table().column(0))  # noqa: PLW2901
            writer.write_table(chunk)
            rows += chunk.num_rows
            advance(chunk.num_rows, f"{rows / (time.perf_counter() - began):,.0f} rows/s")


def _read(wanted: Wanted, name: str, column: Column) -> bool:
    """Whether a column is kept at all: what is dropped is not, nor are hashes that nobody needs."""
    return name in wanted.needed if column.hashed else not column.dropped


def _batches(wanted: Wanted) -> Iterator[pa.RecordBatch]:
    """The first one is empty and tells the schema."""
    try:
        reader = wanted.source.batches(wanted.request)
        yield empty(reader.schema)
        yield from reader
    except GitloopError:
        raise
    except Exception as error:  # whatever a source of the project's own raises
        raise InputError(
            f"{wanted.place}: fails ({type(error).__name__}: {reason(error)}); run with --debug to see where"
        ) from error


def _fits(wanted: Wanted, names: list[str]) -> None:
    seen = {ROW}
    for name in names:
        if name.casefold() in seen:
            raise InputError(
                f"{wanted.place}: {shown(name)}: names must differ in more than case, and {ROW} is gitloop's own; "
                "rename the column"
            )
        seen.add(name.casefold())
    missing = [name for name in wanted.needed if name not in names]
    if missing:
        raise InputError(
            "\n".join(f"{wanted.place}: {name}: the column is missing{nearest(name, names)}" for name in missing)
        )
    extra = [name for name in names if name not in wanted.data.columns]
    if extra and wanted.data.rules.extra_columns == "refuse":
        raise InputError(
            f"{wanted.place}: {', '.join(map(shown, extra))}: not in the contract, and rules.extra_columns refuses "
            f"that; declare it in {layout.data_conf(wanted.data.name)}, or set `extra_columns: drop`"
        )


def _viewed(wanted: Wanted, connection: duckdb.DuckDBPyConnection, folder: Path) -> Rows:
    """The views `raw` and `clean`."""
    connection.execute(
        f"CREATE VIEW raw AS SELECT * EXCLUDE (file_row_number), file_row_number AS {ROW} "
        f"FROM read_parquet({literal(folder / 'raw.parquet')}, file_row_number = true)"
    )
    types = {name: str(kind) for name, kind, *_ in connection.execute("DESCRIBE raw").fetchall() if name != ROW}
    columns = {name: one for name, one in wanted.request.columns.items() if name in types and not one.has("ignored")}
    sql = {name: cleaned(name, column, types[name]) for name, column in columns.items()}
    _one_zone(wanted, connection, {name: one for name, one in sql.items() if columns[name].timezone is None})
    values = [f"{one.value} AS {identifier(name)}" for name, one in sql.items()]
    flags = [f"{one.unread} AS {identifier(checks.UNREAD + name)}" for name, one in sql.items() if one.unread]
    connection.execute(f"CREATE VIEW clean AS SELECT {', '.join([ROW, *values, *flags])} FROM raw")
    return Rows(connection, folder, columns, [name for name, one in sql.items() if one.unread])


def _one_zone(wanted: Wanted, connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Cleaned]) -> None:
    for name, sql in columns.items():
        if sql.offset and connection.sql(f"SELECT count(DISTINCT {sql.offset}) FROM raw").fetchall()[0][0] > 1:
            raise Refused(
                f"{wanted.place}: {name}: mixed time zones, times with an offset and times without; say in "
                f"{layout.data_conf(wanted.data.name)} where those without were read off, such as `timezone: UTC`"
            )
