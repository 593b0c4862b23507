"""From a row that was read to its answer, its line in the log and its counters, for every kind of target."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from gitloop.arrays import Array, Columns
from gitloop.contract import Contract
from gitloop.errors import InputError
from gitloop.modeling.inputs import Schema
from gitloop.serving.answer import answer_type
from gitloop.serving.desk import DIRECT, Desk, Reply
from gitloop.serving.request import row_type, truth_type
from gitloop.serving.runtime import Served
from gitloop.serving.signature import Signature
from gitloop.settings import Log, Serving

FEATURES = {
    "x": {"type": "numeric"},
    "secret": {"type": "numeric", "nullable": True, "logged": False},
    "who": {"type": "categorical", "role": "sensitive", "nullable": True},
}
# task, target, labels, what a row of x makes of the scores, the answer to x = 0.7, truths that are right and wrong
Kind = tuple[str, dict[str, Any], tuple[str, ...], Callable[[Array], Array], dict[str, Any], list[Any], list[Any]]
KINDS: list[Kind] = [
    (
        "binary",
        {"type": "categorical", "categories": ["no", "yes"], "positive": "yes"},
        ("no", "yes"),
        lambda x: x,
        {"prediction": "yes", "probability": 0.7},
        ["yes", "no"],
        ["maybe", True, None, 1],
    ),
    (
        "binary",
        {"type": "boolean"},
        ("false", "true"),
        lambda x: x,
        {"prediction": True, "probability": 0.7},
        [True, False],
        ["true", 1, None],
    ),
    (
        "multiclass",
        {"type": "categorical", "categories": ["a", "b"]},
        ("a", "b"),
        lambda x: np.column_stack([1 - x, x]),
        {"prediction": "b", "probabilities": {"a": pytest.approx(0.3), "b": 0.7}},
        ["a"],
        ["c", 0, None],
    ),
    ("regression", {"type": "numeric"}, (), lambda x: x, {"prediction": 0.7}, [1.5, 2], ["1.5", True, None]),
]
kinds = pytest.mark.parametrize("kind", KINDS, ids=["labels", "boolean", "multiclass", "regression"])


class Counted:
    """Stands in for the meters, which BentoML must set up."""

    def __init__(self) -> None:
        self.outcomes: list[Any] = []
        self.refusals: list[str] = []
        self.truths = self.lost = 0

    def predicted(self, outcomes: list[Any], seconds: float) -> None:
        self.outcomes += outcomes

    def refused(self, endpoint: str) -> None:
        self.refusals.append(endpoint)

    def told(self) -> None:
        self.truths += 1

    def dropped(self, lines: int) -> None:
        self.lost += lines

    def log(self, journal: Any, shipper: Any) -> None:
        pass


class Place:
    """A desk, and what can be asked of it."""

    def __init__(self, kind: Kind, folder: Path, predict: Any = None, form: str = "onnx", log: bool = True) -> None:
        task, target, labels, scores, *_ = kind
        contract = Contract.model_validate({"task": task, "columns": {**FEATURES, "y": {**target, "role": "target"}}})
        signature = Signature(
            name="linear",
            contract=contract,
            features=Schema(),
            derive=None,
            derive_sha256=None,
            format=form,  # type: ignore[arg-type]
            labels=labels,
            threshold=0.5,
        )
        served = Served(signature, "v1", {}, {}, "", None, predict or (lambda columns: scores(columns["x"])))
        self.meters, self.folder = Counted(), folder
        serving = Serving(max_rows=100, log=Log(folder=str(folder)) if log else None)
        self.desk = Desk(served, serving, self.meters)  # type: ignore[arg-type]
        self.row, self.truth = row_type(signature), truth_type(contract)
        self.answer = answer_type(signature)

    def predict(self, **row: Any) -> Reply:
        return asyncio.run(self.desk.predict(self.row.model_validate(row)))

    def batch(self, *xs: float) -> Reply:
        return asyncio.run(self.desk.predict_batch([self.row.model_validate({"x": x}) for x in xs]))

    def lines(self, name: str = "predictions") -> list[dict[str, Any]]:
        return [json.loads(line) for file in self.folder.glob(f"{name}-*") for line in file.read_text().splitlines()]


@kinds
def test_each_kind_of_target_is_answered_as_described(kind: Kind, tmp_path: Path) -> None:
    place = Place(kind, tmp_path)
    reply = place.predict(x=0.7, secret=4711.0, who="Ada")
    assert reply.status == 200
    assert {name: value for name, value in reply.body.items() if name not in ("id", "version")} == kind[4]
    place.answer.model_validate(json.loads(json.dumps(reply.body)))
    (line,) = place.lines()
    assert {name: line[name] for name in reply.body} == reply.body
    assert line["inputs"] == {"x": 0.7, "who": "Ada"}  # `logged: false` is not in it
    assert place.meters.outcomes == [kind[4]["prediction"]]


@kinds
def test_a_truth_is_of_the_target_s_type(kind: Kind, tmp_path: Path) -> None:
    place = Place(kind, tmp_path)
    for truth in kind[5]:
        body: Any = place.truth.model_validate_json(json.dumps({"id": "0" * 32, "truth": truth}))
        assert place.desk.feedback(body.id, body.truth).status == 200
    assert [line["truth"] for line in place.lines("feedback")] == kind[5]
    assert place.meters.truths == len(kind[5])
    for truth in kind[6]:
        with pytest.raises(ValidationError):
            place.truth.model_validate_json(json.dumps({"id": "0" * 32, "truth": truth}))


@kinds
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_cannot_be_said_is_refused_and_not_logged(kind: Kind, bad: float, tmp_path: Path) -> None:
    def predict(columns: Columns) -> Array:
        return kind[3](np.where(columns["x"] > 1, bad, columns["x"]))

    place = Place(kind, tmp_path, predict)
    assert place.predict(x=2).body["problems"] == [
        {"field": "body", "problem": "cannot be scored: its numbers are too large for the model"}
    ]
    assert [one["field"] for one in place.batch(0.1, 2, 0.2, 3).body["problems"]] == ["rows.1", "rows.3"]
    assert place.lines() == []
    assert place.meters.refusals == ["predict", "predict_batch"]
    assert place.meters.outcomes == []


@pytest.mark.parametrize("form", ["onnx", "skops"])
def test_a_derivation_that_fails_is_no_error_of_the_server(form: str, tmp_path: Path) -> None:
    def predict(columns: Columns) -> Array:
        raise InputError("flights.derive: failed with ValueError: 7; mend it")

    place = Place(KINDS[0], tmp_path, predict, form)
    reply = place.predict(x=0.7)
    assert reply.status == 400
    assert "cannot be scored: flights.derive: failed" in reply.body["problems"][0]["problem"]


@pytest.mark.parametrize("form", ["onnx", "skops"])
@pytest.mark.parametrize("count", [1, DIRECT, DIRECT + 1, 100])
def test_answers_come_in_the_order_of_the_rows(form: str, count: int, tmp_path: Path) -> None:
    place = Place(KINDS[3], tmp_path, form=form)
    values = [float(index) for index in range(count)]
    answers = place.batch(*values).body
    assert [one["prediction"] for one in answers] == values
    assert len({one["id"] for one in answers}) == count
    assert [(line["id"], line["prediction"]) for line in place.lines()] == [
        (one["id"], one["prediction"]) for one in answers
    ]


def test_no_rows_and_too_many(tmp_path: Path) -> None:
    place = Place(KINDS[3], tmp_path)
    assert place.batch() == Reply(200, [])
    reply = place.batch(*[1.0] * 101)
    assert (reply.status, reply.body["problems"][0]["problem"]) == (400, "has 101 rows; send at most 100 at a time")
    assert place.lines() == []


def test_a_log_that_is_lost_loses_no_prediction_but_says_so_of_a_truth(tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.write_text("not a folder")
    place = Place(KINDS[3], folder)
    assert place.batch(1.0, 2.0, 3.0).status == 200
    assert place.meters.lost == 3
    assert place.desk.feedback("0" * 32, 1.5).status == 503
    assert (place.meters.lost, place.meters.truths) == (4, 0)


def test_without_a_log(tmp_path: Path) -> None:
    place = Place(KINDS[3], tmp_path, log=False)
    assert place.predict(x=1).status == 200
    assert place.desk.feedback("0" * 32, 1.5).status == 409
    place.desk.close()
    assert list(tmp_path.iterdir()) == []


def test_closing_twice_and_asking_after(tmp_path: Path) -> None:
    place = Place(KINDS[3], tmp_path)
    place.desk.close()
    place.desk.close()
    assert place.predict(x=1).status == 200
    assert place.meters.lost == 1
