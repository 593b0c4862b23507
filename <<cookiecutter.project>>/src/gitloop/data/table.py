"""Tables on disk and as arrays: DuckDB for what exceeds memory, NumPy for what a model sees."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gitloop.arrays import Array, Columns
from gitloop.contract import Column
from gitloop.errors import InputError
from gitloop.files import whole

CHUNK = 100_000  # rows held in memory at a time, at most
CELLS = 5_000_000  # values held in memory at a time
EXACT = 2**53  # whole numbers up to here are exact as doubles
MEMORY = "1GB"  # what DuckDB may hold before it spills to disk

ARROW: dict[str, pa.DataType] = {
    "numeric": pa.float64(),
    "boolean": pa.bool_(),
    "categorical": pa.string(),
    "text": pa.string(),
    "datetime": pa.timestamp("us"),
}


@contextmanager
def connect(memory: str = MEMORY) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB connection in UTC with bounded memory that spills to a temporary folder.

    Raises `InputError` where the folder has no room.
    """
    with tempfile.TemporaryDirectory(prefix="gitloop-") as spill:
        connection = duckdb.connect()
        try:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f"SET memory_limit = '{os.environ.get('GITLOOP_MEMORY', memory)}'")
            connection.execute("SET threads = 2")  # each holds a row group: memory must not depend on the machine
            connection.execute(f"SET temp_directory = {literal(spill)}")
            connection.execute("SET autoinstall_known_extensions = false")
            yield connection
        except duckdb.OutOfMemoryException as error:
            reason = " ".join(str(error).splitlines()[0].split())
            raise InputError(
                f"{tempfile.gettempdir()}: has no room for what exceeds memory ({reason}); free it, or set TMPDIR"
            ) from error
        finally:
            connection.close()


def literal(text: str | Path) -> str:
    """A SQL string."""
    return "'" + str(text).replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A SQL column name."""
    return '"' + name.replace('"', '""') + '"'


def chunk(columns: int) -> int:
    """Rows of so many columns that are held in memory at a time."""
    return max(1000, min(CHUNK, CELLS // max(columns, 1)))


def write(path: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> int:
    """Write record batches as one Parquet file, whole or not at all; the number of rows written.

    The same rows give the same bytes: row groups are even however the batches, which DuckDB sizes, come.
    """
    rows = 0
    with whole(path) as temporary, pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for chunk in even(schema, batches):
            writer.write_table(chunk)
            rows += chunk.num_rows
    return rows


def even(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """The same rows in tables of `chunk` rows each; the last may have fewer."""
    rows, held = chunk(len(schema)), pa.Table.from_batches([], schema)  # empty_table would import pandas
    for batch in batches:
        held = pa.concat_tables([held, pa.Table.from_batches([batch], schema)])
        while held.num_rows >= rows:
            yield held.slice(0, rows).combine_chunks()
            held = held.slice(rows)
    if held.num_rows:
        yield held.combine_chunks()


def read(path: Path, made_by: str, names: list[str] | None = None) -> pa.Table:
    """Read a Parquet file (columns `names`, or all). Raises `InputError` where it is missing or broken."""
    with _readable(path, made_by):
        return pq.read_table(path, columns=names, partitioning=None)


def pick(path: Path, made_by: str, rows: Array, names: list[str] | None = None) -> pa.Table:
    """The rows with these numbers (from 0, ascending) of a Parquet file, read one row group at a time."""
    with _readable(path, made_by), pq.ParquetFile(path, pre_buffer=False) as file:
        found, first = [file.schema_arrow.empty_table().select(names or file.schema_arrow.names)], 0
        for group in range(file.num_row_groups):
            end = first + file.metadata.row_group(group).num_rows
            inside = rows[(rows >= first) & (rows < end)] - first
            if len(inside):
                found.append(file.read_row_group(group, columns=names).take(pa.array(inside)))
            first = end
        return pa.concat_tables(found)


def metadata(path: Path, made_by: str) -> pq.FileMetaData:
    """Rows and schema of a Parquet file, without its data. Raises `InputError` where it is missing or broken."""
    with _readable(path, made_by):
        return pq.read_metadata(path)


@contextmanager
def _readable(path: Path, made_by: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; run `{made_by}` first, or `dvc pull {path}`") from error
    except pa.ArrowInvalid as error:
        raise InputError(f"{path}: is not a Parquet file; run `{made_by}` again") from error


def arrays(table: pa.Table, columns: Mapping[str, Column], names: Iterable[str]) -> Columns:
    """The columns `names` of a canonical table as arrays of canonical types."""
    return {name: array(table.column(name), columns[name].type) for name in names}


def array(values: pa.ChunkedArray, kind: str) -> Array:
    """One canonical column as an array of length n."""
    if kind == "categorical":  # few values on many rows: one str for each value, not for each cell
        encoded = values.fill_null("").combine_chunks().dictionary_encode()
        words: Array = np.asarray(encoded.dictionary.to_numpy(zero_copy_only=False), dtype=object)
        cells: Array = words[encoded.indices.to_numpy()]
        return cells
    if kind == "text":
        return np.asarray(values.fill_null("").to_numpy(zero_copy_only=False), dtype=object)
    if kind == "datetime":
        return np.asarray(values.cast(pa.timestamp("us")).to_numpy(zero_copy_only=False), dtype="datetime64[us]")
    return np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
