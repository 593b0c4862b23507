"""Fixtures for your tests, as a pytest plugin: `-p gitloop.testing` (pyproject.toml loads it).

| fixture  | what it is                                                                                    |
|----------|-----------------------------------------------------------------------------------------------|
| contract | the contract of conf/data/                                                                    |
| derive   | the function that `features.derive` names                                                     |
| columns  | some rows of the test slice, name → array, as `derive` sees them; yours to change in a test   |
| predict  | from such columns to what the chosen model says: probabilities of the positive class, (n, k)  |
|          | probabilities by class, or values                                                             |

Tests that need data or a model are skipped before `make train` has made them. Imports stand inside: the plugin is
loaded in every run of pytest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from gitloop.arrays import Array, Columns
    from gitloop.contract import Contract
    from gitloop.modeling.inputs import Derive
    from gitloop.settings import Settings

ROWS = 500  # enough for a mean, few enough to be quick


@pytest.fixture(scope="session")
def _settings() -> Settings:
    from gitloop import settings

    return settings.load()


@pytest.fixture(scope="session")
def contract(_settings: Settings) -> Contract:
    return _settings.data


@pytest.fixture(scope="session")
def derive(_settings: Settings) -> Derive:
    from gitloop.modeling.inputs import derivation

    found = derivation(_settings.features)
    if found is None or found.__module__.startswith("gitloop."):
        pytest.skip(f"features.derive is {_settings.features.derive or 'null'} in conf/features/: nothing of yours")
    return found


@pytest.fixture(scope="session")
def _test_rows(_settings: Settings) -> Columns:
    import numpy as np

    from gitloop import layout
    from gitloop.data.table import arrays, read
    from gitloop.modeling.inputs import visible

    if not layout.TEST.exists():
        pytest.skip(f"{layout.TEST}: not there; run `make train` or `dvc pull` first")
    names = visible(_settings.data)
    table = read(layout.TEST, "gitloop split", names)
    some = np.unique(np.linspace(0, table.num_rows - 1, ROWS).astype(int))
    return {name: values[some] for name, values in arrays(table, _settings.data.columns, names).items()}


@pytest.fixture
def columns(_test_rows: Columns) -> Columns:
    return {name: values.copy() for name, values in _test_rows.items()}


@pytest.fixture(scope="session")
def predict(_settings: Settings) -> Callable[[Columns], Array]:
    from gitloop import layout
    from gitloop.modeling import chosen
    from gitloop.modeling.inputs import build, derivation

    if not layout.SELECTED.exists():
        pytest.skip(f"{layout.SELECTED}: not there, no model is chosen yet; run `make train` first")
    model = chosen.model(_settings)
    function = derivation(_settings.features)
    return lambda given: chosen.score(model, build(given, _settings.data, function)).scores
