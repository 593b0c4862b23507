"""The model that was selected, and the rows on which it is judged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from gitloop import layout
from gitloop.arrays import Array, Columns
from gitloop.contract import Contract
from gitloop.data.table import arrays, read
from gitloop.errors import InputError
from gitloop.files import read_json
from gitloop.modeling.features import target
from gitloop.modeling.inputs import Derive, build, visible
from gitloop.modeling.intervals import Scored
from gitloop.settings import Settings
from gitloop.targets import packages

if TYPE_CHECKING:  # loads skops: only what loads a model needs it
    from gitloop.modeling.store import Model


class Rows(NamedTuple):
    """A table as a model sees it: `columns` built, `y` the target, both of length n."""

    table: pa.Table
    columns: Columns
    y: Array

    def values(self, names: list[str], contract: Contract) -> Columns:
        return arrays(self.table, contract.columns, names)


def selected() -> dict[str, Any]:
    """The content of metrics/selected.json."""
    found: dict[str, Any] = read_json(layout.SELECTED, "gitloop select")
    return found


def model(loaded: Settings) -> Model:
    """The selected model, with today's threshold. Raises `InputError` where its file is missing or another one."""
    from gitloop.modeling.store import load

    chosen = selected()["model"]
    found = load(Path(chosen["path"]), chosen["sha256"], packages(loaded.model_dump()["candidate"]))
    return replace(found, threshold=loaded.data.threshold)


def rows(path: Path, contract: Contract, derive: Derive | None) -> Rows:
    """The rows of a table that `gitloop split` wrote, with every column that is kept."""
    table = read(path, "gitloop split")
    if table.num_rows == 0:
        raise InputError(f"{path}: has no rows; widen the window in conf/data/")
    columns = build(arrays(table, contract.columns, visible(contract)), contract, derive)
    return Rows(table, columns, target(table, contract))


def lacking(model: Model, columns: Columns) -> list[str]:
    """The columns that a model needs and are not there."""
    schema = model.schema
    return [name for name in (*schema.numeric, *schema.categorical, *schema.text) if name not in columns]


def score(model: Model, columns: Columns) -> Scored:
    """What the model says of built columns. Raises `InputError` where one is missing."""
    if missing := lacking(model, columns):
        raise InputError(
            f"{layout.candidate_model(model.name)}: needs {', '.join(missing)}, which the contract or the derivation "
            "no longer gives; run `dvc repro`"
        )
    return Scored(model.scores(columns), model.threshold, model.classes)
