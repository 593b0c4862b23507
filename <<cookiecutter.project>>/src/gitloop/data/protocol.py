"""What ingest asks of a source, and what a source answers."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from gitloop.contract import Column
from gitloop.data.clean import cleaned
from gitloop.data.table import literal


@dataclass(frozen=True)
class Request:
    """The contract's columns, and the rows with since <= timestamp < until (naive UTC).

    A source may give rows outside of the window: ingest leaves them out. It does well not to read them.
    """

    columns: Mapping[str, Column]
    timestamp: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    @property
    def timezone(self) -> str:
        """Where timestamps without an offset were read off."""
        return (self.timestamp and self.columns[self.timestamp].timezone) or "UTC"

    def wanted(self, name: str) -> bool:
        """Whether a column goes on to validation: all but dropped ones, also those the contract does not know."""
        return name not in self.columns or not self.columns[name].dropped

    def instant(self, kinds: Mapping[str, str]) -> str | None:
        """DuckDB's SQL for the timestamp as UTC, null where it cannot be read; None where the table has no such column.

        `kinds` are the table's columns and their DuckDB types.
        """
        if self.timestamp is None or self.timestamp not in kinds:
            return None
        return cleaned(self.timestamp, self.columns[self.timestamp], kinds[self.timestamp]).value

    def bounds(self, time: str, kind: str = "TIMESTAMP") -> str:
        """DuckDB's SQL that is true where `time` is in the window or null: validate sets the latter aside."""
        inside = [
            f"{time} {operator} {kind} {literal(bound.isoformat(sep=' '))}"
            for operator, bound in ((">=", self.since), ("<", self.until))
            if bound is not None
        ]
        return f"({time} IS NULL OR ({' AND '.join(inside)}))" if inside else "true"


@runtime_checkable
class Source(Protocol):
    """What can be ingested."""

    def describe(self) -> dict[str, Any]:
        """What is read, as JSON for the fingerprint: the same for the same source, without passwords and tokens."""

    def batches(self, request: Request) -> pa.RecordBatchReader:
        """The rows as they are, none left out but those outside of the window; text where a type is in doubt.

        Raises `InputError` with one line that says how to mend it.
        """


def empty(schema: pa.Schema) -> pa.RecordBatch:
    """No rows. Made of nulls: pyarrow's own ways import pandas, which ingest can do without."""
    return pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)


def stream(batches: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
    """A reader of batches that are made as they are read. The first one tells the schema and may be empty."""
    first = next(batches)
    return pa.RecordBatchReader.from_batches(first.schema, itertools.chain([first], batches))
