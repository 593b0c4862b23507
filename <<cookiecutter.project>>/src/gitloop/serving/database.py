"""The prediction log's tables in a database, SQLite or PostgreSQL, and how a line of the log becomes a row."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from gitloop.errors import InputError
from gitloop.settings import Log, Scoring

WAIT = 5  # seconds for a connection, and for a lock of SQLite
SILENT = 30_000  # milliseconds after which a connection that does not answer is given up
ROWS = 10_000  # read at a time

TABLES = sqlalchemy.MetaData()
PREDICTIONS = sqlalchemy.Table(
    "predictions",
    TABLES,
    sqlalchemy.Column("id", sqlalchemy.String(64), primary_key=True),
    sqlalchemy.Column("time", sqlalchemy.DateTime, nullable=False, index=True),  # UTC
    sqlalchemy.Column("version", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("prediction", sqlalchemy.Text),  # true, a category or a number
    sqlalchemy.Column("probability", sqlalchemy.Double),
    sqlalchemy.Column("probabilities", sqlalchemy.JSON(none_as_null=True)),  # category → probability
    sqlalchemy.Column("latency_ms", sqlalchemy.Double),
    sqlalchemy.Column("inputs", sqlalchemy.JSON, nullable=False),  # column → value
)
FEEDBACK = sqlalchemy.Table(
    "feedback",
    TABLES,
    sqlalchemy.Column("id", sqlalchemy.String(64), primary_key=True),
    sqlalchemy.Column("time", sqlalchemy.DateTime, primary_key=True),  # of several the latest counts
    sqlalchemy.Column("truth", sqlalchemy.Text),
)
REQUESTS = sqlalchemy.Table(
    "requests",
    TABLES,
    sqlalchemy.Column("id", sqlalchemy.String(64), primary_key=True),
    sqlalchemy.Column("time", sqlalchemy.DateTime, nullable=False, index=True),  # the minute, UTC
    sqlalchemy.Column("version", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("endpoint", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("status", sqlalchemy.Integer, nullable=False),
    sqlalchemy.Column("reason", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("count", sqlalchemy.Integer, nullable=False),
)
LOG = frozenset({"predictions", "feedback"})  # those that every log has; an older service made no other
_SUPPORTED: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


def engine(named: Log | Scoring, where: str = "conf/serving/: log.") -> sqlalchemy.Engine:
    """Raises `InputError` where the URL is missing, wrong, or of a database that is not supported."""
    given = named.url or os.environ.get(str(named.url_env))
    key = f"{where}url" if named.url else f"{where}url_env"
    form = "postgresql+psycopg://user:password@host/name or sqlite:///file"  # pragma: allowlist secret
    if not given:
        raise InputError(f"{key}: the environment variable {named.url_env} is not set; set it to {form}")
    try:
        url = sqlalchemy.make_url(given)
        kind = url.get_backend_name()
        if kind not in _SUPPORTED:
            raise InputError(f"{key}: {kind} is not supported; use {form}")
        wait: dict[str, Any] = {"timeout": WAIT} if kind == "sqlite" else {}
        if url.get_driver_name() in ("psycopg", "psycopg2"):
            wait = {"connect_timeout": WAIT, "tcp_user_timeout": SILENT}
        dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
        # One connection, tried before it is used: the database may have been started anew.
        return sqlalchemy.create_engine(
            url, pool_size=1, max_overflow=0, pool_pre_ping=True, connect_args=wait, json_serializer=dump
        )
    except (ArgumentError, NoSuchModuleError, ValueError) as error:
        raise InputError(f"{key}: holds no database URL; it has the form {form}") from error
    except ModuleNotFoundError as error:
        raise InputError(f"{key}: its driver {error.name!r} is not installed; add it to pyproject.toml") from error


def insert(into: sqlalchemy.Engine, name: str) -> sqlalchemy.Executable:
    """The statement that adds rows to a table, and does nothing for those that it holds."""
    statement: sqlalchemy.Executable = _SUPPORTED[into.dialect.name](TABLES.tables[name]).on_conflict_do_nothing()
    return statement


def row(name: str, line: bytes) -> dict[str, Any] | None:
    """A line of the log `name` as a row of its table; None where the line is torn."""
    try:
        record = json.loads(line)
        time = datetime.fromisoformat(record["time"]).astimezone(UTC).replace(tzinfo=None)
        found = {"id": _text(record["id"]), "time": time}
        if name == "feedback":
            return {**found, "truth": plain(record["truth"])}
        if name == "requests":
            texts = {field: _text(record[field]) for field in ("version", "endpoint", "reason")}
            return {**found, **texts, "status": int(record["status"]), "count": int(record["count"])}
        return {
            **found,
            "version": _text(record["version"]),
            "prediction": plain(record.get("prediction")),
            "probability": _number(record.get("probability")),
            "probabilities": record.get("probabilities"),
            "latency_ms": _number(record.get("latency_ms")),
            "inputs": dict(record["inputs"]),
        }
    except (ValueError, KeyError, TypeError, OverflowError):
        return None


def plain(value: Any) -> str | None:
    """A prediction as text: `true`, the category, `1.5`."""
    return value if value is None or isinstance(value, str) else json.dumps(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("is not text")
    return value


def _number(value: Any) -> float | None:
    return None if value is None else float(value)


def stored(
    log: Log, since: datetime, until: datetime, fields: Mapping[str, Sequence[str]], below: str | None = None
) -> Iterator[tuple[str, Sequence[Sequence[str | None]]]]:
    """Rows of the predictions of a window (naive UTC) and of their feedback, with the name of their table, in parts.

    `below`: only ids before it. All values are text. What has no table yet has no rows. Raises `InputError` where the
    database cannot be read.
    """
    inside = sqlalchemy.and_(PREDICTIONS.c.time >= since, PREDICTIONS.c.time < until)
    if below is not None:
        inside = sqlalchemy.and_(inside, PREDICTIONS.c.id < below)
    where = {"predictions": inside, "feedback": FEEDBACK.c.id.in_(sqlalchemy.select(PREDICTIONS.c.id).where(inside))}
    with connected(log) as connection:
        for name in fields:
            if connection is None:
                return
            columns = [sqlalchemy.cast(TABLES.tables[name].c[field], sqlalchemy.Text) for field in fields[name]]
            query = sqlalchemy.select(*columns).where(where[name])
            rows = connection.execution_options(yield_per=ROWS).execute(query)
            for part in rows.partitions():
                yield name, part


def count(log: Log, since: datetime, until: datetime) -> int:
    """The predictions of a window."""
    inside = sqlalchemy.and_(PREDICTIONS.c.time >= since, PREDICTIONS.c.time < until)
    return _counted(log, sqlalchemy.select(sqlalchemy.func.count()).select_from(PREDICTIONS).where(inside))


def unknown(log: Log, since: datetime, until: datetime) -> int:
    """Feedback that was told in a window for ids of which there is no prediction."""
    inside = sqlalchemy.and_(FEEDBACK.c.time >= since, FEEDBACK.c.time < until)
    there = sqlalchemy.exists().where(PREDICTIONS.c.id == FEEDBACK.c.id)
    return _counted(log, sqlalchemy.select(sqlalchemy.func.count()).select_from(FEEDBACK).where(inside, ~there))


def requests(log: Log, since: datetime, until: datetime) -> Iterator[Sequence[Any]]:
    """Minute (naive UTC), id, status, reason and count of the requests of a window."""
    named = REQUESTS.c
    query = sqlalchemy.select(named.time, named.id, named.status, named.reason, named.count)
    with connected(log, frozenset({"requests"})) as connection:
        if connection is not None:
            yield from connection.execute(query.where(named.time >= since, named.time < until))


def _counted(log: Log, query: Any) -> int:
    with connected(log) as connection:
        return int(connection.execute(query).scalar_one()) if connection is not None else 0


@contextmanager
def connected(log: Log, needed: Set[str] = LOG) -> Iterator[sqlalchemy.Connection | None]:
    """A connection to read the log; None where it does not have these tables yet."""
    source = engine(log)
    file = source.url.database or ""
    if source.dialect.name == "sqlite" and not Path(file).is_file():  # SQLite would make it
        raise InputError(f"{file or ':memory:'}: no such database; a service makes it, or mend conf/serving/: log")
    try:
        with source.connect() as connection:
            there = set(sqlalchemy.inspect(connection).get_table_names())
            yield connection if there >= needed else None
    except SQLAlchemyError as error:
        words = reason(error, source.url)
        raise InputError(f"conf/serving/: log: the database cannot be read ({words}); check that it runs") from error
    finally:
        source.dispose()


def reason(error: BaseException, url: sqlalchemy.URL) -> str:
    """What went wrong, in one line and without the password."""
    words = str(getattr(error, "orig", None) or error).strip().partition("\n")[0]
    for secret in (url.password, quote(url.password or "", safe="")):
        words = words.replace(str(secret), "***") if secret else words
    return f"{type(error).__name__}: {words}"
