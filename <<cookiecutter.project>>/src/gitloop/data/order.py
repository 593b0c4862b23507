"""The order of the rows: by content alone, sorted on disk where they exceed memory."""

from __future__ import annotations

import duckdb
import pyarrow as pa

from gitloop.data import table
from gitloop.data.protocol import Request
from gitloop.errors import InputError
from gitloop.settings import nearest

TIME = '"the timestamp in UTC"'  # a column beside the source's own
LONG = 1000  # bytes a row
MEMORY, LONG_MEMORY = "512MB", "2GB"


def arranged(
    connection: duckdb.DuckDBPyConnection, rows: pa.RecordBatchReader, request: Request, file: str
) -> pa.RecordBatchReader:
    """The rows in the window, sorted by (timestamp, keys, all else): the source's order means nothing.

    Without a timestamp they keep the source's order. The sort spills to disk.
    """
    names = rows.schema.names
    if request.timestamp is None:
        return rows
    if request.timestamp not in names:
        raise InputError(
            f"{file}: columns.{request.timestamp}: the source has no such column{nearest(request.timestamp, names)}"
        )
    time = request.instant(kinds(connection, rows.schema))
    keys = [name for name in names if name in request.columns and request.columns[name].has("key")]
    by = ", ".join(map(table.identifier, dict.fromkeys([*keys, *names])))
    connection.execute("SET threads = 1")  # each would hold as much; the source is read by others meanwhile
    connection.register("rows", rows)
    # OFFSET keeps DuckDB from reading each time off its text again for every bound: a fifth of the time.
    timed = f"SELECT rows.*, {time} AS {TIME} FROM rows OFFSET 0"
    query = (
        f"SELECT {', '.join(map(table.identifier, names))} FROM ({timed}) "
        f"WHERE {request.bounds(TIME)} ORDER BY {TIME} NULLS LAST, {by}"
    )
    return connection.sql(query).to_arrow_reader(table.chunk(len(names)))


def memory(batch: pa.RecordBatch | None) -> str:
    """What the sort may hold before it spills, told from the first rows.

    DuckDB hands on 2048 rows at a time and pins the blocks of 256 KB in which they lie: one for each row where rows are
    long, half a gigabyte for the rows and as much for what they are sorted by. More rows do not need more.
    """
    return LONG_MEMORY if batch and batch.nbytes / batch.num_rows > LONG else MEMORY


def kinds(connection: duckdb.DuckDBPyConnection, schema: pa.Schema) -> dict[str, str]:
    """The types that DuckDB gives the columns."""
    relation = connection.from_arrow(pa.RecordBatchReader.from_batches(schema, []))
    return dict(zip(relation.columns, map(str, relation.types), strict=True))
