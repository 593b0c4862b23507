"""Rows of a source that were taken in, and what becomes of each."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from gitloop.arrays import Array
from gitloop.contract import Column
from gitloop.data import checks, table
from gitloop.data.table import identifier, literal
from gitloop.data.validate import FRAME

ROW = "_row"  # a column that is added: the number of the row, from 0
KEPT, ASIDE, REPEAT, THERE = range(4)  # ASIDE: with a reason; REPEAT: of another; THERE: needs nothing more
LARGEST = sys.float_info.max


class Rows:
    """The views `raw` and `clean` of a connection: as the rows came, and in canonical types with flags for `checks`."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        folder: Path,
        columns: Mapping[str, Column],
        unread: Collection[str],
    ) -> None:
        self.connection, self.folder, self.columns = connection, folder, columns
        self._unread = unread  # columns with a flag
        count = connection.sql("SELECT count(*) FROM raw").fetchall()[0][0]
        self.fate = np.zeros(count, dtype=np.int8)  # of each row
        self.reasons: Counter[str] = Counter()  # "column: rule" → rows
        self._parts = 0  # files of reasons

    def count(self, fate: int) -> int:
        return int(np.sum(self.fate == fate))

    def judge(self) -> None:
        """Set aside what breaks the contract. DuckDB tells the rows to look at, `checks` the rules that they break."""
        terms = [term for name, column in self.columns.items() for term in _breaks(name, column, name in self._unread)]
        if not terms:
            return
        query = f"SELECT * FROM clean WHERE {' OR '.join(terms)}"
        schema = checks.schema(self.columns, self._unread)
        for batch in self.connection.sql(query).to_arrow_reader(table.chunk(2 * len(self.columns))):
            found = checks.failures(schema, batch.to_pandas(types_mapper=FRAME.get).set_index(ROW))
            found["reason"] = found["column"] + ": " + found["rule"]
            self.reasons.update(found["reason"].to_list())
            why = found.groupby("row")["reason"].agg(lambda reasons: "; ".join(sorted(set(reasons))))
            self._set_aside(why.index.to_numpy(), why.to_list())

    def set_aside(self, numbers: Array, reason: str) -> None:
        """For one reason."""
        if len(numbers):
            self.reasons[reason] += len(numbers)
        self._set_aside(numbers, [reason] * len(numbers))

    def _set_aside(self, numbers: Array, reasons: list[str]) -> None:
        if len(numbers):
            self.fate[numbers] = ASIDE
            self._parts += 1
            why = pa.table({ROW: pa.array(numbers, pa.int64()), "_reason": pa.array(reasons, pa.string())})
            pq.write_table(why, self.folder / f"why-{self._parts}.parquet")

    def tables(self, names: Sequence[str]) -> Iterator[pa.Table]:
        """What is kept of columns, with ROW, in the order of the source and in canonical types."""
        schema = pa.schema([(name, table.ARROW[self.columns[name].type]) for name in names])
        schema = schema.append(pa.field(ROW, pa.int64()))
        query = f"SELECT {', '.join(map(identifier, schema.names))} FROM clean"
        for batch in self.connection.sql(query).to_arrow_reader(table.chunk(len(schema))):
            kept = self.fate[batch.column(ROW).to_numpy()] == KEPT
            if kept.any():
                rows = batch if kept.all() else batch.filter(pa.array(kept))
                yield pa.Table.from_batches([rows]).cast(schema)

    def write_aside(self, path: Path) -> None:
        """Of the rows that are set aside: number from 1, reasons, and values as they came but personal data."""
        told = [name for name, column in self.columns.items() if not column.has("pii")]
        schema = pa.schema([(ROW, pa.int64()), ("_reason", pa.string()), *((name, pa.string()) for name in told)])
        if not self._parts:
            table.write(path, schema, ())
            return
        values = ", ".join(f"CAST({identifier(name)} AS VARCHAR) AS {identifier(name)}" for name in told)
        why = f"read_parquet({literal(self.folder / 'why-*.parquet')})"
        found = self.connection.sql(
            f"SELECT {ROW} + 1 AS {ROW}, _reason, {values} FROM raw JOIN {why} USING ({ROW}) ORDER BY {ROW}"
        )
        table.write(path, schema, found.to_arrow_reader(table.chunk(len(schema))).cast(schema))


def _breaks(name: str, column: Column, flagged: bool) -> Iterator[str]:
    """SQL that is true where `checks` refuses a cleaned column: each value is computed once."""
    value, otherwise = identifier(name), "IS FALSE" if column.nullable else "IS NOT TRUE"  # null is neither
    if flagged:
        yield identifier(checks.UNREAD + name)
    if column.type == "numeric":
        low, high = column.range or (None, None)
        low, high = (
            max(-LARGEST, low if low is not None else -LARGEST),
            min(LARGEST, high if high is not None else LARGEST),
        )
        if column.unique or column.has("key"):
            low, high = max(low, -table.EXACT), min(high, table.EXACT)
        yield f"({value} BETWEEN {_double(low)} AND {_double(high)}) {otherwise}"
    elif column.categories is not None:
        yield f"list_contains([{', '.join(map(literal, column.categories))}], {value}) {otherwise}"
    elif not column.nullable:
        yield f"{value} IS NULL"


def _double(number: float) -> str:
    return f"CAST('{float(number)!r}' AS DOUBLE)"
