"""A database as a source."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from zoneinfo import ZoneInfo

import pyarrow as pa
from pydantic import model_validator

from gitloop.contract import Frozen
from gitloop.data.places import reason, redact
from gitloop.data.protocol import Request, empty, stream
from gitloop.errors import InputError

if TYPE_CHECKING:  # imported where it is used, so that other sources do without
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

CHUNK = 20_000  # rows fetched at a time: Python's objects take more room than Arrow's
FIRST, LAST = datetime(1, 1, 1), datetime(9999, 12, 31)  # bound where the window is open
AS_TEXT: dict[type, Callable[[Any], str]] = {
    str: str,
    bool: lambda value: "true" if value else "false",
    float: repr,  # the shortest text that is the same number again
    datetime: lambda value: value.isoformat(sep=" "),
    date: date.isoformat,
    time: time.isoformat,
    bytes: bytes.hex,
    dict: lambda value: json.dumps(value, ensure_ascii=False, sort_keys=True, default=str),
    list: lambda value: json.dumps(value, ensure_ascii=False, default=str),
}


class SQL(Frozen):
    """The rows of a query to any database that SQLAlchemy knows.

        source:
          _target_: gitloop.data.sources.SQL
          url_env: DATABASE_URL  # the environment variable that holds the URL; or `url: sqlite:///data/source/x.db`
          query: SELECT * FROM sales WHERE sold_at >= :since AND sold_at < :until

    `:since` and `:until` are bound to the window, in the time zone of the contract's timestamp; for SQLite as text such
    as 2013-01-31 12:00:00. Every value goes on as text, which `validate` casts: a chunk that is all null tells no type,
    and SQLite's columns keep to none. Ingest sorts rows by timestamp; where there is none, end the query with ORDER BY,
    or the order is the database's whim and two runs may differ.
    """

    query: str
    url: str | None = None
    url_env: str | None = None

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("give either `url` or `url_env`, the environment variable that holds it")
        return self

    def describe(self) -> dict[str, Any]:
        place = {"url": redact(self.url)} if self.url else {"url_env": self.url_env}
        return {"kind": "SQL", **place, "query": self.query}

    def batches(self, request: Request) -> pa.RecordBatchReader:
        return stream(self._batches(request))

    def _batches(self, request: Request) -> Iterator[pa.RecordBatch]:
        import sqlalchemy
        from sqlalchemy.exc import SQLAlchemyError

        url = self._url()
        shown = f"the database of {self.url_env}" if self.url_env else redact(url.render_as_string())
        statement = sqlalchemy.text(self.query)
        names = {*statement.compile().params}
        unknown = sorted(names - {"since", "until"})
        if unknown:
            raise InputError(
                f"source.query: :{unknown[0]} is unknown, only :since and :until are bound; "
                rf"write \:{unknown[0]} where the colon is meant"
            )
        with _connected(url, shown) as connection:
            dialect = connection.dialect.name
            try:
                if dialect == "postgresql":  # so that times with and without an offset compare with the window alike
                    zone = sqlalchemy.text("SELECT set_config('TimeZone', :zone, false)")
                    connection.execute(zone, {"zone": request.timezone})
                bounds = {name: value for name, value in _bounds(request, dialect).items() if name in names}
                yield from _batches(
                    connection.execution_options(stream_results=True, max_row_buffer=CHUNK).execute(statement, bounds),
                    request,
                )
            except SQLAlchemyError as error:
                raise InputError(f"{shown}: the query fails ({_saying(error, url)}); mend `source.query`") from error

    def _url(self) -> sqlalchemy.URL:
        import sqlalchemy
        from sqlalchemy.exc import ArgumentError

        given = self.url or os.environ.get(str(self.url_env))
        form = "dialect+driver://user:password@host/name"  # pragma: allowlist secret
        if not given:
            raise InputError(f"source.url_env: the environment variable {self.url_env} is not set; set it to {form}")
        try:
            url = sqlalchemy.make_url(given)
        except (ArgumentError, ValueError) as error:
            key = "url_env" if self.url_env else "url"
            raise InputError(f"source.{key}: holds no database URL; it has the form {form}") from error
        file = url.database or ""
        if url.get_backend_name() == "sqlite" and not Path(file).is_file():  # SQLite would make it
            raise InputError(f"{file or ':memory:'}: no such database; put the file there or mend `source.url`")
        return url


def _connected(url: sqlalchemy.URL, shown: str) -> sqlalchemy.Connection:
    import sqlalchemy
    from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

    try:
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool).connect()
    except NoSuchModuleError as error:
        raise InputError(f"{shown}: no driver for {url.drivername!r}; mend the URL, or install its package") from error
    except ModuleNotFoundError as error:
        raise InputError(f"{shown}: its driver {error.name!r} is not installed; add it to pyproject.toml") from error
    except SQLAlchemyError as error:
        raise InputError(
            f"{shown}: cannot be reached ({_saying(error, url)}); check the URL, and that it runs"
        ) from error


def _saying(error: SQLAlchemyError, url: sqlalchemy.URL) -> str:
    """The database's own words, without the password, and without a value where one does not fit (SQLSTATE 22…)."""
    cause = getattr(error, "orig", None) or error
    words = reason(cause)
    if str(getattr(cause, "sqlstate", None) or "").startswith("22"):
        words = words.partition(': "')[0]
    return words.replace(str(url.password), "***") if url.password else words


def _bounds(request: Request, dialect: str) -> dict[str, datetime | str]:
    """The window in the time zone of the timestamp."""
    zone = ZoneInfo(request.timezone)

    def local(bound: datetime | None, otherwise: datetime) -> datetime | str:
        here = bound.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None) if bound else otherwise
        return here.isoformat(sep=" ") if dialect == "sqlite" else here

    return {"since": local(request.since, FIRST), "until": local(request.until, LAST)}


def _batches(result: sqlalchemy.CursorResult[Any], request: Request) -> Iterator[pa.RecordBatch]:
    if not result.returns_rows:
        raise InputError("source.query: gives no table; write a SELECT")
    names = list(result.keys())
    twice = [name for index, name in enumerate(names) if name in names[:index]]
    if twice:
        raise InputError(f"source.query: gives column {twice[0]!r} twice; rename one with AS")
    wanted = [index for index, name in enumerate(names) if request.wanted(name)]
    schema = pa.schema([(names[index], pa.string()) for index in wanted])
    yield empty(schema)
    for rows in result.partitions(CHUNK):
        columns = list(zip(*rows, strict=True))
        yield pa.RecordBatch.from_arrays([_as_text(columns[index]) for index in wanted], schema=schema)


def _as_text(values: tuple[Any, ...]) -> pa.Array:
    builder = pa.lib.StringBuilder()  # pa.array imports pandas
    builder.append_values([None if value is None else AS_TEXT.get(type(value), str)(value) for value in values])
    return builder.finish()
