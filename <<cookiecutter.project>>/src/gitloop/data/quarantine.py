"""Set rows aside: what broke the contract goes to a file of its own, repeats nowhere, the rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from gitloop import layout
from gitloop.arrays import Array
from gitloop.contract import Column
from gitloop.data import table
from gitloop.data.rules import LEVELS, SAMPLES, Tally
from gitloop.data.table import identifier
from gitloop.settings import Data

KEPT, REPEAT = 0, 1


class Aside:
    """Why each row is set aside, in four bytes a row: reasons name rules, not values, so there are few texts."""

    def __init__(self, rows: int) -> None:
        self.codes = np.zeros(rows + 1, dtype=np.int32)  # by row number, which starts at 1
        self.texts = ["", "repeat"]

    def mark(self, rows: Array, reason: str) -> None:
        if reason not in self.texts:
            self.texts.append(reason)
        self.codes[rows] = self.texts.index(reason)

    def mark_found(self, rows: Array, reasons: Array) -> None:
        """Mark rows from one chunk, where a row (int, shape (n,)) may stand several times, each with a reason."""
        row, row_index = np.unique(rows, return_inverse=True)
        reason_index, reason = pd.factorize(reasons, sort=True)
        broken = np.zeros((len(row), len(reason)), dtype=bool)
        broken[row_index, reason_index] = True
        kinds, kind_index = np.unique(np.packbits(broken, axis=1), axis=0, return_inverse=True)
        for number, kind in enumerate(np.unpackbits(kinds, axis=1, count=len(reason)).astype(bool)):
            self.mark(row[kind_index.ravel() == number], "; ".join(reason[kind]))

    def rows(self) -> Array:
        """Numbers of the rows that do not go on."""
        return np.flatnonzero(self.codes)


def find_repeats(
    connection: duckdb.DuckDBPyConnection, data: Data, checked: Mapping[str, Column], aside: Aside, tally: Tally
) -> None:
    """Rows whose key, or whose value of a unique column, an earlier valid row has.

    With the same content in every declared column they are dropped, with other content set aside. Without a key,
    equal rows may be different observations and are kept.
    """
    whole_key = [data.keys] if data.keys and set(data.keys) <= set(checked) else []
    unique = [[name] for name, column in checked.items() if column.unique and [name] not in whole_key]
    for names in whole_key + unique:
        reason = "duplicate key" if names in whole_key else f"{names[0]}: not unique"
        later = _later(connection, names, list(checked), aside.rows(), names in unique)
        different = later["_row"][~later["same"]]
        aside.mark(later["_row"][later["same"]], aside.texts[REPEAT])
        if len(different):
            aside.mark(different, reason)
            tally.reasons[reason] += len(different)
            tally.sample(reason, np.sort(different))
    tally.duplicates = int((aside.codes == REPEAT).sum())
    set_aside = np.flatnonzero(aside.codes > REPEAT)
    tally.invalid = len(set_aside)
    tally.valid = tally.rows - tally.invalid - tally.duplicates
    tally.sample("invalid", set_aside[:SAMPLES])


def _later(
    connection: duckdb.DuckDBPyConnection, names: list[str], content: list[str], without: Array, nulls_differ: bool
) -> dict[str, Array]:
    """Rows (numbers, and whether the content is the same) after the first with the same values in `names`.

    Groups of equal hashes come first, as they need little memory; what is in one is compared by its values.
    """
    by = ", ".join(map(identifier, names))
    there = f"{by} IS NOT NULL" if nulls_differ else "true"
    connection.register("without", pa.table({"_row": without}))
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE suspects AS "
        f"SELECT hash({by}) AS h FROM clean WHERE {there} GROUP BY h HAVING count(*) > 1"
    )
    later: dict[str, Array] = connection.sql(f"""
        SELECT _row, same FROM (
            SELECT _row, row_number() OVER w AS nth, first_value(content) OVER w = content AS same
            FROM (
                SELECT _row, {by}, hash({", ".join(map(identifier, content))}) AS content FROM clean
                WHERE {there} AND hash({by}) IN (SELECT h FROM suspects) AND _row NOT IN (SELECT _row FROM without)
            ) WINDOW w AS (PARTITION BY {by} ORDER BY _row)
        ) WHERE nth > 1""").fetchnumpy()
    return later


def write_quarantine(connection: duckdb.DuckDBPyConnection, names: list[str], aside: Aside) -> None:
    """The rows that are set aside: number, reasons, and the raw values of the columns `names` as text."""
    schema = pa.schema([("_row", pa.int64()), ("_reason", pa.string()), *((name, pa.string()) for name in names)])
    select = ", ".join(["_row", *(f"CAST({identifier(name)} AS VARCHAR) AS {identifier(name)}" for name in names)])
    texts = pa.array(aside.texts)

    def batches() -> Iterator[pa.RecordBatch]:
        for batch in connection.sql(f"SELECT {select} FROM raw").to_arrow_reader(table.chunk(len(names))):
            codes = aside.codes[batch.column("_row").to_numpy()]
            reasons = texts.take(pa.array(codes[codes > REPEAT]))
            some = batch.filter(pa.array(codes > REPEAT))
            yield some.add_column(1, "_reason", reasons).cast(schema)

    table.write(layout.QUARANTINE, schema, batches() if (aside.codes > REPEAT).any() else ())


def write_valid(
    connection: duckdb.DuckDBPyConnection, columns: Mapping[str, Column], aside: Aside, tally: Tally
) -> None:
    """The rows that go on, in the order of the raw table, with canonical types."""
    schema = pa.schema([(name, table.ARROW[column.type]) for name, column in columns.items()])
    counted = [name for name, column in columns.items() if column.type == "categorical" or column.has("target")]

    def batches() -> Iterator[pa.RecordBatch]:
        select = ", ".join(["_row", *map(identifier, columns)])
        for batch in connection.sql(f"SELECT {select} FROM clean").to_arrow_reader(table.chunk(len(columns))):
            codes = aside.codes[batch.column("_row").to_numpy()]
            kept = batch.filter(pa.array(codes == KEPT)).select(schema.names).cast(schema)
            for name in counted:
                if len(tally.levels[name]) <= LEVELS:
                    tally.saw(name, pc.unique(kept.column(name).drop_null()).to_pylist())
            yield kept

    table.write(layout.VALID, schema, batches())
