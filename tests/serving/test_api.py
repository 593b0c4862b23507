"""The API is the contract: what is allowed is answered alike everywhere, what is not is refused by field and rule."""

from __future__ import annotations

import contextlib
import json
import math
from typing import Any

import customers
import httpx
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as rounds
from hypothesis import strategies as st
from service import Server

from gitloop import settings
from gitloop.contract import Column
from gitloop.modeling import chosen
from gitloop.modeling.inputs import build
from gitloop.serving import request, runtime, signature

Row = dict[str, Any]
JSON = {"content-type": "application/json"}
DEEP = b"[" * 20_000 + b"]" * 20_000


def test_one_row_is_answered_and_logged(client: httpx.Client, server: Server, row: Row) -> None:
    answer = client.post("/predict", json=row)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert list(told) == ["id", "version", "prediction", "probability"]
    assert told["prediction"] in ("stays", "leaves")
    assert (told["prediction"] == "leaves") == (told["probability"] >= 0.4)
    (line,) = [line for line in server.lines() if line["id"] == told["id"]]
    assert line["version"] == told["version"] == client.get("/model").json()["version"]
    assert (line["prediction"], line["probability"]) == (told["prediction"], told["probability"])
    assert line["inputs"] == {**row, "age": 41.0, "id": 7.0, "seen": "2024-03-01T08:00:00"}
    assert line["latency_ms"] > 0


def test_what_is_sent_is_standardised_as_a_table_is(client: httpx.Client, server: Server, row: Row) -> None:
    told = client.post("/predict", json={**row, "town": "\u00a0 town 3\n", "seen": "2024-03-01 08:00"}).json()
    assert told["probability"] == client.post("/predict", json=row).json()["probability"]
    (line,) = [line for line in server.lines() if line["id"] == told["id"]]
    assert (line["inputs"]["town"], line["inputs"]["seen"]) == ("TOWN 3", "2024-03-01T08:00:00")


def test_passengers_and_nullable_columns_may_be_left_out(client: httpx.Client, server: Server, row: Row) -> None:
    some = {name: row[name] for name in ("age", "balance", "colour")}
    told = client.post("/predict", json=some).json()
    explicit = client.post("/predict", json={**some, "income": None, "member": None, "town": None}).json()
    assert told["probability"] == explicit["probability"]
    (line,) = [line for line in server.lines() if line["id"] == told["id"]]
    assert set(line["inputs"]) == set(some)


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"age": 121}, "age", "should be less than or equal to 120"),
        ({"age": -1}, "age", "should be greater than or equal to 0"),
        ({"age": "41"}, "age", "should be a valid number"),
        ({"age": True}, "age", "should be a valid number"),
        ({"age": None}, "age", "is missing; give a value"),
        ({"balance": [1]}, "balance", "should be a valid number"),
        ({"colour": "pink"}, "colour", "should be 'red', 'green' or 'blue'"),
        ({"colour": "  "}, "colour", "is missing; give a value"),
        ({"town": {"name": "x"}}, "town", "should be a valid string"),
        ({"town": "a\0b"}, "town", "U+0000"),
        ({"member": 1}, "member", "should be a valid boolean"),
        ({"seen": "yesterday"}, "seen", "is not a date and time; send ISO 8601"),
        ({"seen": "2024-02-30"}, "seen", "is no day or time that there is"),
        ({"seen": 1700000000}, "seen", "is not a date and time"),
        ({"incme": 3}, "incme", "is not a field; did you mean 'income'?"),
        ({"phone": "0151"}, "phone", "is not a field"),  # personal data is not taken
        ({"outcome": "leaves"}, "outcome", "is not a field"),
    ],
)
def test_what_breaks_the_contract_is_refused_by_field_and_rule(
    client: httpx.Client, row: Row, change: Row, field: str, problem: str
) -> None:
    answer = client.post("/predict", json={**row, **change})
    assert answer.status_code == 400
    (one,) = answer.json()["problems"]
    assert one["field"] == field
    assert problem in one["problem"]
    batch = client.post("/predict_batch", json={"rows": [row, {**row, **change}]})
    assert batch.status_code == 400
    assert batch.json()["problems"] == [{"field": f"rows.1.{field}", "problem": one["problem"]}]


