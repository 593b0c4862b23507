"""What a model's training decides about columns, and the frame that every pipeline is given."""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pyarrow as pa

from gitloop.arrays import Array, Columns
from gitloop.contract import Contract
from gitloop.data.table import array
from gitloop.errors import InputError
from gitloop.modeling.inputs import CONF, Schema, single
from gitloop.settings import Features


def schema(columns: Columns, contract: Contract, settings: Features) -> Schema:
    """Sort built training columns by kind, and leave out what cannot help: constant, duplicate, mostly missing."""
    kinds: dict[str, list[str]] = {"numeric": [], "categorical": [], "text": []}
    dropped: dict[str, str] = {}
    seen: dict[bytes, str] = {}
    for name, values in columns.items():
        declared = contract.columns.get(name)
        kind = "text" if declared is not None and declared.type == "text" else "categorical"
        if reason := _useless(name, values, seen, settings):
            dropped[name] = reason
        else:
            kinds["numeric" if values.dtype.kind == "f" else kind].append(name)
    if not any(kinds.values()):
        reasons = ", ".join(f"{name}: {reason}" for name, reason in dropped.items()) or "none is declared or derived"
        raise InputError(f"{CONF}: no feature is left ({reasons}); loosen drop_* or mend the data")
    return Schema(
        numeric=tuple(kinds["numeric"]),
        categorical=tuple(kinds["categorical"]),
        text=tuple(kinds["text"]),
        dropped=dropped,
    )


def _useless(name: str, values: Array, seen: dict[bytes, str], settings: Features) -> str | None:
    missing = float(np.mean(np.isnan(values) if values.dtype.kind == "f" else values == ""))
    if missing == 1 or missing > settings.drop_missing:
        return f"missing share {missing:.4g}"
    codes, levels = pd.factorize(values, use_na_sentinel=False)
    if settings.drop_constant and len(levels) == 1:
        return "constant"
    if settings.drop_duplicate:
        content = values.tobytes() if values.dtype.kind == "f" else codes.tobytes() + repr(levels.tolist()).encode()
        content = hashlib.sha256(content).digest()
        if content in seen:
            return f"duplicate of {seen[content]}"
        seen[content] = name
    return None


def frame(columns: Columns, schema: Schema) -> pd.DataFrame:
    """The only input of any pipeline: float64 and object (str) columns in the schema's order, one row or many.

    Numbers keep the precision of float32 (7 digits), in training as in serving: a model compiled to ONNX compares in
    float32, and a threshold that a tree learned between two such numbers divides them there too.
    """
    numbers = {name: single(columns[name]) for name in schema.numeric}
    words = {name: np.asarray(columns[name], dtype=object) for name in (*schema.categorical, *schema.text)}
    # pandas would make its own string type of bare object arrays.
    return pd.DataFrame(numbers | {name: pd.Series(values, dtype=object) for name, values in words.items()})


def target(table: pa.Table, contract: Contract) -> Array:
    """The target (n,): binary int8 (1 is true or `positive`), multiclass object (str), regression float64."""
    name = contract.target
    column = contract.columns[name]
    values = array(table.column(name), column.type)
    if contract.task == "binary":
        return np.asarray(values == (column.positive if column.type == "categorical" else 1.0), dtype=np.int8)
    return values
