"""Where predictions of a batch go: a folder of Parquet files, or a table in SQLite or PostgreSQL.

Both keep one row for each key and model version, however often and wherever a run was interrupted: what is kept is kept
whole (a file, a transaction), and says itself which keys are there.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import duckdb
import pyarrow as pa

from gitloop.data import table
from gitloop.data.places import redact
from gitloop.data.table import identifier, literal
from gitloop.errors import InputError
from gitloop.settings import Scoring

CONF = "conf/scoring/"
VERSION = "version"
GROUPS = 10  # row groups in a file
PART = re.compile(r"part-(\d{6,})\.parquet")
KEYS = "predicted"  # the view of the keys that are kept


class Destination(Protocol):
    """Opened for one version and one schema; the schema's columns `keys` and the version name a row."""

    shown: str

    def there(self, connection: duckdb.DuckDBPyConnection, spill: Path) -> bool:
        """Make the view KEYS of the keys that are kept of this version; False where there are none."""

    def write(self, tables: Iterator[pa.Table]) -> Iterator[int]:
        """Keep rows, and yield how many are kept each time that some are safe."""


@contextmanager
def opened(scoring: Scoring, schema: pa.Schema, keys: Sequence[str], version: str) -> Iterator[Destination]:
    """What conf/scoring/ names. Raises `InputError` where it cannot be used, or holds other columns."""
    if scoring.url or scoring.url_env:
        with _database(scoring, schema, keys, version) as destination:
            yield destination
    else:
        with _folder(Path(scoring.folder), schema, keys, version) as destination:
            yield destination


class Folder:
    """<folder>/<version>/part-<number>.parquet, each written whole and never again."""

    def __init__(self, folder: Path, schema: pa.Schema, keys: Sequence[str]) -> None:
        self.shown = str(folder)
        self._folder, self._schema, self._keys = folder, schema, keys
        for path in self._parts():
            found = table.metadata(path, "gitloop score").schema.to_arrow_schema()
            if not found.equals(schema):
                raise InputError(
                    f"{path}: has other columns than this model's predictions; name another `folder` in {CONF}, or "
                    "move the file away"
                )

    def there(self, connection: duckdb.DuckDBPyConnection, spill: Path) -> bool:  # noqa: ARG002 -- see Destination
        parts = self._parts()
        if parts:
            listed, keys = ", ".join(map(literal, parts)), ", ".join(map(identifier, self._keys))
            connection.execute(f"CREATE VIEW {KEYS} AS SELECT {keys} FROM read_parquet([{listed}])")
        return bool(parts)

    def write(self, tables: Iterator[pa.Table]) -> Iterator[int]:
        # Row groups and files are even, so that a run that was interrupted leaves what an undisturbed one would.
        rows = (batch for one in tables for batch in one.to_batches())
        groups = table.even(self._schema, rows)
        number = max((_number(path) for path in self._parts()), default=0)
        for head in groups:
            number += 1
            part = itertools.chain([head], itertools.islice(groups, GROUPS - 1))
            path = self._folder / f"part-{number:06}.parquet"
            yield table.write(path, self._schema, (batch for one in part for batch in one.to_batches()))

    def _parts(self) -> list[Path]:
        return sorted((path for path in self._folder.glob("*") if PART.fullmatch(path.name)), key=_number)


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("part-"))


@contextmanager
def _folder(folder: Path, schema: pa.Schema, keys: Sequence[str], version: str) -> Iterator[Folder]:
    inside = folder / quote(version, safe="@")
    try:
        inside.mkdir(parents=True, exist_ok=True)
        lock = os.open(inside, os.O_RDONLY)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise InputError(f"{folder}: cannot be written ({reason}); name another `folder` in {CONF}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # gone with the process, however it ends
        yield Folder(inside, schema, keys)
    except BlockingIOError as error:
        raise InputError(f"{inside}: another `gitloop score` writes there; wait until it is done") from error
    finally:
        os.close(lock)


@contextmanager
def _database(scoring: Scoring, schema: pa.Schema, keys: Sequence[str], version: str) -> Iterator[Destination]:
    from sqlalchemy.exc import SQLAlchemyError

    from gitloop.serving.database import engine, reason
    from gitloop.serving.scores import Table

    into = engine(scoring, f"{CONF}: ")
    place = redact(scoring.url) if scoring.url else f"the database of {scoring.url_env}"
    try:
        yield Table(into, scoring.table, schema, keys, version, f"{place}, table {scoring.table}")
    except SQLAlchemyError as error:
        raise InputError(
            f"{CONF}: {place}: {reason(error, into.url)}; check the URL, that it runs, and who may write"
        ) from error
    finally:
        into.dispose()