@pytest.mark.parametrize(
    ("body", "headers", "field", "problem"),
    [
        (b"", JSON, "body", "JSON"),
        (b"{", JSON, "body", "JSON"),
        (b"[]", JSON, "body", "object"),
        (b"null", JSON, "body", "object"),
        (b'{"age": NaN}', JSON, "age", "finite"),
        (b'{"age": -Infinity}', JSON, "age", "finite"),
        (b'{"age": 1e400}', JSON, "age", "finite"),
        (b'{"town": "\\ud800"}', JSON, "body", "JSON"),
        (b'{"town": "\xff\xfe"}', JSON, "body", "JSON"),
        (DEEP, JSON, "body", "recursion"),
        (b'{"town": ' + DEEP + b"}", JSON, "body", "recursion"),
        (b"age=41", {"content-type": "application/x-www-form-urlencoded"}, "request", "send application/json"),
        (b"age=41", {"content-type": "multipart/form-data; boundary=x"}, "request", "send application/json"),
    ],
)
@pytest.mark.parametrize("path", ["/predict", "/predict_batch", "/feedback"])
def test_no_body_is_too_odd(
    client: httpx.Client, path: str, body: bytes, headers: dict[str, str], field: str, problem: str
) -> None:
    answer = client.post(path, content=body, headers=headers)
    assert answer.status_code == 400
    problems = answer.json()["problems"]
    if path == "/predict" or field in ("body", "request"):
        assert any(one["field"] == field and problem in one["problem"] for one in problems), problems


def test_pickles_are_not_read(client: httpx.Client) -> None:
    answer = client.post("/predict", content=b"\x80\x04.", headers={"content-type": "application/vnd.bentoml+pickle"})
    assert answer.status_code == 415


@pytest.mark.parametrize("value", [1e308, -1e308, 5e-324, 1e30, 2**63])
def test_numbers_at_the_ends_are_answered(client: httpx.Client, row: Row, value: float) -> None:
    answer = client.post("/predict", json={**row, "balance": value})
    assert answer.status_code == 200
    assert math.isfinite(answer.json()["probability"])


def test_a_long_body_is_refused_before_it_is_read(client: httpx.Client, row: Row) -> None:
    body = json.dumps({**row, "town": "x" * 10_000_000}).encode()
    for content in (body, iter([body[:5_000_000], body[5_000_000:]])):  # with a length, and in chunks without one
        with contextlib.suppress(httpx.WriteError):  # it hung up while we were sending
            assert client.post("/predict", content=content, headers=JSON).status_code == 413
    assert client.post("/predict", json=row).status_code == 200


def test_too_many_rows_are_refused(client: httpx.Client, row: Row) -> None:
    small = {name: row[name] for name in ("age", "balance", "colour")}
    assert len(client.post("/predict_batch", json={"rows": [small] * 1000}).json()) == 1000
    answer = client.post("/predict_batch", json={"rows": [small] * 1001})
    assert answer.status_code == 400
    assert "at most 1000" in answer.json()["problems"][0]["problem"]
    assert client.post("/predict_batch", json={"rows": []}).json() == []


def test_feedback_is_checked_and_kept(client: httpx.Client, server: Server, row: Row) -> None:
    told = client.post("/predict", json=row).json()
    assert client.post("/feedback", json={"id": told["id"], "truth": "stays"}).json() == {
        "id": told["id"],
        "kept": True,
    }
    (line,) = [line for line in server.lines("feedback") if line["id"] == told["id"]]
    assert line["truth"] == "stays"
    for body, field in (
        ({"id": told["id"], "truth": "perhaps"}, "truth"),
        ({"id": told["id"], "truth": None}, "truth"),
        ({"id": "../etc/passwd", "truth": "stays"}, "id"),
        ({"truth": "stays"}, "id"),
    ):
        answer = client.post("/feedback", json=body)
        assert answer.status_code == 400
        assert answer.json()["problems"][0]["field"] == field


