"""What any good model of late flights must do, whatever its metrics say. `gitloop gate` runs these.

The kinds of test are those of Ribeiro et al. (2020), Beyond Accuracy: Behavioral Testing of NLP Models with CheckList:
minimum functionality, invariance, directional expectation.
"""

import numpy as np


def test_every_flight_gets_a_probability(columns, predict):
    risk = predict(columns)
    assert np.isfinite(risk).all()
    assert ((risk >= 0) & (risk <= 1)).all()


def test_flights_without_weather_are_predicted_too(columns, predict):
    for name in ("temp", "dewp", "humid", "wind_dir", "wind_speed", "precip", "pressure", "visib"):
        columns[name][:] = np.nan
    assert np.isfinite(predict(columns)).all()


def test_an_airport_never_seen_is_no_failure(columns, predict):
    columns["dest"][:] = "ZZZ"
    assert np.isfinite(predict(columns)).all()


def test_a_hair_of_temperature_hardly_matters(columns, predict):
    before = predict(columns)
    columns["temp"] += 0.01
    assert np.abs(predict(columns) - before).mean() < 0.01


def test_evening_flights_are_riskier_than_morning_ones(columns, predict):
    """Delays add up over the day."""
    columns["minute"][:] = 0.0
    columns["hour"][:] = 7.0
    morning = predict(columns)
    columns["hour"][:] = 19.0
    assert predict(columns).mean() > morning.mean()


def test_the_order_of_rows_does_not_matter(columns, predict):
    backwards = {name: values[::-1].copy() for name, values in columns.items()}
    np.testing.assert_allclose(predict(backwards)[::-1], predict(columns), rtol=0, atol=1e-12)
