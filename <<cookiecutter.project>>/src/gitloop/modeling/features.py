"""From the contract's columns to what a model sees: derived columns, a schema, a frame."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
import pandas as pd
import pyarrow as pa
from pydantic import Field

from gitloop.contract import Contract, Frozen
from gitloop.data.table import Array, Columns, array
from gitloop.errors import InputError
from gitloop.settings import Features

Derive = Callable[[Columns], Mapping[str, Array]]

CONF = "conf/features/default.yaml"
PROBES = 20  # rows that are derived one by one
LARGEST = float(np.finfo(np.float32).max)


class Schema(Frozen):
    """The columns that a model is given, by kind, and those it is not, with the reason."""

    numeric: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    text: tuple[str, ...] = ()
    dropped: dict[str, str] = Field(default_factory=dict)


def derivation(settings: Features) -> Derive | None:
    """The user's function, or None. Raises `InputError` where it cannot be imported."""
    if settings.derive is None:
        return None
    module, _, name = settings.derive.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except Exception as error:  # a module of the user's may fail in any way while it is imported
        raise InputError(
            f"{CONF}: derive: {settings.derive!r} cannot be imported ({_told(error)}); "
            "name a function as package.module.function, or null"
        ) from error
    if not callable(found):
        raise InputError(f"{CONF}: derive: {settings.derive!r} is not a function; name one, or null")
    return cast(Derive, found)


def visible(contract: Contract) -> list[str]:
    """What the derivation may read: features and the timestamp. Never the target, keys, or personal data."""
    return [name for name in contract.named("feature", "timestamp") if name in contract.kept]


def build(columns: Columns, contract: Contract, derive: Derive | None) -> Columns:
    """Features and derived columns in canonical types, each of length n.

    Datetime features are for `derive` alone. Raises `InputError` naming the function and the column.
    """
    given = {name: columns[name] for name in visible(contract)}
    built = {name: given[name] for name in contract.features if contract.columns[name].type != "datetime"}
    return built if derive is None else built | _derived(derive, given, contract)


def _derived(derive: Derive, given: Columns, contract: Contract) -> Columns:
    try:
        derived = derive(dict(given))
    except Exception as error:
        raise InputError(
            f"{_where(derive)}: failed with {_told(error)}; mend it (it is given {', '.join(given)})"
        ) from error
    if not isinstance(derived, Mapping):
        raise InputError(f"{_where(derive)}: returned {type(derived).__name__}; return a dict of name → array")
    for name in derived:
        if not isinstance(name, str) or name in contract.columns:
            raise InputError(f"{_where(derive)}: {name}: is not a new name; give the derived column another")
    rows = len(next(iter(given.values())))
    return {name: _canonical(derive, name, np.asarray(values), rows) for name, values in derived.items()}


def _canonical(derive: Derive, name: str, values: Array, rows: int) -> Array:
    if values.shape != (rows,):
        raise InputError(
            f"{_where(derive)}: {name}: has shape {values.shape} for {rows} rows; return one value for each row"
        )
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.float64)
        if np.isinf(numbers).any():
            raise InputError(f"{_where(derive)}: {name}: has infinite values; return NaN where it is not defined")
        return numbers
    if values.dtype.kind in "OUT" and all(isinstance(value, str) for value in values.tolist()):
        return values.astype(object)
    raise InputError(
        f"{_where(derive)}: {name}: is {values.dtype} and not all text; return numbers (NaN where missing) "
        "or text ('' where missing)"
    )


def check_pure(derive: Derive | None, columns: Columns, contract: Contract) -> None:
    """See that a row is derived from itself alone and that the input stays as it was. Raises `InputError`.

    A service derives one row at a time: what depends on the other rows would differ there from what was trained on.
    """
    if derive is None:
        return
    given = {name: columns[name].copy() for name in visible(contract)}
    whole = _derived(derive, given, contract)
    for name, values in given.items():
        if not _same(values, columns[name]):
            raise InputError(f"{_where(derive)}: {name}: is changed in place; work on a copy")
    rows = len(next(iter(given.values())))
    probes = np.random.default_rng(0).choice(rows, size=min(PROBES, rows), replace=False)
    for part in [*probes.reshape(-1, 1), np.arange(rows // 3, rows)]:
        alone = _derived(derive, {name: values[part] for name, values in given.items()}, contract)
        for name in sorted(whole.keys() | alone.keys()):
            if name not in whole or name not in alone or not _same(alone[name], whole[name][part]):
                raise InputError(
                    f"{_where(derive)}: {name}: depends on other rows or on chance, so a service would see other "
                    "values than training; derive each row from itself alone"
                )


def _same(left: Array, right: Array) -> bool:
    """Equal but for rounding: vectorised functions round the last digit differently by position."""
    if left.shape != right.shape or left.dtype.kind != right.dtype.kind:
        return False
    if left.dtype.kind == "f":
        return bool(np.allclose(left, right, rtol=1e-9, atol=1e-12, equal_nan=True))
    return np.array_equal(left, right, equal_nan=left.dtype.kind == "M")


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
    numbers = {name: _single(columns[name]) for name in schema.numeric}
    words = {name: np.asarray(columns[name], dtype=object) for name in (*schema.categorical, *schema.text)}
    # pandas would make its own string type of bare object arrays.
    return pd.DataFrame(numbers | {name: pd.Series(values, dtype=object) for name, values in words.items()})


def _single(values: Array) -> Array:
    single: Array = np.clip(values, -LARGEST, LARGEST).astype(np.float32)
    return single.astype(np.float64)


def target(table: pa.Table, contract: Contract) -> Array:
    """The target (n,): binary int8 (1 is true or `positive`), multiclass object (str), regression float64."""
    name = contract.target
    column = contract.columns[name]
    values = array(table.column(name), column.type)
    if contract.task == "binary":
        return np.asarray(values == (column.positive if column.type == "categorical" else 1.0), dtype=np.int8)
    return values


def _where(derive: Derive) -> str:
    return f"{getattr(derive, '__module__', '?')}.{getattr(derive, '__qualname__', repr(derive))}"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
