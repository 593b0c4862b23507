"""Where rows come from: a class for each kind of source, named in conf/data/<name>.yaml as `source._target_`.

    source: {_target_: gitloop.data.sources.CSV, path: data/source/*.csv}
    source: {_target_: gitloop.data.sources.CSV, path: 'https://example.org/table.csv', delimiter: ;, decimal: ','}
    source: {_target_: gitloop.data.sources.Parquet, path: 's3://bucket/year=*/*.parquet'}
    source: {_target_: gitloop.data.sources.GoogleSheet, sheet: its link or its id}
    source: {_target_: gitloop.data.sources.SQL, url_env: DATABASE_URL, query: SELECT * FROM sales WHERE day >= :since}

Your own source is any class with the same two methods in src/<package>/sources.py.
"""

from __future__ import annotations

import codecs
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import duckdb
import pyarrow as pa
from pydantic import Field, field_validator

from gitloop.contract import Frozen
from gitloop.data import delimited, places
from gitloop.data.places import reason, redact
from gitloop.data.protocol import Request, empty, stream
from gitloop.data.sql import SQL
from gitloop.data.table import chunk, connect, identifier, literal
from gitloop.errors import InputError

__all__ = ["CSV", "SQL", "GoogleSheet", "Parquet"]


class CSV(Frozen):
    """Delimited text with a header: a path, a glob, http(s) or any URL that fsspec knows; gzip, zip, bz2, xz unpacked.

    Every column is read as text and cast by `validate`, so that a bad value costs one row; a ragged row is an error.
    Rows come in the order of the files' names and of their lines.
    """

    path: str
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)  # None: what the header shows
    encoding: str = "utf-8"  # with or without a byte order mark
    decimal: Literal[".", ","] = "."
    null: tuple[str, ...] = ("",)  # what stands for a missing value

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, value: str) -> str:
        try:
            codecs.lookup(value)
        except LookupError:
            raise ValueError(f"unknown encoding {value!r}; use a name such as utf-8, cp1252 or utf-16") from None
        return value

    def describe(self) -> dict[str, Any]:
        options = self.model_dump(mode="json", exclude_defaults=True, exclude={"path"})
        return {"kind": "CSV", "path": redact(self.path), **options, "files": places.digests(self.path)}

    def batches(self, request: Request) -> pa.RecordBatchReader:
        return stream(self._batches(request))

    def _batches(self, request: Request) -> Iterator[pa.RecordBatch]:
        codec = codecs.lookup(self.encoding).name
        codec = "utf-8-sig" if codec == "utf-8" else codec
        first: list[str] | None = None
        with _opened(self.path) as (connection, system, files, folder):
            for shown, name in files:
                file = delimited.TextFile(system, name, shown, codec)
                header, delimiter = delimited.header(file, self.delimiter, request.columns)
                first = first or header
                odd = sorted({*header} ^ {*first})
                if odd:
                    raise InputError(
                        f"{shown}: has not the columns of {files[0][0]} ({odd[0]!r} differs); make them alike"
                    )
                wanted = [column for column in first if request.wanted(column)]
                columns = ", ".join(delimited.column(column, request.columns, self.decimal) for column in wanted)
                source = delimited.readable(file, folder)
                query = delimited.query(source, header, delimiter, self.null, columns)
                yield from _rows(connection, query, partial(delimited.failure, shown))


