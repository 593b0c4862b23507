"""Predict every row of a source that has no prediction of this model version yet.

First the rows are taken in, cleaned and checked, and those that keep the contract lie in a temporary file; then DuckDB
tells which keys come twice or have a prediction already; then the rest is scored, a chunk at a time.
"""

from __future__ import annotations

import argparse
import time
from datetime import datetime
from typing import Any

import pyarrow as pa

from gitloop import layout, settings, ui
from gitloop.data import ingest, table
from gitloop.data.protocol import Request
from gitloop.data.rules import share
from gitloop.errors import InputError, Refused
from gitloop.files import write_json
from gitloop.serving import runtime
from gitloop.serving.batch import scored, sort_out
from gitloop.serving.destinations import CONF, VERSION, opened
from gitloop.serving.intake import Wanted, taken, window
from gitloop.serving.rows import ASIDE, KEPT, REPEAT, THERE
from gitloop.serving.runtime import Served
from gitloop.settings import Data, Settings


def run(arguments: argparse.Namespace) -> None:
    """`gitloop score`."""
    began = time.perf_counter()
    loaded = settings.load()
    data = loaded.data
    keys = _keys(data)
    inside = window(arguments, data)
    served = runtime.load(contract=data)
    schema = outputs(data, served)
    spec, place = _source(loaded)
    # What is to be predicted is not known yet: the column is not read.
    unknown = data.columns[data.target].model_copy(update={"role": ("ignored",)})
    request = Request({**data.columns, data.target: unknown}, data.timestamp, inside.since, inside.until)
    needed = tuple(dict.fromkeys([*_carried(data), *served.signature.inputs]))
    wanted = Wanted(data, ingest.create(spec, place), request, needed, place)
    with opened(loaded.scoring, schema, keys, served.version) as destination, taken(wanted) as rows:
        sort_out(rows, keys, needed, destination)
        done, started = 0, time.perf_counter()
        with ui.progress("rows scored", rows.count(KEPT)) as advance:
            for kept in destination.write(scored(rows, served, schema, needed)):
                done += kept
                advance(kept, f"{done / (time.perf_counter() - started):,.0f} rows/s")
        rows.write_aside(layout.UNSCORED)
    read, aside = len(rows.fate), rows.count(ASIDE)
    found = {
        "version": served.version,
        "source": place,
        "since": _told(inside.since),
        "until": _told(inside.until),
        "to": destination.shown,
        "rows": read,
        "scored": done,
        "there": rows.count(THERE),
        "repeats": rows.count(REPEAT),
        "aside": aside,
        "reasons": dict(sorted(rows.reasons.items(), key=lambda item: (-item[1], item[0]))),
    }
    write_json(layout.SCORED, found)
    _show(found, time.perf_counter() - began)
    if aside > read * data.rules.max_invalid:
        raise Refused(
            f"{place}: {share(aside, read)} rows are set aside, rules.max_invalid is "
            f"{data.rules.max_invalid:.2%}; see {layout.UNSCORED} for the reasons (the others are scored)"
        )


def outputs(data: Data, served: Served) -> pa.Schema:
    """Columns of what is written. Raises `InputError` where a key has the name of another."""
    columns = [(name, table.ARROW[data.columns[name].type]) for name in _carried(data)]
    columns.append(("prediction", table.ARROW[data.columns[data.target].type]))
    if data.task == "binary":
        columns.append(("probability", pa.float64()))
    elif data.task == "multiclass":
        columns += [(f"probability_{label}", pa.float64()) for label in served.signature.labels]
    columns.append((VERSION, pa.string()))
    names = [name.casefold() for name, _ in columns]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"data.columns.{name}: predictions have a column of that name; give the key another")
    return pa.schema(columns)


def _keys(data: Data) -> list[str]:
    """What names a row; personal data is hashed as rows are read. Raises `InputError` where nothing does."""
    file = layout.data_conf(data.name)
    if not data.keys:
        raise InputError(
            f"{file}: columns: no column has `role: key`, so a prediction could not be told from another; declare one"
        )
    for name in data.keys:
        if data.columns[name].nullable:
            raise InputError(f"{file}: columns.{name}: a key that may be missing names no row; remove `nullable`")
    return data.keys


def _carried(data: Data) -> list[str]:
    """Columns that go with a prediction: the keys and the timestamp."""
    return list(dict.fromkeys([*data.keys, *data.named("timestamp")]))


def _source(loaded: Settings) -> tuple[settings.Spec, str]:
    if loaded.scoring.source is not None:
        return loaded.scoring.source, f"{CONF}: source"
    return loaded.data.source, f"{layout.data_conf(loaded.data.name)}: source"


def _told(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _show(found: dict[str, Any], seconds: float) -> None:
    if found["reasons"]:
        ui.table(f"Set aside in {layout.UNSCORED}", ["reason", "rows"], list(found["reasons"].items()))
    counts = [found[key] for key in ("rows", "scored", "there", "repeats", "aside")]
    ui.table(
        f"Version {found['version']}, to {found['to']}",
        ["rows", "scored", "there already", "repeats", "set aside", "rows/s"],
        [[*counts, round(found["rows"] / seconds)]],
    )
