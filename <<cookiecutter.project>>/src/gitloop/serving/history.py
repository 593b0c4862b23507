"""The prediction log read back, from files or a database: a window's predictions, with the truth where it has come."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import duckdb
import pyarrow as pa

from gitloop import ui
from gitloop.contract import Column, Contract
from gitloop.data import table
from gitloop.data.table import identifier, literal
from gitloop.errors import InputError
from gitloop.serving import sampling
from gitloop.serving.journal import HOUR, loggable, parts
from gitloop.settings import Log

SLACK = HOUR  # between a prediction's time and that by which its file is named, of hosts whose clocks differ
LOOKED_AT = 1000  # lines
SQL = {"numeric": "DOUBLE", "boolean": "BOOLEAN", "datetime": "TIMESTAMP"}  # else VARCHAR
FIELDS = {
    "predictions": ("id", "time", "version", "prediction", "probability", "probabilities", "latency_ms", "inputs"),
    "feedback": ("id", "time", "truth"),
}
AT = "timezone('UTC', TRY_CAST(time AS TIMESTAMPTZ))"
WHOLE = {
    "predictions": "(id IS NOT NULL AND instant IS NOT NULL AND version IS NOT NULL)",
    "feedback": "(id IS NOT NULL AND instant IS NOT NULL)",
}


class Drawn(NamedTuple):
    """What `opened` gives: a connection whose tables `predictions` and `feedback` are the log's lines.

    Values are text; `instant` is the time.
    """

    connection: duckdb.DuckDBPyConnection
    share: float  # of all predictions, drawn by their ids
    torn: int  # lines
    broken: tuple[str, ...]  # names of files that cannot be read at all
    sent: dict[str, tuple[str, ...]]  # field of `inputs` → its types in some lines, as `gitloop.contract` names them


class Window(NamedTuple):
    """since <= time of the prediction < until, in naive UTC."""

    since: datetime
    until: datetime


def schema(contract: Contract) -> pa.Schema:
    """Columns of the log itself, whose names begin with `_`, and then the contract's as far as they are logged.

    `_prediction` and `_truth` have the target's type; `_probabilities` is JSON, from category to probability. Raises
    `InputError` where a column of the contract has one of these names.
    """
    target = table.ARROW[contract.columns[contract.target].type]
    own = {
        "_id": pa.string(),
        "_time": pa.timestamp("us"),
        "_version": pa.string(),
        "_prediction": target,
        "_probability": pa.float64(),
        "_probabilities": pa.string(),
        "_latency_ms": pa.float64(),
        "_truth": target,
    }
    columns = {name: table.ARROW[column.type] for name, column in _columns(contract).items()}
    if both := [name for name in columns if name in own]:
        raise InputError(f"data.columns.{both[0]}: the prediction log has a column of that name; give it another")
    return pa.schema(own | columns)


def read(log: Log, contract: Contract, since: datetime, until: datetime) -> pa.Table:
    """Predictions with since <= time < until (naive times are UTC), ordered by time and id, each id once; see `schema`.

    `_truth` is the latest that was sent for the id, null where none was. What the service was not sent, or did not
    log, is null. Torn lines are left out with a warning. Raises `InputError` where the database cannot be read.
    """
    with batches(log, contract, since, until) as reader:
        return reader.read_all()


@contextmanager
def batches(log: Log, contract: Contract, since: datetime, until: datetime) -> Iterator[pa.RecordBatchReader]:
    """The same in parts, for a window that exceeds memory."""
    shape = schema(contract)
    with opened(log, contract, since, until) as drawn:
        yield drawn.connection.sql(query(contract)).to_arrow_reader(table.chunk(len(shape))).cast(shape)


@contextmanager
def opened(log: Log, contract: Contract, since: datetime, until: datetime, most: int | None = None) -> Iterator[Drawn]:
    """The window's lines as they were written, with all feedback since its begin; of `most` predictions at most.

    Ids are random, so that those below a bound are a fair draw: it holds the feedback of the same predictions, and
    every repetition. Warns of torn lines. Raises `InputError` where the database cannot be read.
    """
    window = Window(_utc(since), _utc(until))
    with table.connect() as connection:
        if log.url or log.url_env:
            yield _from_database(connection, log, contract, window, most)
        else:
            yield _from_files(connection, Path(log.folder), contract, window, most)


def _columns(contract: Contract) -> dict[str, Column]:
    """What a line's `inputs` may hold."""
    return {name: contract.columns[name] for name in loggable(contract.columns) if name != contract.target}


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo is None else time.astimezone(UTC).replace(tzinfo=None)


def query(contract: Contract) -> str:
    """SQL from `predictions` and `feedback`, whose values are text, to typed columns."""
    target = SQL.get(contract.columns[contract.target].type, "VARCHAR")
    own = {
        "_id": "id",
        "_time": "instant",
        "_version": "version",
        "_prediction": f"TRY_CAST(prediction AS {target})",
        "_probability": "TRY_CAST(probability AS DOUBLE)",
        "_probabilities": "probabilities",
        "_latency_ms": "TRY_CAST(latency_ms AS DOUBLE)",
        "_truth": f"TRY_CAST(truth AS {target})",
    }
    columns = {
        # As the service wrote it: canonical, in UTC.
        name: f"TRY_CAST(inputs[{literal(name)}] AS {SQL.get(column.type, 'VARCHAR')})"
        for name, column in _columns(contract).items()
    }
    values = ", ".join(f"{sql} AS {identifier(name)}" for name, sql in (own | columns).items())
    once = "SELECT * FROM predictions QUALIFY row_number() OVER (PARTITION BY id ORDER BY instant, prediction) = 1"
    latest = "SELECT id, max_by(truth, (instant, truth)) AS truth FROM feedback GROUP BY id"
    return f"SELECT {values} FROM ({once}) LEFT JOIN ({latest}) USING (id) ORDER BY _time, _id"


