"""The prediction log read back, from files or a database: a window's predictions, with the truth where it has come."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pyarrow as pa

from gitloop import ui
from gitloop.contract import Column, Contract
from gitloop.data import table
from gitloop.data.clean import cleaned
from gitloop.data.table import identifier, literal
from gitloop.errors import InputError
from gitloop.serving.journal import loggable, parts
from gitloop.settings import Log

LATEST = timedelta(hours=1)  # a file of an hour holds lines up to its end
TEXT = ("id", "time", "version", "inputs", "prediction", "probability", "probabilities", "latency_ms", "truth")
OWN = {  # columns of the log itself, and how they are read from text
    "id": ("id", pa.string()),
    "time": ("CAST(time AS TIMESTAMP)", pa.timestamp("us")),
    "version": ("version", pa.string()),
    "prediction": ("prediction", pa.string()),
    "probability": ("CAST(probability AS DOUBLE)", pa.float64()),
    "probabilities": ("probabilities", pa.string()),
    "latency_ms": ("CAST(latency_ms AS DOUBLE)", pa.float64()),
    "truth": ("truth", pa.string()),
}


class Window(NamedTuple):
    """since <= time of the prediction < until, in naive UTC."""

    since: datetime
    until: datetime


def schema(contract: Contract) -> pa.Schema:
    """What `read` gives: `prediction` and `truth` as text (true, a category, a number), `probabilities` as JSON."""
    own = [(f"_{name}", kind) for name, (_, kind) in OWN.items()]
    return pa.schema(own + [(name, table.ARROW[column.type]) for name, column in _columns(contract).items()])


def read(log: Log, contract: Contract, since: datetime, until: datetime) -> pa.Table:
    """Predictions with since <= time < until (naive times are UTC), ordered by time and id, each id once.

    Columns of the log begin with `_`: see `schema`. `_truth` is the latest that was sent for the id, null where none
    was. What the service was not sent, or did not log, is null. Lines that are torn are left out with a warning.
    Raises `InputError` where the database cannot be read.
    """
    window = Window(_utc(since), _utc(until))
    with table.connect() as connection:
        if log.url or log.url_env:
            _from_database(connection, log, window)
        else:
            _from_files(connection, Path(log.folder), window)
        return connection.sql(_query(contract, window)).to_arrow_table().cast(schema(contract))


def _columns(contract: Contract) -> dict[str, Column]:
    names = [name for name in loggable(contract.columns) if not contract.columns[name].has("target")]
    return {name: contract.columns[name] for name in names}


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def _query(contract: Contract, window: Window) -> str:
    """From `predictions` and `feedback`, all text, to typed columns."""
    path = "json_extract_string(inputs, {})"
    raw = [f"{path.format(literal(_pointer(name)))} AS {identifier(name)}" for name in _columns(contract)]
    values = [f"{sql} AS {identifier('_' + name)}" for name, (sql, _) in OWN.items()]
    values += [
        f"{cleaned(name, column, 'VARCHAR').value} AS {identifier(name)}" for name, column in _columns(contract).items()
    ]
    time = "CAST(time AS TIMESTAMP)"
    inside = f"{time} >= {_literal(window.since)} AND {time} < {_literal(window.until)}"
    latest = f"SELECT id, arg_max(truth, {time}) AS truth FROM feedback GROUP BY id"
    once = f"SELECT DISTINCT ON (id) * FROM predictions WHERE id IS NOT NULL AND {inside} ORDER BY id, time"
    joined = f"SELECT p.*, f.truth, {', '.join(raw)} FROM ({once}) AS p LEFT JOIN ({latest}) AS f USING (id)"
    return f"SELECT {', '.join(values)} FROM ({joined}) ORDER BY _time, _id"


def _pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


def _literal(time: datetime) -> str:
    return f"TIMESTAMP {literal(time.isoformat(sep=' '))}"


def _from_files(connection: duckdb.DuckDBPyConnection, folder: Path, window: Window) -> None:
    every = parts(folder)
    inside = [
        part.path
        for part in every
        if part.name == "predictions" and window.since - LATEST < part.hour.replace(tzinfo=None) < window.until
    ]
    later = [
        part.path
        for part in every
        if part.name == "feedback" and part.hour.replace(tzinfo=None) > window.since - LATEST
    ]
    torn = _lines(connection, "predictions", inside) + _lines(connection, "feedback", later)
    if torn:
        ui.warn(f"{folder}: {torn:,} torn lines are left out")


def _lines(connection: duckdb.DuckDBPyConnection, name: str, files: list[Path]) -> int:
    """A table `name` of the whole lines in files; how many lines are torn."""
    if not files:
        connection.execute(f"CREATE TABLE {name} ({', '.join(f'{column} VARCHAR' for column in TEXT)})")
        return 0
    listed = ", ".join(literal(path) for path in files)
    connection.execute(
        f"CREATE VIEW {name}_lines AS SELECT content FROM read_csv([{listed}], columns = {{'content': 'VARCHAR'}}, "
        "delim = '\\0', quote = '', escape = '', header = false, auto_detect = false, max_line_size = 16777216)"
    )
    taken = ", ".join(f"json_extract_string(content, '/{column}') AS {column}" for column in TEXT)
    # DuckDB evaluates both sides of an AND.
    whole = "CASE WHEN json_valid(content) THEN json_extract_string(content, '/id') END IS NOT NULL"
    connection.execute(f"CREATE TABLE {name} AS SELECT {taken} FROM {name}_lines WHERE {whole}")
    [(torn,)] = connection.sql(f"SELECT count(*) FROM {name}_lines WHERE NOT ({whole})").fetchall()
    return int(torn)


def _from_database(connection: duckdb.DuckDBPyConnection, log: Log, window: Window) -> None:
    import sqlalchemy
    from sqlalchemy.exc import SQLAlchemyError

    from gitloop.data.places import redact
    from gitloop.serving.shipper import FEEDBACK, PREDICTIONS, TABLES, engine

    database = engine(log)
    times = PREDICTIONS.c.time
    inside = sqlalchemy.and_(times >= window.since, times < window.until)
    of = sqlalchemy.select(PREDICTIONS.c.id).where(inside)
    queries = {
        "predictions": sqlalchemy.select(PREDICTIONS).where(inside),
        "feedback": sqlalchemy.select(FEEDBACK).where(FEEDBACK.c.id.in_(of)),
    }
    try:
        TABLES.create_all(database)
        with database.connect() as connected:
            for name, query in queries.items():
                connection.execute(f"CREATE TABLE {name} ({', '.join(f'{column} VARCHAR' for column in TEXT)})")
                rows = connected.execution_options(yield_per=table.CHUNK // 10).execute(query)
                for part in rows.mappings().partitions():
                    _insert(connection, name, part)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise InputError(
            f"conf/serving/: log: the database cannot be read ({redact(reason)}); check that it runs"
        ) from error


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: Any) -> None:
    def text(values: Iterator[Any]) -> pa.Array:
        return pa.array((None if value is None else str(value) for value in values), pa.string())

    batch = pa.table({column: text(row.get(column) for row in rows) for column in TEXT})
    for column in ("prediction", "truth"):  # JSON: "label" is the text label
        unquoted = f"json_extract_string({column}, '$') AS {column}"
        connection.register("batch", batch)
        batch = connection.sql(f"SELECT * REPLACE ({unquoted}) FROM batch").to_arrow_table()
    connection.register("batch", batch)
    connection.execute(f"INSERT INTO {name} SELECT * FROM batch")
