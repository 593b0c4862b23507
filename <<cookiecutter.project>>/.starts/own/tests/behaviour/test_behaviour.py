"""What the chosen model must do with single rows, whatever its metrics say. `gitloop gate` runs these tests.

`columns` are rows of the test slice, name → array; `predict` says what the chosen model makes of such rows.
"""

import numpy as np


def test_a_higher_body_mass_index_means_more_progression_on_average(predict, columns):
    before = predict(columns)
    columns["bmi"] = columns["bmi"] + 5
    assert predict(columns).mean() > before.mean()


def test_what_is_predicted_is_possible(predict, columns, contract):
    lowest, highest = contract.columns["progression"].range
    predicted = predict(columns)
    assert np.isfinite(predicted).all()
    assert predicted.min() > lowest - 50
    assert predicted.max() < highest + 50


def test_a_missing_value_is_bearable(predict, columns):
    """A glucose that was not measured changes a prediction, but not beyond recognition."""
    before = predict(columns)
    columns["glucose"] = np.full_like(columns["glucose"], np.nan)
    assert np.abs(predict(columns) - before).max() < 150


def test_a_row_is_predicted_alone_as_among_others(predict, columns):
    alone = predict({name: values[:1] for name, values in columns.items()})
    np.testing.assert_allclose(alone, predict(columns)[:1])
