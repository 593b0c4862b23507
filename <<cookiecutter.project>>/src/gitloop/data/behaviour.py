# ruff: noqa: S101 -- tests assert
"""What the chosen model must do with single rows, whatever its metrics say. `gitloop gate` runs these tests.

Written by `gitloop init` to begin with: they hold for any table. Add what you know of yours, such as that a higher
price never makes a sale likelier. `columns` are rows of the test slice, name → array; `predict` says what the model
makes of such rows; `contract` is what conf/data/ declares.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def test_every_row_gets_an_answer(columns: Any, predict: Any, contract: Any) -> None:
    scores = predict(columns)
    assert np.isfinite(scores).all()
    if contract.task != "regression":
        assert ((scores >= 0) & (scores <= 1)).all()


def test_a_row_is_predicted_alone_as_among_others(columns: Any, predict: Any) -> None:
    alone = predict({name: values[:1] for name, values in columns.items()})
    np.testing.assert_allclose(alone, predict(columns)[:1], rtol=1e-6, atol=1e-9)


def test_what_may_be_missing_may_be_missing(columns: Any, predict: Any, contract: Any) -> None:
    for name, values in columns.items():
        if contract.columns[name].nullable:
            columns[name] = np.full_like(values, {"M": np.datetime64("NaT"), "O": ""}.get(values.dtype.kind, np.nan))
    assert np.isfinite(predict(columns)).all()


def test_a_category_never_seen_is_no_failure(columns: Any, predict: Any, contract: Any) -> None:
    for name, values in columns.items():
        if contract.columns[name].type == "categorical" and contract.columns[name].categories is None:
            columns[name] = np.full_like(values, "never seen before")
    assert np.isfinite(predict(columns)).all()
