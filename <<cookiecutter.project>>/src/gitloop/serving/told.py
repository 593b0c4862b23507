"""Truths that come many at a time: which of their predictions the log knows, and the telling, once and whole."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import sqlalchemy

from gitloop.data.table import connect, literal
from gitloop.errors import InputError
from gitloop.files import whole
from gitloop.serving import sampling
from gitloop.serving.journal import FORM, HOUR, line, parts
from gitloop.settings import Log

AT_ONCE = 500  # ids in one query


class Telling(NamedTuple):
    """What came true of a prediction."""

    id: str
    time: datetime  # when somebody said so, naive UTC
    truth: Any  # as JSON has it


def known(log: Log, ids: Sequence[str], since: datetime, until: datetime) -> set[str]:
    """Those ids of which there is a prediction made at about since <= time <= until (naive UTC).

    Raises `InputError` where the log cannot be read.
    """
    if log.url or log.url_env:
        from gitloop.serving import database

        with database.connected(log) as connection:
            column = database.PREDICTIONS.c.id
            return {id for (id,) in _asked(connection, [column], column, ids)}
    files = [
        part.path
        for part in parts(Path(log.folder))
        if part.name == "predictions" and since - 2 * HOUR <= part.hour.replace(tzinfo=None) <= until + HOUR
    ]
    return {id for (id,) in _lines(files, ids, ("id",))}


def tell(log: Log, tellings: Sequence[Telling]) -> int:
    """Keep truths as the service keeps those that it is sent; how many were not there yet. All of them or none.

    The same truth, said at the same time, is kept once. Raises `InputError` where the log cannot be read or written.
    """
    records = [{"id": one.id, "time": one.time.replace(tzinfo=UTC).isoformat(), "truth": one.truth} for one in tellings]
    if log.url or log.url_env:
        return _into_database(log, records)
    folder = Path(log.folder)
    files = [part.path for part in parts(folder) if part.name == "feedback"]
    there = {(id, time) for id, time in _lines(files, [one.id for one in tellings], ("id", "time"))}
    fresh = sorted((one for one in records if (one["id"], one["time"]) not in there), key=lambda one: one["id"])
    if fresh:
        content = b"".join(map(line, fresh))
        hour = max(one.time for one in tellings).strftime(FORM)
        # A file of its own, whose name says what is in it: nobody appends to it, and it is never written anew.
        name = f"feedback-{hour}-labels-{hashlib.sha256(content).hexdigest()[:12]}.jsonl"
        with whole(folder / name) as temporary:
            temporary.write_bytes(content)
            temporary.chmod(0o640)
    return len(fresh)


def _lines(files: Sequence[Path], ids: Sequence[str], fields: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """These fields, as text, of the lines of these ids."""
    good, _ = sampling.readable(files)
    columns = ", ".join(f"{name}: 'VARCHAR'" for name in fields)
    with connect() as connection, tempfile.TemporaryDirectory(prefix="gitloop-") as temporary:
        connection.register("wanted", pa.table({"id": pa.array(sorted(set(ids)), pa.string())}))
        for path in sampling.gathered(good, 1.0, Path(temporary)):
            lines = (
                f"read_json({literal(path)}, columns = {{{columns}}}, format = 'newline_delimited', "
                "ignore_errors = true)"
            )
            yield from connection.execute(
                f"SELECT {', '.join(fields)} FROM {lines} SEMI JOIN wanted USING (id)"
            ).fetchall()


def _into_database(log: Log, records: Sequence[dict[str, Any]]) -> int:
    from gitloop.serving import database

    table = database.FEEDBACK
    rows = [database.row("feedback", line(one)) for one in records]
    into = database.engine(log)
    try:
        with into.begin() as connection:
            ids = [one["id"] for one in records]
            there = set(_asked(connection, [table.c.id, table.c.time], table.c.id, ids))
            fresh = [one for one in rows if one and (one["id"], one["time"]) not in there]
            if fresh:
                connection.execute(database.insert(into, "feedback"), fresh)
        return len(fresh)
    except sqlalchemy.exc.SQLAlchemyError as error:
        words = database.reason(error, into.url)
        raise InputError(f"conf/serving/: log: the database cannot be written ({words}); check that it runs") from error
    finally:
        into.dispose()


def _asked(
    connection: sqlalchemy.Connection | None, columns: Sequence[Any], by: Any, ids: Sequence[str]
) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(ids) if connection is not None else 0, AT_ONCE):
        assert connection is not None  # noqa: S101 -- see the range
        query = sqlalchemy.select(*columns).where(by.in_(ids[start : start + AT_ONCE]))
        yield from (tuple(row) for row in connection.execute(query))