def _inputs(contract: Contract) -> str:
    """DuckDB's type of `inputs`: all text."""
    fields = ", ".join(f"{identifier(name)} VARCHAR" for name in _columns(contract))
    return f"STRUCT({fields})" if fields else "VARCHAR"


def _types(name: str, contract: Contract) -> dict[str, str]:
    return {field: _inputs(contract) if field == "inputs" else "VARCHAR" for field in FIELDS[name]}


def _from_files(
    connection: duckdb.DuckDBPyConnection, folder: Path, contract: Contract, window: Window, most: int | None
) -> Drawn:
    files: dict[str, list[Path]] = {name: [] for name in FIELDS}
    for part in (one for one in parts(folder) if one.name in files):
        hour = part.hour.replace(tzinfo=None)
        begun = part.name == "feedback" or hour < window.until + SLACK
        if begun and hour + HOUR > window.since - SLACK:
            files[part.name].append(part.path)
    torn, broken, share = 0, [], sampling.share(files["predictions"], most)
    with tempfile.TemporaryDirectory(prefix="gitloop-") as temporary:
        for name, paths in files.items():
            given, bad = sampling.readable(paths)
            broken += bad
            _create(connection, name, _types(name, contract))
            for path in sampling.gathered(given, share, Path(temporary)):
                _insert(connection, name, _types(name, contract), path, window)
            [(count,)] = connection.execute(f"DELETE FROM {name} WHERE NOT {WHOLE[name]}").fetchall()
            torn += count
    if torn:
        ui.warn(f"{folder}: {torn:,} torn lines are left out")
    for file in broken:
        ui.warn(f"{folder / file}: cannot be read and is left out")
    good, _ = sampling.readable(files["predictions"])
    return Drawn(connection, share, torn, tuple(broken), sent(sampling.heads(good, LOOKED_AT)))


def sent(lines: Iterable[str | bytes]) -> dict[str, tuple[str, ...]]:
    """The fields of `inputs` and the types of their values, nulls not counted, in lines of the log."""
    found: dict[str, set[str]] = {}
    for line in lines:
        try:
            inputs = dict(json.loads(line)["inputs"])
        except (ValueError, KeyError, TypeError):
            continue
        for name, value in inputs.items():
            kind = "boolean" if isinstance(value, bool) else "numeric" if isinstance(value, int | float) else "text"
            found.setdefault(name, set()).update(() if value is None else (kind,))
    return {name: tuple(sorted(kinds)) for name, kinds in sorted(found.items())}


def _create(connection: duckdb.DuckDBPyConnection, name: str, types: dict[str, str]) -> None:
    connection.execute(f"CREATE TABLE {name} ({', '.join(map(' '.join, types.items()))}, instant TIMESTAMP)")


def _insert(
    connection: duckdb.DuckDBPyConnection, name: str, types: dict[str, str], path: Path, window: Window
) -> None:
    """The window's lines in a file, and those that are torn, into the table `name`."""
    columns = ", ".join(f"{field}: {literal(kind)}" for field, kind in types.items())
    inside = (
        f"instant >= {_literal(window.since)} AND instant < {_literal(window.until)}"
        if name == "predictions"
        else "true"
    )
    # Of a line that is no JSON every field is null.
    lines = (
        f"SELECT *, {AT} AS instant FROM read_json({literal(path)}, columns = {{{columns}}}, "
        "format = 'newline_delimited', ignore_errors = true)"
    )
    connection.execute(f"INSERT INTO {name} FROM ({lines}) WHERE ({inside}) OR NOT {WHOLE[name]}")


def _literal(time: datetime) -> str:
    return f"TIMESTAMP {literal(time.isoformat(sep=' '))}"


def _from_database(
    connection: duckdb.DuckDBPyConnection, log: Log, contract: Contract, window: Window, most: int | None
) -> Drawn:
    from gitloop.serving import database

    for name in FIELDS:
        _create(connection, name, _types(name, contract))
    share = sampling.fraction(database.count(log, *window), most) if most else 1.0
    below = sampling.below(share) if share < 1 else None
    parsed = f"json_transform(inputs, {literal(json.dumps(dict.fromkeys(_columns(contract), 'VARCHAR')))}) AS inputs"
    looked: list[str] = []
    for name, rows in database.stored(log, *window, FIELDS, below):
        values = zip(*rows, strict=True)
        held = pa.table({field: pa.array(one, pa.string()) for field, one in zip(FIELDS[name], values, strict=True)})
        connection.register("held", held)
        replaced = f"REPLACE ({parsed})" if name == "predictions" and _columns(contract) else ""
        connection.execute(f"INSERT INTO {name} SELECT * {replaced}, {AT} FROM held")
        if name == "predictions" and not looked:
            looked = [f'{{"inputs": {one}}}' for one in held.column("inputs").to_pylist()[:LOOKED_AT]]
        connection.unregister("held")
    return Drawn(connection, share, 0, (), sent(looked))
