"""Values as they come, and what they are taken for."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitloop.contract import Column
from gitloop.data import table
from gitloop.data.clean import Cleaned, cleaned

UNREAD = object()


def clean(values: list[Any], kind: str, **column: Any) -> tuple[list[Any], Cleaned]:
    """Values kept in a DuckDB column of type `kind`, cleaned; UNREAD where something could not be read."""
    with table.connect() as connection:
        connection.execute(f"CREATE TABLE t (x {kind})")
        connection.executemany("INSERT INTO t VALUES (?)", [[value] for value in values])
        raw = str(connection.execute("DESCRIBE t").fetchall()[0][1])
        sql = cleaned("x", Column(**column), raw)
        found = connection.execute(f"SELECT {sql.value}, {sql.unread or 'false'} FROM t").fetchall()
    assert all(value is None for value, unread in found if unread)
    return [UNREAD if unread else value for value, unread in found], sql


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1.0),
        (" 1.5\t", 1.5),
        ("-1e3", -1000.0),
        ("+5", 5.0),
        ("", None),
        (" \u00a0\ufeff", None),
        ("NaN", None),
        (None, None),
        ("one", UNREAD),
        ("1,5", UNREAD),
        ("1_000", UNREAD),
        ("0x1F", UNREAD),
        ("2013-01-01", UNREAD),
        ("-inf", -math.inf),  # read, so that the checks can say what is wrong with it
        ("1e400", math.inf),
    ],
)
def test_text_to_numbers(text: str | None, expected: Any) -> None:
    assert clean([text], "VARCHAR", type="numeric")[0] == [expected]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("BIGINT", 3, 3.0),
        ("UTINYINT", 3, 3.0),
        ("DECIMAL(5,2)", Decimal("1.25"), 1.25),
        ("DOUBLE", math.nan, None),
        ("FLOAT", 0.5, 0.5),
        ("BOOLEAN", True, 1.0),
        ("DATE", date(2013, 1, 1), UNREAD),
        ("TIMESTAMP", datetime(2013, 1, 1), UNREAD),
    ],
)
def test_other_types_to_numbers(kind: str, value: Any, expected: Any) -> None:
    assert clean([value], kind, type="numeric")[0] == [expected]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(allow_nan=False), min_size=1, max_size=20))
def test_a_number_survives_being_text(numbers: list[float]) -> None:
    assert clean([repr(number) for number in numbers], "VARCHAR", type="numeric")[0] == numbers


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("VARCHAR", ["true", "T", " Yes", "y", "1", "1.0"], [True] * 6),
        ("VARCHAR", ["False", "f", "NO", "n", "0", "0.0"], [False] * 6),
        ("VARCHAR", ["", None, "maybe", "2", "truely", "on"], [None, None, *[UNREAD] * 4]),
        ("BIGINT", [0, 1, 2, None], [False, True, UNREAD, None]),
        ("DOUBLE", [0.0, 1.0, math.nan, 0.5], [False, True, None, UNREAD]),
        ("BOOLEAN", [True, None], [True, None]),
    ],
)
def test_booleans(kind: str, values: list[Any], expected: list[Any]) -> None:
    assert clean(values, kind, type="boolean")[0] == expected


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        ("VARCHAR", [" a b\r\n", "", "\t", None, "ÄÖ"], ["a b", None, None, None, "ÄÖ"]),
        ("BIGINT", [1, None], ["1", None]),
        ("DOUBLE", [1.0, 1.5, math.nan, 1e300], ["1", "1.5", None, "1e+300"]),
        ("FLOAT", [1.0, 0.1], ["1", "0.1"]),
        ("DECIMAL(5,2)", [Decimal("1.00"), Decimal("1.50")], ["1", "1.5"]),
        ("DECIMAL(38,0)", [Decimal(10) ** 30], ["1" + "0" * 30]),
        ("BOOLEAN", [True], ["true"]),
    ],
)
def test_labels_are_the_same_text_whatever_type_held_them(kind: str, values: list[Any], expected: list[Any]) -> None:
    assert clean(values, kind, type="categorical")[0] == expected


def test_case_is_brought_to_what_the_contract_says() -> None:
    assert clean([" éWr "], "VARCHAR", type="categorical", case="upper")[0] == ["ÉWR"]
    assert clean(["ÀB"], "VARCHAR", type="text", case="lower")[0] == ["àb"]


@pytest.mark.parametrize(
    ("text", "utc", "madrid"),
    [
        ("2013-07-01", datetime(2013, 7, 1), datetime(2013, 6, 30, 22)),
        ("2013-07-01 05:30", datetime(2013, 7, 1, 5, 30), datetime(2013, 7, 1, 3, 30)),
        ("2013-01-01T05:00:00.250", datetime(2013, 1, 1, 5, 0, 0, 250000), datetime(2013, 1, 1, 4, 0, 0, 250000)),
        ("2013-07-01T05:00:00Z", datetime(2013, 7, 1, 5), datetime(2013, 7, 1, 5)),
        ("2013-07-01t05:00:00z", datetime(2013, 7, 1, 5), datetime(2013, 7, 1, 5)),
        ("2013-07-01 05:00:00 UTC", datetime(2013, 7, 1, 5), datetime(2013, 7, 1, 5)),
        ("2013-07-01T05:00:00-04:00", datetime(2013, 7, 1, 9), datetime(2013, 7, 1, 9)),
        ("2013-07-01T05:00:00+0530", datetime(2013, 6, 30, 23, 30), datetime(2013, 6, 30, 23, 30)),
        ("2013-07-01T05:00+05", datetime(2013, 7, 1), datetime(2013, 7, 1)),
        ("  ", None, None),
        *(
            (text, UNREAD, UNREAD)
            for text in (
                "01/07/2013",
                "2013/07/01",
                "2013-7-1",
                "2013-02-30",
                "2013-01-01T25:00Z",
                "1372636800",
                "infinity",
                "epoch",
                "today",
                "2013-07-01 05:00:00 Europe/Madrid",
            )
        ),
    ],
)
def test_times_as_text(text: str, utc: Any, madrid: Any) -> None:
    """An offset leads to UTC whatever the contract says; without one the contract's time zone counts."""
    assert clean([text], "VARCHAR", type="datetime")[0] == [utc]
    assert clean([text], "VARCHAR", type="datetime", timezone="Europe/Madrid")[0] == [madrid]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("TIMESTAMP", datetime(2013, 7, 1), datetime(2013, 6, 30, 22)),
        ("TIMESTAMP_NS", datetime(2013, 7, 1), datetime(2013, 6, 30, 22)),
        ("TIMESTAMP_S", datetime(2013, 7, 1), datetime(2013, 6, 30, 22)),
        ("DATE", date(2013, 7, 1), datetime(2013, 6, 30, 22)),
        ("TIMESTAMP WITH TIME ZONE", datetime(2013, 7, 1, tzinfo=UTC), datetime(2013, 7, 1)),
        ("BIGINT", 1372636800, UNREAD),
    ],
)
def test_times_of_other_types(kind: str, value: Any, expected: Any) -> None:
    assert clean([value], kind, type="datetime", timezone="Europe/Madrid")[0] == [expected]


def test_times_say_whether_they_had_an_offset() -> None:
    _, sql = clean([""], "VARCHAR", type="datetime")
    texts = ["2013-01-01", "2013-01-01T00:00", "2013-01-01T00:00Z", "2013-01-01 00:00-05:00", "", "soon"]
    with table.connect() as connection:
        connection.execute("CREATE TABLE t (x VARCHAR)")
        connection.executemany("INSERT INTO t VALUES (?)", [[text] for text in texts])
        found = connection.execute(f"SELECT {sql.offset} FROM t").fetchall()
    assert [offset for (offset,) in found] == [False, False, True, True, None, None]


def test_hostile_names_stay_names() -> None:
    with table.connect() as connection:
        name = 'a"; DROP TABLE t; --'
        connection.execute(f"CREATE TABLE t ({table.identifier(name)} VARCHAR)")
        connection.execute("INSERT INTO t VALUES (' 1 ')")
        sql = cleaned(name, Column(type="numeric"), "VARCHAR")
        assert connection.execute(f"SELECT {sql.value}, {sql.unread} FROM t").fetchall() == [(1.0, False)]
