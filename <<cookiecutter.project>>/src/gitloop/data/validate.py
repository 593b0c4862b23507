"""Check every row against the contract: valid rows go on, the others are set aside with the reasons.

The table passes through in chunks: to check, to find repeated keys (by DuckDB, which spills to disk), to write what
is valid. Between them only the reasons are held, in four bytes a row.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from gitloop import layout, ui
from gitloop.contract import Column
from gitloop.data import checks, pii, quarantine, rules, table
from gitloop.data.clean import cleaned
from gitloop.data.quarantine import Aside
from gitloop.data.rules import Broken, Tally
from gitloop.data.table import identifier
from gitloop.errors import InputError, Refused
from gitloop.files import write_json
from gitloop.settings import Data, load

RESERVED = ("_row", "_reason", "file_row_number")  # columns that are added on the way
OFFSET = "offset:"  # a column of this prefix and a name says where text held a time with an offset
LOOKED_AT, AT_ONCE = 2000, 100  # rows in which personal data is looked for, and columns
FRAME = {pa.bool_(): pd.BooleanDtype()}


def run(arguments: argparse.Namespace) -> None:  # noqa: ARG001 -- every verb has the same signature
    """`gitloop validate`."""
    data = load().data
    raw = table.metadata(layout.RAW, "gitloop ingest")
    names = raw.schema.to_arrow_schema().names
    _refuse_names([*names, *(name for name in data.columns if name not in names)])
    tally = Tally(rows=raw.num_rows)
    with table.connect("500MB") as connection:
        checked = _views(connection, data, names)
        aside = Aside(tally.rows)
        _check(connection, checked, data.target, aside, tally)
        quarantine.find_repeats(connection, data, checked, aside, tally)
        shown = [name for name, column in data.columns.items() if name in names and not column.has("pii")]
        quarantine.write_quarantine(connection, shown, aside)
        quarantine.write_valid(
            connection, {name: data.columns[name] for name in data.parted if name in checked}, aside, tally
        )
        warnings = [*rules.dropped(data, names), *_personal(connection, data, tally.rows)]
        broken = [*rules.of_columns(data, names), *rules.of_values(data, tally)]
        keys = [name for name in data.keys if name in shown]
        lines = [_line(connection, keys, one) for one in broken]
    write_json(layout.VALIDATION, _report(checked, tally, warnings, lines))
    for warning in warnings:
        ui.warn(warning)
    _show(tally)
    if broken:
        layout.VALID.unlink(missing_ok=True)
        raise Refused("\n".join(lines))


def _refuse_names(names: list[str]) -> None:
    """DuckDB does not tell upper from lower case in names. Raises `InputError` where that would confuse two columns."""
    seen: dict[str, str] = {}
    wrong = []
    for name in names:
        if name.casefold() in RESERVED:
            wrong.append(f"{layout.RAW}: {name}: gitloop needs this name itself; rename the column in the source")
        elif name.casefold() in seen:
            other = seen[name.casefold()]
            wrong.append(f"{layout.RAW}: {other} and {name}: names must differ in more than case; rename one")
        seen[name.casefold()] = name
    if wrong:
        raise InputError("\n".join(wrong))


def _views(connection: duckdb.DuckDBPyConnection, data: Data, names: list[str]) -> dict[str, Column]:
    """Make the views `raw` and `clean`, with row numbers from 1; the columns that can be checked."""
    connection.execute(
        f"CREATE VIEW raw AS SELECT * EXCLUDE (file_row_number), file_row_number + 1 AS _row "
        f"FROM read_parquet({table.literal(layout.RAW)}, file_row_number = true)"
    )
    types = {name: str(kind) for name, kind, *_ in connection.execute("DESCRIBE raw").fetchall()}
    checked = {name: one for name, one in data.columns.items() if name in names and not one.has("ignored")}
    select = ["_row"]
    for name, column in checked.items():
        sql = cleaned(name, column, types[name])
        select.append(f"{sql.value} AS {identifier(name)}")
        if sql.unread:
            select.append(f"{sql.unread} AS {identifier(checks.UNREAD + name)}")
        if sql.offset:
            select.append(f"{sql.offset} AS {identifier(OFFSET + name)}")
    connection.execute(f"CREATE VIEW clean AS SELECT {', '.join(select)} FROM raw")
    return checked


def _check(
    connection: duckdb.DuckDBPyConnection, checked: Mapping[str, Column], target: str, aside: Aside, tally: Tally
) -> None:
    """Each chunk through pandera; rows that fail are marked in `aside`."""
    reader = connection.sql("SELECT * FROM clean").to_arrow_reader(table.chunk(2 * len(checked)))
    flags = [name.removeprefix(checks.UNREAD) for name in reader.schema.names if name.startswith(checks.UNREAD)]
    schema = checks.schema(checked, flags)
    with ui.progress("rows checked", tally.rows) as advance:
        for batch in reader:
            frame = batch.to_pandas(types_mapper=FRAME.get).set_index("_row")
            _count_missing(frame, checked, tally)
            found = checks.failures(schema, frame)
            if len(found):
                found["reason"] = found["column"] + ": " + found["rule"]
                _count_failures(found, target, tally)
                aside.mark_found(found["row"].to_numpy(), found["reason"].to_numpy(dtype=object))
            advance(len(frame))


def _count_missing(frame: pd.DataFrame, checked: Mapping[str, Column], tally: Tally) -> None:
    rows = frame.index.to_numpy()
    for name in checked:
        missing = frame[name].isna().to_numpy()
        if checks.UNREAD + name in frame:
            missing = missing & ~frame[checks.UNREAD + name].to_numpy(dtype=bool)
        tally.missing[name] += int(missing.sum())
        tally.sample(f"{name}: null", rows[missing])
        if OFFSET + name in frame:
            offset = frame[OFFSET + name]
            naive = offset.eq(False).fillna(False).to_numpy(dtype=bool)
            tally.offset[name] += int(offset.sum())
            tally.naive[name] += int(naive.sum())
            tally.sample(f"{name}: naive", rows[naive])


def _count_failures(found: pd.DataFrame, target: str, tally: Tally) -> None:
    for reason, cases in found.groupby("reason"):
        tally.reasons[str(reason)] += len(cases)
        tally.sample(str(reason), cases["row"])
    labels = found.loc[(found["column"] == target) & found["rule"].str.startswith("not one of"), "value"]
    for label in labels.unique():
        if len(tally.labels) < rules.SAMPLES and rules.shown(label) not in tally.labels:
            tally.labels.append(rules.shown(label))


def _line(connection: duckdb.DuckDBPyConnection, keys: list[str], broken: Broken) -> str:
    """A broken rule with the rows that show it, named by number and keys."""
    such = ""
    if broken.rows:
        values = ", ".join(f"CAST({identifier(key)} AS VARCHAR)" for key in ["_row", *keys])
        numbers = ", ".join(map(str, broken.rows))
        found = connection.execute(f"SELECT {values} FROM raw WHERE _row IN ({numbers}) ORDER BY _row").fetchall()
        named = []
        for row, *parts in found:
            key = ", ".join(f"{name} {rules.shown(part)}" for name, part in zip(keys, parts, strict=True))
            named.append(f"row {row}{f' ({key})' if key else ''}")
        such = f", such as {', '.join(named)}"
    return f"{layout.RAW}: {broken.what}{such}; {broken.mend}"


def _personal(connection: duckdb.DuckDBPyConnection, data: Data, rows: int) -> Iterator[str]:
    """A warning for each column that looks like personal data and is not declared so."""
    kinds = {name: str(kind) for name, kind, *_ in connection.execute("DESCRIBE raw").fetchall() if name != "_row"}
    told = data.named("pii")
    names = [name for name, kind in kinds.items() if name not in told and kind in ("VARCHAR", "BIGINT", "UBIGINT")]
    step = max(1, rows // LOOKED_AT)
    for first in range(0, len(names), AT_ONCE):  # of a wide table a query for each column takes seconds
        some = names[first : first + AT_ONCE]
        texts = ", ".join(f"CAST({identifier(name)} AS VARCHAR) AS {identifier(name)}" for name in some)
        where = f"FROM raw WHERE (_row - 1) % {step} = 0 ORDER BY _row"
        looked = connection.sql(f"SELECT {texts} {where}").to_arrow_table()
        for name in some:
            if found := pii.suspect(looked.column(name).to_pylist()):
                yield (
                    f"{layout.RAW}: {name}: {found[1]:.0%} of the values looked at are like {found[0]}; "
                    f"if this is personal data, declare `role: pii` in {layout.data_conf(data.name)}"
                )


def _report(checked: Mapping[str, Column], tally: Tally, warnings: list[str], broken: list[str]) -> dict[str, Any]:
    return {
        "rows": tally.rows,
        "valid": tally.valid,
        "invalid": tally.invalid,
        "duplicates": tally.duplicates,
        "reasons": dict(sorted(tally.reasons.items(), key=lambda item: (-item[1], item[0]))),
        "missing": {name: round(tally.missing[name] / max(tally.rows, 1), 6) for name in checked},
        "distinct": {name: tally.distinct(name) for name in checked if name in tally.levels},
        "warnings": warnings,
        "broken": broken,
    }


def _show(tally: Tally) -> None:
    if tally.reasons:
        rows = sorted(tally.reasons.items(), key=lambda item: (-item[1], item[0]))
        ui.table("Set aside", ["reason", "rows"], rows)
    aside = f", {tally.invalid:,} set aside in {layout.QUARANTINE}" if tally.invalid else ""
    repeats = f", {tally.duplicates:,} repeats dropped" if tally.duplicates else ""
    ui.say(f"{tally.valid:,} of {tally.rows:,} rows are valid{aside}{repeats}")
