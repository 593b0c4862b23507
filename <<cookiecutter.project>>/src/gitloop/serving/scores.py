"""A table of predictions in SQLite or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from gitloop.data.table import literal
from gitloop.errors import InputError
from gitloop.serving.destinations import CONF, KEYS, VERSION

CHUNK = 20_000  # rows at a time: Python's objects take more room than Arrow's
KINDS: dict[pa.DataType, Any] = {
    pa.float64(): sqlalchemy.Double,
    pa.bool_(): sqlalchemy.Boolean,
    pa.string(): sqlalchemy.Text,
    pa.timestamp("us"): sqlalchemy.DateTime,
}


class Table:
    """One row for each version and key, which are its primary key: what is there already is left as it is."""

    def __init__(
        self, into: sqlalchemy.Engine, name: str, schema: pa.Schema, keys: Sequence[str], version: str, shown: str
    ) -> None:
        self.shown = shown
        self._engine, self._schema, self._keys, self._version = into, schema, keys, version
        primary = (VERSION, *keys)
        # Names from outside stay out of the names of parameters.
        columns = {
            name: sqlalchemy.Column(name, KINDS[kind], key=f"c{index}", nullable=name not in primary)
            for index, (name, kind) in enumerate(zip(schema.names, schema.types, strict=True))
        }
        constraint = sqlalchemy.PrimaryKeyConstraint(*(columns[one] for one in primary))
        self._table = sqlalchemy.Table(name, sqlalchemy.MetaData(), *columns.values(), constraint)
        self._columns = columns
        self._fits(primary)

    def _fits(self, primary: Sequence[str]) -> None:
        self._table.create(self._engine, checkfirst=True)
        looked = sqlalchemy.inspect(self._engine)
        found = {column["name"] for column in looked.get_columns(self._table.name)}
        key = looked.get_pk_constraint(self._table.name)["constrained_columns"]
        mend = f"name another `table` in {CONF}, or drop this one"
        if odd := sorted(found ^ set(self._columns)):
            raise InputError(f"{self.shown}: has other columns than this model's predictions ({odd[0]}); {mend}")
        if set(key) != set(primary):
            raise InputError(f"{self.shown}: its primary key is not {', '.join(primary)}; {mend}")

    def there(self, connection: duckdb.DuckDBPyConnection, spill: Path) -> bool:
        schema = pa.schema([self._schema.field(name) for name in self._keys])
        query = sqlalchemy.select(*(self._columns[name] for name in self._keys))
        path, rows = spill / "there.parquet", 0
        with self._engine.connect() as source, pq.ParquetWriter(path, schema, compression="lz4") as writer:
            found = source.execution_options(yield_per=CHUNK).execute(
                query.where(self._columns[VERSION] == self._version)
            )
            for part in found.partitions():
                values = zip(*part, strict=True)
                columns = [pa.array(one, field.type) for one, field in zip(values, schema, strict=True)]
                writer.write_table(pa.Table.from_arrays(columns, schema=schema))
                rows += len(part)
        connection.execute(f"CREATE VIEW {KEYS} AS FROM read_parquet({literal(path)})")
        return rows > 0

    def write(self, tables: Iterator[pa.Table]) -> Iterator[int]:
        insert = _by_columns(self._table) if self._engine.dialect.name == "postgresql" else None
        for one in tables:
            with self._engine.begin() as connection:
                for start in range(0, one.num_rows, CHUNK):
                    values = [column.to_pylist() for column in one.slice(start, CHUNK).columns]
                    names = [f"c{index}" for index in range(len(values))]
                    if insert is not None:
                        connection.execute(insert, dict(zip(names, values, strict=True)))
                    else:
                        rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
                        connection.execute(insert_sqlite(self._table).on_conflict_do_nothing(), rows)
            yield one.num_rows


def _by_columns(into: sqlalchemy.Table) -> sqlalchemy.Executable:
    """An insert whose parameters are whole columns: several times faster than row after row."""
    columns = list(into.columns)
    arrays = [sqlalchemy.bindparam(column.key, type_=ARRAY(column.type)) for column in columns]
    casts = [sqlalchemy.cast(one, ARRAY(column.type)) for one, column in zip(arrays, columns, strict=True)]
    rows = sqlalchemy.func.unnest(*casts).table_valued(*(column.key for column in columns)).render_derived()
    query = sqlalchemy.select(*(rows.c[column.key] for column in columns))
    statement: sqlalchemy.Executable = (
        insert_postgresql(into).from_select([column.key for column in columns], query).on_conflict_do_nothing()
    )
    return statement
