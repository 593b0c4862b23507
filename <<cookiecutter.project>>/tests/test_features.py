"""What src/<package>/features.py derives is what it says. Yours to change with it."""

import numpy as np
import pytest


def flights(**columns):
    """A few flights: those given, at noon of Monday 7 January 2013 in New York where nothing else is said."""
    rows = len(next(iter(columns.values())))
    base = {
        "time_hour": np.full(rows, np.datetime64("2013-01-07T17:00", "us")),
        "hour": np.full(rows, 12.0),
        "minute": np.zeros(rows),
    }
    return {**base, **{name: np.asarray(values) for name, values in columns.items()}}


@pytest.mark.parametrize(
    ("utc", "hour", "weekday"),
    [("2013-01-07T17:00", 12, 0), ("2013-01-08T04:00", 23, 0), ("2013-01-08T05:00", 0, 1), ("2013-07-09T04:00", 0, 1)],
)
def test_the_weekday_is_that_of_new_york_in_winter_and_summer(derive, utc, hour, weekday):
    derived = derive(flights(time_hour=[np.datetime64(utc, "us")], hour=[float(hour)]))
    assert derived["weekday"].tolist() == [weekday]


def test_the_minute_of_day_counts_from_midnight(derive):
    derived = derive(flights(hour=[0.0, 5.0, 23.0], minute=[0.0, 15.0, 59.0]))
    assert derived["minute_of_day"].tolist() == [0, 315, 1439]


def test_each_row_is_derived_from_itself_alone(derive):
    together = derive(flights(hour=[5.0, 6.0], minute=[1.0, 2.0]))
    alone = derive(flights(hour=[6.0], minute=[2.0]))
    assert all(together[name][1] == values[0] for name, values in alone.items())
