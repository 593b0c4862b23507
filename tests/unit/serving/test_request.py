"""A value that is sent is read as the same value from a table: gitloop.serving.request against gitloop.data.clean."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import settings as rounds
from hypothesis import strategies as st
from pydantic import ValidationError

from gitloop.contract import Column, Contract
from gitloop.data.clean import cleaned
from gitloop.modeling.inputs import Schema
from gitloop.serving.request import Rows, cased, problems, row_type, truth_type
from gitloop.serving.signature import Signature

TARGET = {"type": "numeric", "role": "target"}


def signature(**columns: Any) -> Signature:
    contract = Contract.model_validate({"task": "regression", "columns": {**columns, "y": TARGET}})
    return Signature(
        name="linear",
        contract=contract,
        features=Schema(),
        derive="x.y",
        derive_sha256=None,
        format="onnx",
        labels=(),
        threshold=0.5,
    )


def sent(column: dict[str, Any], value: Any) -> Any:
    """What becomes of a value of the column x in a request: an array's item, or the problem."""
    sign = signature(x=column)
    kind = row_type(sign)
    try:
        row = kind.model_validate_json(json.dumps({"x": value}))
    except ValidationError as error:
        (one,) = problems(error, ["x"])
        return one["problem"]
    return Rows(sign).columns([row])["x"][0]


@cache
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def in_table(column: dict[str, Any], text: str) -> Any:
    """What becomes of the same text in a table; None where it is missing or cannot be read."""
    value = cleaned("x", Column.model_validate(column), "VARCHAR").value
    return database().execute(f"SELECT {value} FROM (SELECT ?::VARCHAR AS x)", [text]).fetchall()[0][0]


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@rounds(max_examples=300, deadline=None)
@given(text=TEXT, case=st.sampled_from([None, "upper", "lower"]))
@example(text=" Straße\u00a0", case="upper")
@example(text="İıſŉǰ ﬁ ᾳ Σς", case="lower")
@example(text="İıſŉǰ ﬁ ᾳ Σς", case="upper")
def test_text_is_cleaned_as_in_a_table(text: str, case: str | None) -> None:
    column = {"type": "categorical", "nullable": True, "case": case}
    assert sent(column, text) == (in_table(column, text) or "")


def test_every_letter_has_the_case_that_duckdb_gives_it() -> None:
    letters = [chr(code) for code in range(1, 0x20000) if not 0xD800 <= code < 0xE000]
    with duckdb.connect() as connection:
        connection.register("letters", pa.table({"x": letters}))
        rows = connection.sql("SELECT x, upper(x), lower(x) FROM letters").fetchall()
    assert [row for row in rows if (cased(row[0], "upper"), cased(row[0], "lower")) != row[1:]] == []


ZONES = st.sampled_from([None, "Europe/Madrid", "America/New_York", "Asia/Kathmandu"])
TIMES = st.datetimes().map(lambda time: time.isoformat(sep="T"))


@rounds(max_examples=300, deadline=None)
@given(text=TIMES, zone=ZONES, offset=st.sampled_from(["", "Z", "+02:00", "-0530", "+01", " UTC"]))
@example(text="2013-11-03T01:30:00", zone="America/New_York", offset="")  # twice on that day
@example(text="2013-03-10T02:30:00", zone="America/New_York", offset="")  # not at all
@example(text="2024-02-29T12:00:00.1234567", zone=None, offset="")
def test_times_are_read_as_in_a_table(text: str, zone: str | None, offset: str) -> None:
    if text < "1900" or text > "2200":  # before the zones' rules, and at the ends of what can be told
        return
    column = {"type": "datetime", "timezone": zone}
    assert sent(column, text + offset).item() == in_table(column, text + offset)


@pytest.mark.parametrize("text", ["epoch", "infinity", "now", "2024-13-01", "2024-01-01T25:00", "1", "2024-1-1", ""])
def test_what_is_no_time_in_a_table_is_none_here(text: str) -> None:
    column = {"type": "datetime"}
    assert in_table(column, text) is None
    assert "is no" in sent(column, text)


@pytest.mark.parametrize(
    ("value", "label"), [(3, "3"), (3.0, "3"), (2**53, str(2**53)), (-0.0, "0"), ("3", "3"), (" 3 ", "3")]
)
def test_a_number_is_its_label_as_in_a_table(value: Any, label: str) -> None:
    assert sent({"type": "categorical"}, value) == label


@pytest.mark.parametrize("value", [1.5, True, [], {}])
def test_what_is_no_label(value: Any) -> None:
    assert sent({"type": "categorical"}, value) == "input should be a valid string"


def test_columns_may_have_any_name() -> None:
    """Also those that pydantic keeps for itself."""
    names = ["model_fields", "json", "_private", "two words", "class", "é", "a.b", "f0"]
    sign = signature(**{name: {"type": "numeric"} for name in names})
    row = row_type(sign).model_validate_json(json.dumps({name: index for index, name in enumerate(names)}))
    assert {name: values[0] for name, values in Rows(sign).columns([row]).items()} == dict(
        zip(names, range(8), strict=True)
    )
    assert Rows(sign).logged(row) == {name: float(index) for index, name in enumerate(names)}


def test_what_may_not_be_logged_is_not() -> None:
    sign = signature(a={"type": "numeric", "logged": False}, b={"type": "numeric"})
    row = row_type(sign).model_validate_json('{"a": 1, "b": 2}')
    assert Rows(sign).logged(row) == {"b": 2.0}


def test_no_problem_shows_what_was_sent() -> None:
    sign = signature(name={"type": "categorical", "categories": ["x"]}, n={"type": "numeric"})
    with pytest.raises(ValidationError) as caught:
        row_type(sign).model_validate_json('{"name": "Canary 4711", "n": "4711"}')
    assert "4711" not in str(problems(caught.value, ["name", "n"]))
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize(
    ("target", "right", "wrong"),
    [
        ({"type": "numeric"}, 1.5, ["1.5", True, None]),
        ({"type": "numeric", "range": [0, 1]}, 1, [2]),
    ],
)
def test_a_truth_is_of_the_target_s_type(target: dict[str, Any], right: Any, wrong: list[Any]) -> None:
    columns = {"x": {"type": "numeric"}, "y": {**target, "role": "target"}}
    kind = truth_type(Contract.model_validate({"task": "regression", "columns": columns}))
    assert kind.model_validate_json(json.dumps({"id": "a" * 32, "truth": right}))
    for value in wrong:
        with pytest.raises(ValidationError):
            kind.model_validate_json(json.dumps({"id": "a" * 32, "truth": value}))
