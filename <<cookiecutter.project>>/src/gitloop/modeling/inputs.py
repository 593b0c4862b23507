"""Columns as a model is given them, declared and derived, in canonical types. Needs NumPy alone, as a service does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

import numpy as np
from pydantic import Field

from gitloop import targets
from gitloop.arrays import Array, Columns
from gitloop.contract import Contract, Frozen
from gitloop.errors import InputError
from gitloop.settings import Features

Derive = Callable[[Columns], Mapping[str, Array]]

CONF = "conf/features/default.yaml"
PROBES = 20  # rows that are derived one by one
LARGEST = 1e30  # of a number: leaves room in float32 for what a model multiplies and adds


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
    return cast(Derive, targets.locate(f"{CONF}: derive", settings.derive))


def visible(contract: Contract) -> list[str]:
    """What the derivation may read: features and the timestamp. Never the target, keys, or personal data."""
    kept = set(contract.kept)
    return [name for name in contract.named("feature", "timestamp") if name in kept]


def build(columns: Columns, contract: Contract, derive: Derive | None) -> Columns:
    """Features and derived columns in canonical types, each of length n.

    Datetime features are for `derive` alone. Raises `InputError` naming the function and the column.
    """
    built = {name: columns[name] for name in contract.features if contract.columns[name].type != "datetime"}
    if derive is None:
        return built
    return built | _derived(derive, {name: columns[name] for name in visible(contract)}, contract)


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


def single(values: Array) -> Array:
    cut: Array = np.clip(values, -LARGEST, LARGEST).astype(np.float32)
    return cut.astype(np.float64)


def _where(derive: Derive) -> str:
    return f"{getattr(derive, '__module__', '?')}.{getattr(derive, '__qualname__', repr(derive))}"


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
