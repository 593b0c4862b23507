"""Read the source's window into data/raw.parquet, and its fingerprint into metrics/source.json."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import pyarrow as pa
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from pydantic import ValidationError

from gitloop import layout, settings, targets, ui
from gitloop.data import order, pseudonym, sources, table
from gitloop.data.places import reason
from gitloop.data.protocol import Request, Source
from gitloop.errors import GitloopError, InputError
from gitloop.files import write_json
from gitloop.settings import nearest

Result = TypeVar("Result")
BUILT_IN = [f"gitloop.data.sources.{name}" for name in sources.__all__]


def run(arguments: argparse.Namespace) -> None:  # noqa: ARG001 -- every verb has the same signature
    """`gitloop ingest`."""
    data = settings.load().data
    file = layout.data_conf(data.name).as_posix()
    source = create(data.source, f"{file}: source")
    request = Request(data.columns, data.timestamp, data.window.since, data.window.until)
    described = _blaming(f"{file}: source", lambda: json.loads(json.dumps(source.describe(), allow_nan=False)))
    rows, schema = store(source, request, file)
    window = {"since": request.since, "until": request.until}
    write_json(
        layout.SOURCE,
        {
            "source": described,
            "window": {name: bound and bound.isoformat() for name, bound in window.items()},
            "rows": rows,
            "columns": {field.name: str(field.type) for field in schema},
            "sha256": _sha256(layout.RAW),
        },
    )
    shown = f", {span(request)}" if request.since or request.until else ""
    ui.say(f"{layout.RAW}: {rows:,} rows, {len(schema)} columns{shown}")


def create(spec: dict[str, Any], place: str) -> Source:
    """The source that `spec` names by `_target_`. Raises `InputError` naming the file and key, `place`."""
    target = str(spec["_target_"])
    kind = targets.locate(f"{place}._target_", target, BUILT_IN)
    try:
        source = instantiate(spec, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        if not isinstance(cause, ValidationError):
            raise InputError(f"{place}: {target} cannot be made ({reason(cause)}); mend its arguments") from error
        raise InputError("\n".join(_line(detail, kind, place) for detail in cause.errors())) from error
    if not isinstance(source, Source):
        raise InputError(f"{place}._target_: {target!r} is not a source; it needs the methods describe and batches")
    return source


def store(source: Source, request: Request, file: str) -> tuple[int, pa.Schema]:
    """Write the window's rows to data/raw.parquet, sorted, in bounded memory; their number and schema."""
    place, secret = f"{file}: source", pseudonym.key(request.columns, file)
    reader = _blaming(place, lambda: source.batches(request))
    names = [name for name in reader.schema.names if request.wanted(name)]
    schema = pseudonym.schema(pa.schema([reader.schema.field(name) for name in names]), request.columns)
    failures: list[GitloopError] = []
    with ui.progress("rows", None) as advance:

        def read() -> Iterator[pa.RecordBatch]:
            try:
                while (batch := _blaming(place, lambda: next(reader, None))) is not None:
                    yield pseudonym.hashes(batch.select(names), request.columns, secret)
                    advance(batch.num_rows)
            except GitloopError as failure:  # DuckDB would hand on no more than its text
                failures.append(failure)
                raise

        batches = read()
        head = next((batch for batch in batches if batch.num_rows), None)
        held = pa.RecordBatchReader.from_batches(schema, itertools.chain([head] if head else [], batches))
        with table.connect(order.memory(head)) as connection:
            try:
                rows = order.arranged(connection, held, request, file)
                count = table.write(layout.RAW, rows.schema, _some(rows, lambda: nothing(source, request, file)))
                return count, rows.schema
            except Exception as error:
                if failures:
                    raise failures[0] from error
                _explain(error)
                raise


def _explain(error: Exception) -> None:
    if isinstance(error, pa.ArrowNotImplementedError):
        raise InputError(f"{layout.RAW}: cannot be written ({reason(error)}); cast that column") from error
    if isinstance(error, duckdb.Error) or (isinstance(error, OSError) and not error.errno):
        raise InputError(
            f"{layout.RAW}: cannot be sorted ({reason(error)}); free the temporary folder (TMPDIR), "
            "or set the environment variable GITLOOP_MEMORY above 2GB"
        ) from error


def nothing(source: Source, request: Request, file: str) -> InputError:
    """Why there is not one row: reads the source without the window for the timestamps that it has."""
    if request.since is None and request.until is None:
        return InputError(f"{file}: source: has no rows; put some there or name another")
    every = replace(request, since=None, until=None)
    reader = _blaming(f"{file}: source", lambda: source.batches(every))
    with table.connect() as connection:
        time = request.instant(order.kinds(connection, reader.schema))
        connection.register("rows", reader)
        first, last = connection.sql(f"SELECT min({time}), max({time}) FROM rows").fetchall()[0]
    if first is None:
        return InputError(f"{file}: source: has no rows; put some there or name another")
    return InputError(
        f"{file}: window: no row has {span(request)}; its timestamps go from {first} to {last} (UTC), "
        "so move `since` or `until`"
    )


def span(request: Request) -> str:
    """The window as text."""
    since = f"{request.since} <= " if request.since else ""
    until = f" < {request.until}" if request.until else ""
    return f"{since}{request.timestamp}{until} (UTC)"


def _some(batches: pa.RecordBatchReader, otherwise: Callable[[], InputError]) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        yield batch
    if not rows:
        raise otherwise()


def _blaming(place: str, call: Callable[[], Result]) -> Result:
    """Call what is a source's: whatever it raises is an error of the input, not of gitloop."""
    try:
        return call()
    except GitloopError:
        raise
    except Exception as error:
        raise InputError(
            f"{place}: fails ({type(error).__name__}: {reason(error)}); run with --debug to see where"
        ) from error


def _line(detail: Any, kind: Any, place: str) -> str:
    key = ".".join(str(part) for part in detail["loc"])
    if detail["type"] == "extra_forbidden":
        return f"{place}.{key}: unknown key{nearest(key, sorted(kind.model_fields))}"
    message = "is missing; add it" if detail["type"] == "missing" else detail["msg"].removeprefix("Value error, ")
    return f"{place}{'.' + key if key else ''}: {message[0].lower() + message[1:]}"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