class Parquet(Frozen):
    """Parquet files: a path, a glob, http(s) or any URL that fsspec knows. Columns keep their types.

    Folders named `column=value` become columns; a column that some files lack is null there. Row groups outside of the
    window are not read. Rows come in the order of the files' names and of their rows.
    """

    path: str

    def describe(self) -> dict[str, Any]:
        return {"kind": "Parquet", "path": redact(self.path), "files": places.digests(self.path)}

    def batches(self, request: Request) -> pa.RecordBatchReader:
        return stream(self._batches(request))

    def _batches(self, request: Request) -> Iterator[pa.RecordBatch]:
        with _opened(self.path) as (connection, _, files, _):
            table = f"read_parquet([{', '.join(literal(name) for _, name in files)}], union_by_name = true)"
            try:
                whole = connection.sql(f"SELECT * FROM {table}")
            except duckdb.Error as error:
                raise self._failure(error) from error
            kinds = dict(zip(whole.columns, map(str, whole.types), strict=True))
            wanted = ", ".join(identifier(name) for name in kinds if request.wanted(name))
            query = f"SELECT {wanted} FROM {table} WHERE {self._pushed(request, kinds)}"
            yield from _rows(connection, query, self._failure)

    def _pushed(self, request: Request, kinds: dict[str, str]) -> str:
        """The window in the column's own type, which leaves out row groups; text and other zones are left to ingest."""
        kind = kinds.get(str(request.timestamp), "")
        zoned = kind.startswith(("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"))
        if zoned or (request.timezone == "UTC" and kind.startswith(("TIMESTAMP", "DATE"))):
            return request.bounds(identifier(str(request.timestamp)), "TIMESTAMPTZ" if zoned else "TIMESTAMP")
        return "true"

    def _failure(self, error: Exception) -> InputError:
        return InputError(f"{redact(self.path)}: cannot be read as Parquet ({reason(error)}); mend `source.path`")


class GoogleSheet(Frozen):
    """A Google Sheet that everybody with the link may read, or that is published to the web. It is read as CSV."""

    sheet: str  # the link or the id
    gid: int | None = None  # the tab, where the link does not say it; None: the first
    decimal: Literal[".", ","] = "."  # as the sheet shows numbers
    null: tuple[str, ...] = ("",)
    base: str = "https://docs.google.com"

    def csv(self) -> CSV:
        named = re.search(r"/spreadsheets/d/(?:e/)?([\w-]+)", self.sheet)
        tab = re.search(r"[?&#]gid=(\d+)", self.sheet)
        sheet = named[1] if named else self.sheet
        gid = self.gid if self.gid is not None else int(tab[1]) if tab else 0
        published = sheet.startswith("2PACX-")  # the id of what is published is another than the sheet's own
        way = f"e/{sheet}/pub?output=csv&single=true" if published else f"{sheet}/export?format=csv"
        return CSV(path=f"{self.base}/spreadsheets/d/{way}&gid={gid}", decimal=self.decimal, null=self.null)

    def describe(self) -> dict[str, Any]:
        return self.csv().describe() | {"kind": "GoogleSheet"}

    def batches(self, request: Request) -> pa.RecordBatchReader:
        return self.csv().batches(request)


class _Opened(NamedTuple):
    connection: duckdb.DuckDBPyConnection  # can read the files
    system: Any  # fsspec's file system of the files
    files: list[tuple[str, str]]  # what to call each in a message, and its name for DuckDB
    folder: Path  # for temporary files


@contextmanager
def _opened(location: str) -> Iterator[_Opened]:
    """What is at a path, glob or URL. A file on the web is fetched first: not every server gives parts of one."""
    with connect() as connection, tempfile.TemporaryDirectory(prefix="gitloop-") as temporary:
        folder = Path(temporary)
        if places.is_web(location):
            system, names = places.find(str(places.download(location, folder)))
            yield _Opened(connection, system, [(redact(location), name) for name in names], folder)
            return
        system, names = places.find(location)
        if "://" in location:
            connection.register_filesystem(system)
        yield _Opened(connection, system, [(redact(name), name) for name in names], folder)


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, failure: Callable[[Exception], InputError]
) -> Iterator[pa.RecordBatch]:
    try:
        relation = connection.sql(query)
        reader = relation.to_arrow_reader(chunk(len(relation.columns)))
        yield empty(reader.schema)
        yield from reader
    except (duckdb.Error, pa.ArrowException, OSError) as error:
        raise failure(error) from error
