"""What changed, in the terms of the configuration, and the version that follows."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from gitloop.gitops.changes import contract, parameters, version

Params = dict[str, Any]


def changed(params: Params, change: Callable[[Params], object]) -> tuple[Params, Params]:
    now = copy.deepcopy(params)
    change(now)
    return params, now


def columns(params: Params) -> Params:
    found: Params = params["data"]["columns"]
    return found


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda p: p["data"]["window"].update(until="2013-05-01"), "data.window.until: 2013-04-01 → 2013-05-01"),
        (lambda p: p["tuning"].update(trials=99), "tuning.trials: 8 → 99"),
        (lambda p: p["candidate"].pop("forest"), "candidate forest: removed"),
        (lambda p: p["candidate"].update(extra={"complexity": 1}), "candidate extra: added"),
        (lambda p: p["gates"].update(slice_floor=None), 'gates.slice_floor: {"roc_auc": 0.55} → null'),
        (lambda p: p["gates"]["floor"].pop("r2"), "gates.floor.r2: removed, was 0.1"),
        (lambda p: p["data"].update(slices=["origin"]), 'data.slices: ["origin", "carrier"] → ["origin"]'),
        (lambda p: p["features"].update(derive=None), "features.derive: late_flights.features.derive → null"),
        (
            lambda p: p["candidate"]["boosting"]["classifier"].update(max_iter=9),
            "candidate.boosting.classifier.max_iter: 150 → 9",
        ),
        (
            lambda p: p["serving"]["log"].update(url="postgresql://me:hunter2@db/x"),
            "serving.log.url: added, postgresql://…@db/x",
        ),
    ],
)
def test_a_parameter_in_hydras_terms(params: Params, change: Callable[[Params], object], line: str) -> None:
    params["data"]["window"] = {"since": "2013-01-01", "until": "2013-04-01"}
    params["features"]["derive"] = "late_flights.features.derive"
    params["tuning"]["trials"] = 8
    was, now = changed(params, change)
    assert parameters(was, now) == [line]
    assert contract(was, now) == []


def test_a_long_value_is_cut(params: Params) -> None:
    (line,) = parameters(*changed(params, lambda p: p["project"].update(description="x" * 1000)))
    assert len(line) < 250
    assert line.endswith("…")


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (lambda c: c.update(age={"type": "numeric"}), "column age: added, numeric, feature (the API changes)"),
        (lambda c: c.pop("temp"), "column temp: removed, was numeric, feature (the API changes)"),
        (lambda c: c["temp"].update(range=[0, 9]), "column temp: range [-40, 130] → [0, 9] (the API changes)"),
        (lambda c: c["temp"].update(unit="°C"), "column temp: unit °F → °C (the API changes)"),
        (lambda c: c["dest"].update(description="Where to"), "column dest: description Airport of arrival → Where to"),
        (lambda c: c.update(x={"type": "text", "role": "ignored"}), "column x: added, text, ignored"),
        (lambda c: c["temp"].update(role="ignored"), "column temp: role not set → ignored (the API changes)"),
        (lambda c: c["temp"].update(unique=True), "column temp: unique not set → true"),
    ],
)
def test_a_column_and_whether_the_api_changes(params: Params, change: Callable[[Params], object], line: str) -> None:
    was, now = changed(params, lambda p: change(columns(p)))
    assert contract(was, now) == [line]
    assert parameters(was, now) == []
    step, _ = version(was, now, code=False, same=False)
    assert step == ("major" if "API" in line else "minor")


def test_no_value_of_personal_data_is_shown(params: Params) -> None:
    secret = {"type": "categorical", "role": "pii", "categories": ["Ada Lovelace", "Alan Turing"]}
    columns(params)["name"] = secret
    for change in (
        {"categories": ["Grace Hopper"], "description": "such as Grace Hopper"},
        {"role": "ignored", "categories": ["Grace Hopper"]},
    ):
        was, now = changed(params, lambda p, change=change: columns(p)["name"].update(change))  # type: ignore[misc]
        (line,) = contract(was, now)
        assert "categories changed (personal data: its values are not shown)" in line
        (back,) = contract(now, was)
        for word in ("Ada", "Alan", "Grace"):
            assert word not in json.dumps([line, back])
    bare = {**params, "data": {**params["data"], "columns": {}}}
    assert not any("Ada" in line for line in [*contract(bare, params), *contract(params, bare)])
    assert not any("Ada" in line for line in parameters({}, {"data": {"columns": columns(params)}}))


@pytest.mark.parametrize(
    ("change", "code", "same", "step"),
    [
        (lambda p: p["data"]["window"].update(until="2013-05-01"), False, False, "patch"),
        (lambda p: p["data"]["window"].update(until="2013-05-01"), True, False, "minor"),
        (lambda p: p["tuning"].update(trials=99), False, False, "minor"),
        (lambda p: p["gates"].update(gap=0.9), False, False, "patch"),
        (lambda p: p["serving"].update(port=1), False, True, None),
        (lambda p: columns(p).pop("temp"), False, True, "major"),
        (lambda p: p["data"].update(task="regression"), False, False, "major"),
        (lambda p: p["features"].update(keep=3), False, False, "minor"),
        (lambda p: p["features"].update(derive=None), False, False, "major"),  # the timestamp is no input any more
    ],
)
def test_the_version_that_follows(
    params: Params, change: Callable[[Params], object], code: bool, same: bool, step: str | None
) -> None:
    was, now = changed(params, change)
    found, why = version(was, now, code=code, same=same)
    assert found == step
    assert why


def test_a_configuration_without_data_is_compared_too(params: Params) -> None:
    assert parameters({}, {"a": 1}) == ["a: added, 1"]
    assert contract({}, {}) == []
    assert contract({"data": None}, params)
