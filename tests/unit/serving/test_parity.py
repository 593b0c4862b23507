"""The same row has the same answer in training and in the service, whoever shares the batch: random allowed rows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import customers
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st

from gitloop import settings
from gitloop.contract import Column
from gitloop.modeling import chosen
from gitloop.modeling.inputs import build
from gitloop.serving import runtime
from gitloop.serving.runtime import Served, apart

WORDS = st.one_of(
    st.sampled_from([f"TOWN {index}" for index in range(14)]),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12),
)


def values(column: Column) -> st.SearchStrategy[Any]:
    """Any JSON value that the contract allows."""
    if column.type == "numeric":
        low, high = column.range or (None, None)
        allowed: st.SearchStrategy[Any] = st.floats(
            min_value=low, max_value=high, allow_nan=False, allow_infinity=False
        )
    elif column.type == "boolean":
        allowed = st.booleans()
    else:
        allowed = st.sampled_from(column.categories) if column.categories else WORDS
    return st.none() | allowed if column.nullable else allowed


COLUMNS = {
    name: Column.model_validate(one)
    for name, one in customers.COLUMNS.items()
    if "feature" in Column.model_validate(one).role
}
ROWS = st.lists(
    st.fixed_dictionaries({name: values(column) for name, column in COLUMNS.items()}), min_size=1, max_size=8
)
CASES = [
    ("binary", "linear"),
    ("binary", "boosting"),
    ("binary", "dummy"),
    ("multiclass", "linear"),
    ("multiclass", "forest"),
    ("regression", "linear"),
    ("regression", "boosting"),
]
Pipeline = Callable[[runtime.Columns], Any]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def both(request: pytest.FixtureRequest, projects: Callable[[str, str], Path]) -> tuple[Served, Pipeline]:
    """The service's runtime and the pipeline of one project."""
    with customers.inside(projects(*request.param)):
        loaded = settings.load()
        model = chosen.model(loaded)
        return runtime.load(), lambda columns: chosen.score(model, build(columns, loaded.data, None)).scores


@rounds(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
def test_the_runtime_says_what_the_pipeline_says(both: tuple[Served, Pipeline], rows: list[dict[str, Any]]) -> None:
    served, pipeline = both
    columns = runtime.canonical(rows, served.signature.inputs)
    reference, scores = pipeline(columns), served.scores(columns)
    assert np.isfinite(scores).all()
    assert apart(scores, reference, unit(served)) <= 1e-5


@rounds(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(rows=ROWS)
def test_no_row_depends_on_its_batch(both: tuple[Served, Pipeline], rows: list[dict[str, Any]]) -> None:
    served, _ = both
    inputs = served.signature.inputs
    together = served.scores(runtime.canonical(rows, inputs))
    alone = np.concatenate([served.scores(runtime.canonical([row], inputs)) for row in rows])
    assert apart(alone, together, unit(served)) <= 1e-6
    if served.signature.contract.task != "regression":
        assert served.labels(alone) == served.labels(together)


def unit(served: Served) -> float:
    """Of differences: the spread of a regression's values."""
    return 100.0 if served.signature.contract.task == "regression" else 1.0