def test_the_model_tells_what_it_is(client: httpx.Client) -> None:
    told = client.get("/model").json()
    assert told["lineage"]["candidate"] == "linear"
    assert told["origin"].keys() == {"commit", "dirty", "dvc_lock_sha256", "version"}
    assert "roc_auc" in told["metrics"]["metrics"]
    assert told["card"].startswith("# ")
    assert client.post("/model", json={}).status_code == 405
    assert client.get("/predict").status_code == 405


def test_the_description_is_the_contract(client: httpx.Client) -> None:
    spec = client.get("/docs.json").json()
    body = spec["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    fields = body["schema"]["properties"]
    assert set(fields) == {"age", "income", "balance", "member", "colour", "town", "id", "seen"}
    assert (fields["age"]["minimum"], fields["age"]["maximum"]) == (0, 120)
    assert fields["colour"]["enum"] == ["red", "green", "blue"]
    assert "EUR" in fields["income"]["description"]
    assert set(body["schema"]["required"]) == {"age", "balance", "colour"}
    assert client.post("/predict", json=body["example"]).status_code == 200
    assert client.get("/").status_code == 200


def test_prometheus_counts_outcomes_and_refusals(client: httpx.Client, row: Row) -> None:
    def counted(name: str) -> float:
        lines = client.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    before = counted("gitloop_predictions_total"), counted("gitloop_refused_total")
    told = client.post("/predict_batch", json={"rows": [row] * 5}).json()
    client.post("/predict", json={})
    outcome = f'gitloop_predictions_total{{outcome="{told[0]["prediction"]}",version="{told[0]["version"]}"}}'
    assert outcome in client.get("/metrics").text
    assert (counted("gitloop_predictions_total"), counted("gitloop_refused_total")) == (before[0] + 5, before[1] + 1)
    assert counted("gitloop_log_dropped_total") == 0


def values(column: Column) -> st.SearchStrategy[Any]:
    """Any JSON value that the contract allows."""
    if column.type == "numeric":
        low, high = column.range or (None, None)
        allowed: st.SearchStrategy[Any] = st.floats(low, high, allow_nan=False, allow_infinity=False)
    elif column.type == "boolean":
        allowed = st.booleans()
    elif column.categories:
        allowed = st.sampled_from(column.categories)
    else:
        letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
        allowed = st.sampled_from(["TOWN 1", "town 3"]) | st.text(letters, min_size=1, max_size=9)
    return st.none() | allowed if column.nullable else allowed


ROWS = st.lists(
    st.fixed_dictionaries(
        {
            name: values(Column.model_validate(one))
            for name, one in customers.COLUMNS.items()
            if "feature" in Column.model_validate(one).role
        }
    ),
    min_size=1,
    max_size=20,
)


@rounds(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rows=ROWS)
def test_training_package_and_service_agree(client: httpx.Client, server: Server, rows: list[Row]) -> None:
    """Also where the row comes alone: who shares its batch does not matter."""
    answers = client.post("/predict_batch", json={"rows": rows})
    assert answers.status_code == 200
    told = [one["probability"] for one in answers.json()]
    alone = client.post("/predict", json=rows[0]).json()
    assert alone["probability"] == pytest.approx(told[0], abs=1e-6)
    assert alone["prediction"] == answers.json()[0]["prediction"]
    with customers.inside(server.folder):
        loaded = settings.load()
        sign = signature.read(server.folder / "model")
        read = request.row_type(sign)
        columns = request.Rows(sign).columns([read.model_validate_json(json.dumps(one)) for one in rows])
        trained = chosen.model(loaded).scores(build(columns, loaded.data, None))
        assert told == pytest.approx(trained.tolist(), abs=1e-5)
        assert told == pytest.approx(runtime.load().scores(columns).tolist(), abs=1e-6)
