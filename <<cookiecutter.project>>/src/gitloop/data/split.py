"""Split the valid rows into train and test, and draw the reference sample from train.

`gitloop.data.slices` says how. With a timestamp the files are in the order of time; without, in the order of the hash,
so that any stretch of them is a fair sample.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa

from gitloop import layout, ui
from gitloop.data import table
from gitloop.data.slices import BY, ISO, SEPARATOR, TEST, Plan, mark
from gitloop.data.table import identifier, literal
from gitloop.errors import InputError
from gitloop.files import write_json
from gitloop.settings import Data, load

LEAST = 10  # rows in each slice
PART = 20_000_000  # values that are sorted at a time
SLICES = ("train", "test")


def run(arguments: argparse.Namespace) -> None:  # noqa: ARG001 -- every verb has the same signature
    """`gitloop split`."""
    data = load().data
    valid = table.metadata(layout.VALID, "gitloop validate")
    there, kept = valid.schema.to_arrow_schema().names, set(data.kept)  # hashes end here
    schema = pa.schema([(name, table.ARROW[data.columns[name].type]) for name in there if name in kept])
    if valid.num_rows < 2 * LEAST:
        raise InputError(f"{layout.VALID}: {valid.num_rows} rows are too few to split; widen `window` in {_conf(data)}")
    with table.connect("500MB") as connection:
        connection.execute(
            f"CREATE VIEW valid AS SELECT * FROM read_parquet({literal(layout.VALID)}, file_row_number = true)"
        )
        plan = mark(connection, data, valid.num_rows, PART // len(schema))
        report = describe(connection, data, plan)
        if wrong := list(_wrong(data, report)):
            raise InputError("\n".join(wrong))
        table.write(layout.TRAIN, schema, _ordered(connection, schema, plan, f"NOT {TEST}"))
        table.write(layout.TEST, schema, _ordered(connection, schema, plan, TEST))
        report["rows"]["reference"] = _write_reference(connection, data, schema)
    write_json(layout.SPLIT, report)
    _show(report)


def _ordered(
    connection: duckdb.DuckDBPyConnection, schema: pa.Schema, plan: Plan, condition: str
) -> Iterator[pa.RecordBatch]:
    """One slice in order, sorted a stretch at a time: each fits into memory however long the table is."""
    select = f"SELECT {', '.join(map(identifier, schema.names))} FROM marked WHERE {condition}"
    for stretch in plan.ranges:
        query = f"{select} AND {stretch} ORDER BY {', '.join(plan.order)}"
        yield from connection.sql(query).to_arrow_reader(table.chunk(len(schema)))


def _conf(data: Data) -> str:
    return layout.data_conf(data.name).as_posix()


def describe(connection: duckdb.DuckDBPyConnection, data: Data, plan: Plan) -> dict[str, Any]:
    """What metrics/split.json holds; shares are of rows, times UTC."""
    counted = dict(connection.sql(f"SELECT {TEST}, count(*) FROM marked GROUP BY 1").fetchall())
    rows = {name: counted.get(name == "test", 0) for name in SLICES}
    report: dict[str, Any] = {
        "method": plan.method,
        "by": plan.by,
        "asked": data.split.test,
        "share": round(rows["test"] / sum(rows.values()), 6),
        "rows": rows,
    }
    if plan.method == "time":
        report["cutoff"] = plan.cutoff
        time = identifier(plan.by)
        report["span"] = _by_slice(connection, *(f"strftime({one}({time}), '{ISO}')" for one in ("min", "max")))
    if plan.method == "group":
        report["groups"] = {name: n for name, (n,) in _by_slice(connection, f"count(DISTINCT {BY})").items()}
    target = identifier(data.target)
    if data.task == "regression":  # values that occur: a mean would depend on the order of the sum
        report["quartiles"] = _by_slice(connection, *(f"quantile_disc({target}, {q})" for q in (0.25, 0.5, 0.75)))
    else:
        report["classes"] = _classes(connection, target, rows)
    return report


def _by_slice(connection: duckdb.DuckDBPyConnection, *sql: str) -> dict[str, list[Any]]:
    found = connection.sql(f"SELECT {TEST}, {', '.join(sql)} FROM marked GROUP BY 1 ORDER BY 1").fetchall()
    return {SLICES[test]: values for test, *values in found}


def _classes(connection: duckdb.DuckDBPyConnection, target: str, rows: dict[str, int]) -> dict[str, dict[str, float]]:
    """The share of each class in each slice, the most frequent first."""
    counted = f"SELECT CAST({target} AS VARCHAR) AS label, {TEST} AS test, count(*) AS n FROM marked GROUP BY ALL"
    found = connection.sql(f"FROM ({counted}) ORDER BY sum(n) OVER (PARTITION BY label) DESC, label").fetchall()
    return {
        name: {label: round(n / rows[name], 6) for label, test, n in found if SLICES[test] == name} for name in SLICES
    }


def _wrong(data: Data, report: dict[str, Any]) -> Iterator[str]:
    """One line for each slice that cannot be used."""
    mend = {"time": "widen `window`", "stratified": "bring more rows", "group": f"bring more values of {report['by']}"}
    for name in SLICES:
        rows, classes = report["rows"][name], report.get("classes", {}).get(name)
        if rows < LEAST:
            what = f"{rows} rows, at least {LEAST} are needed"
        elif classes is not None and len(classes) < 2:
            what = f"one class of {data.target} only ({next(iter(classes))})"
        else:
            continue
        yield (
            f"{_conf(data)}: data.split: split by {report['by']}, the {name} slice has {what}; "
            f"change `split.test` (now {data.split.test:g}) or {mend[report['method']]}"
        )


def _write_reference(connection: duckdb.DuckDBPyConnection, data: Data, schema: pa.Schema) -> int:
    """`split.reference` rows of train, those with the lowest hashes of their place in it, in its order."""
    rows = table.metadata(layout.TRAIN, "gitloop split").num_rows
    chance = f"md5_number_lower('{data.split.seed}{SEPARATOR}reference{SEPARATOR}' || place)"
    places = f"SELECT place FROM range({rows}) AS every(place)"
    chosen = connection.sql(f"{places} ORDER BY {chance}, place LIMIT {data.split.reference}").fetchnumpy()["place"]
    reference = table.pick(layout.TRAIN, "gitloop split", np.sort(chosen))
    return table.write(layout.REFERENCE, schema, reference.to_batches())


def _show(report: dict[str, Any]) -> None:
    rows, classes = report["rows"], report.get("classes", {"train": {}, "test": {}})
    if unseen := [label for label in classes["test"] if label not in classes["train"]]:
        named = ", ".join(unseen[:5]) + (", …" if len(unseen) > 5 else "")
        ui.warn(f"{layout.TEST}: has classes that are not in train: {named}")
    how = {
        "time": f"from {report.get('cutoff', '')[:19]} on",
        "stratified": f"stratified by {report['by']}",
        "group": f"whole groups of {report['by']}, {report['asked']:.1%} asked",
    }
    ui.say(
        f"{rows['train']:,} rows to train on, {rows['test']:,} to test on "
        f"({report['share']:.1%}, {how[report['method']]}), {rows['reference']:,} for reference"
    )
