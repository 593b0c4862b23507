"""From rows that keep the contract to predictions of those that have none yet."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gitloop.arrays import Array
from gitloop.contract import Column
from gitloop.data import table
from gitloop.data.table import identifier
from gitloop.serving.destinations import KEYS, Destination
from gitloop.serving.rows import KEPT, REPEAT, ROW, THERE, Rows
from gitloop.serving.runtime import Served
from gitloop.serving.threads import mapped

WORKERS = min(4, os.cpu_count() or 1)  # chunks scored at a time
PIECE = 20_000  # rows that the model is asked of at a time: what it computes between stays in the processor's cache
AT_ONCE = 1_000_000  # keys compared at a time, so that memory does not grow with the rows
DUPLICATE, TOO_LARGE = "duplicate key", "numbers too large for the model"


def sort_out(rows: Rows, keys: Sequence[str], content: Sequence[str], destination: Destination) -> None:
    """Tell which rows need no prediction: repeats of another's key or unique value, and what is there already.

    Of rows with one key the first by `content` is kept, wherever in the source it lies; one like it is a repeat, any
    other is set aside.
    """
    unique = [name for name, column in rows.columns.items() if column.unique and [name] != list(keys)]
    for names, reason in [(list(keys), DUPLICATE), *(([name], f"{name}: not unique") for name in unique)]:
        for part in _parts(rows, names):
            _repeats(rows, names, content, reason, part)
    if destination.there(rows.connection, rows.folder):
        by = ", ".join(map(identifier, keys))
        for part in _parts(rows, keys):
            found = rows.connection.sql(
                f"SELECT {ROW} FROM (SELECT {ROW}, {by} FROM clean WHERE {part}) "
                f"SEMI JOIN (SELECT {by} FROM {KEYS} WHERE {part}) USING ({by})"
            ).fetchnumpy()[ROW]
            rows.fate[found[rows.fate[found] == KEPT]] = THERE


def _parts(rows: Rows, names: Sequence[str]) -> Iterator[str]:
    """SQL of disjoint parts of all values."""
    count = 1 + len(rows.fate) // AT_ONCE
    for number in range(count):
        yield f"hash({', '.join(map(identifier, names))}) % {count} = {number}" if count > 1 else "true"


def _repeats(rows: Rows, names: Sequence[str], content: Sequence[str], reason: str, part: str) -> None:
    by, all_of_it = (", ".join(map(identifier, some)) for some in (names, content))
    there = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in names)
    rows.connection.execute(
        f"CREATE OR REPLACE TEMP TABLE suspects AS SELECT hash({by}) AS h FROM clean WHERE {part} AND {there} "
        "GROUP BY h HAVING count(*) > 1"
    )
    if not rows.connection.sql("SELECT count(*) FROM suspects").fetchall()[0][0]:
        return
    # Those among them that are kept: the others were told apart before.
    found = rows.connection.sql(
        f"SELECT {ROW} FROM clean WHERE {part} AND {there} AND hash({by}) IN (FROM suspects)"
    ).fetchnumpy()[ROW]
    rows.connection.register("candidates", pa.table({ROW: found[rows.fate[found] == KEPT]}))
    later = rows.connection.sql(f"""
        SELECT {ROW}, same FROM (
            SELECT {ROW}, row_number() OVER w AS nth, first_value(content) OVER w = content AS same
            FROM (
                SELECT {ROW}, {", ".join(map(identifier, dict.fromkeys([*names, *content])))},
                    hash({all_of_it}) AS content
                FROM clean SEMI JOIN candidates USING ({ROW})
            )
            WINDOW w AS (PARTITION BY {by} ORDER BY {all_of_it}, {ROW})
        ) WHERE nth > 1 ORDER BY {ROW}""").fetchnumpy()
    same = later["same"].astype(bool)
    rows.fate[later[ROW][same]] = REPEAT
    rows.set_aside(later[ROW][~same], reason)


def scored(rows: Rows, served: Served, schema: pa.Schema, names: Sequence[str]) -> Iterator[pa.Table]:
    """Predictions of the rows that are kept, in the order of the source; at the end the others are set aside."""
    predict: Callable[[pa.Table], tuple[pa.Table, Array]] = partial(
        predictions, served=served, columns=rows.columns, schema=schema
    )
    large: list[Array] = []
    for done, wrong in mapped(predict, rows.tables(names), WORKERS):
        large.append(wrong)
        yield done
    if large:
        rows.set_aside(np.concatenate(large), TOO_LARGE)


def predictions(
    rows: pa.Table, served: Served, columns: Mapping[str, Column], schema: pa.Schema
) -> tuple[pa.Table, Array]:
    """What is written of canonical rows, and the numbers of those of which the model can say nothing."""
    given = table.arrays(rows, columns, served.signature.inputs)
    pieces = [slice(start, start + PIECE) for start in range(0, rows.num_rows, PIECE)]
    scores = np.concatenate([served.scores({name: of[piece] for name, of in given.items()}) for piece in pieces])
    finite = pa.array(np.asarray(np.isfinite(scores.reshape(len(scores), -1)).all(axis=1)))
    values = [pa.array(served.labels(scores), schema.field("prediction").type)]
    if served.signature.contract.task != "regression":
        values += [pa.array(one) for one in (scores.T if scores.ndim == 2 else [scores])]
    carried = [rows.column(name) for name in schema.names[: len(schema) - len(values) - 1]]
    version = pa.repeat(pa.scalar(served.version), len(scores))
    done = pa.Table.from_arrays([*carried, *values, version], schema=schema)
    if pc.all(finite).as_py():
        return done, np.empty(0, dtype=np.int64)
    return done.filter(finite), rows.column(ROW).filter(pc.invert(finite)).to_numpy()
