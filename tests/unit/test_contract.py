"""Every rule of the contract refuses what breaks it, by name and with the mend."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from pydantic import ValidationError

from gitloop.contract import Column, Contract, Window

GOOD: dict[str, Any] = {
    "task": "binary",
    "columns": {
        "at": {"type": "datetime", "role": ["timestamp", "key"]},
        "age": {"type": "numeric", "range": [0, None]},
        "town": {"type": "categorical", "role": ["feature", "sensitive"]},
        "mail": {"type": "text", "role": "pii"},
        "note": {"type": "text", "role": "ignored"},
        "won": {"type": "boolean", "role": "target"},
    },
}


def test_views_of_a_contract_follow_the_roles() -> None:
    contract = Contract.model_validate(GOOD)
    assert (contract.target, contract.timestamp, contract.keys) == ("won", "at", ["at"])
    assert contract.features == ["age", "town"]
    assert contract.kept == ["at", "age", "town", "won"]
    assert contract.named("sensitive", "pii") == ["town", "mail"]


def test_a_contract_cannot_change() -> None:
    contract = Contract.model_validate(GOOD)
    with pytest.raises(ValidationError, match="frozen"):
        contract.task = "regression"


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ({"type": "number"}, "Input should be 'numeric'"),
        ({"type": "numeric", "role": "label"}, "Input should be 'feature'"),
        ({"type": "numeric", "role": []}, "no role"),
        ({"type": "numeric", "range": [2, 1]}, "lowest value is above the highest"),
        ({"type": "categorical", "range": [1, 2]}, "`range` belongs to numeric columns"),
        ({"type": "numeric", "categories": ["a"]}, "`categories` belongs to categorical columns"),
        ({"type": "categorical", "categories": ["a", "a"]}, "named twice"),
        ({"type": "numeric", "case": "lower"}, "`case` belongs to categorical or text"),
        ({"type": "categorical", "case": "upper", "categories": ["a"]}, "a category in another case never occurs"),
        ({"type": "numeric", "timezone": "UTC"}, "`timezone` belongs to datetime"),
        ({"type": "datetime", "timezone": "Mars/Base"}, "unknown time zone 'Mars/Base'"),
        ({"type": "text", "role": "timestamp"}, "a timestamp is a datetime column"),
        ({"type": "datetime", "role": "timestamp", "nullable": True}, "every row needs its timestamp"),
        ({"type": "datetime", "role": ["timestamp", "pii"]}, "remove the role pii"),
        ({"type": "numeric", "role": ["target", "feature"]}, "`target` stands alone"),
        ({"type": "numeric", "role": ["ignored", "key"]}, "`ignored` stands alone"),
        ({"type": "text", "role": ["pii", "feature"]}, "personal data cannot be a feature"),
        ({"type": "text", "role": ["pii", "key"], "logged": False}, "`logged: false` belongs to features"),
        ({"type": "text", "role": ["pii", "key"]}, "a key that is dropped tells no rows apart; say `pii: hash`"),
        ({"type": "text", "pii": "drop"}, "`pii` belongs to columns with `role: pii`"),
        ({"type": "numeric", "role": "pii", "pii": "hash"}, "a hash is no numeric; say `type: categorical`"),
        ({"type": "text", "role": ["pii", "sensitive"], "pii": "hash"}, "remove the role sensitive"),
        (
            {"type": "categorical", "role": "pii", "pii": "hash", "categories": ["a"]},
            "of a hash nothing can be told; remove `categories`",
        ),
        ({"type": "text", "role": "ignored", "logged": False}, "`logged: false` belongs to features"),
        ({"type": "numeric", "role": "target", "logged": False}, "`logged: false` belongs to features"),
        ({"type": "datetime", "role": ["key", "timestamp"], "logged": False}, "`logged: false` belongs to features"),
    ],
)
def test_a_wrong_column_is_refused(column: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Column.model_validate(column)


@pytest.mark.parametrize(
    ("changes", "task", "message"),
    [
        ({"won": None}, "binary", "exactly one column with `role: target`, found 0: none"),
        ({"more": {"type": "boolean", "role": "target"}}, "binary", "found 2: won, more"),
        ({"when": {"type": "datetime", "role": "timestamp"}}, "binary", r"more than one timestamp \(at, when\)"),
        ({"age": None, "town": None}, "binary", "has no feature"),
        ({}, "regression", "won: a regression target is numeric, not boolean"),
        ({}, "multiclass", "won: a multiclass target is categorical, not boolean"),
        ({"won": {"type": "categorical", "role": "target"}}, "binary", "needs two `categories`"),
        (
            {"won": {"type": "categorical", "role": "target", "categories": ["y", "n"], "positive": "yes"}},
            "binary",
            "`positive` must be one of y, n",
        ),
        ({"town": {"type": "categorical", "positive": "x"}}, "binary", None),
        (
            {"won": {"type": "categorical", "role": "target", "positive": "x"}},
            "multiclass",
            "`positive` belongs to a categorical target of a binary task",
        ),
        ({"won": {"type": "boolean", "role": "target", "nullable": True}}, "binary", "a target cannot be nullable"),
    ],
)
def test_a_wrong_contract_is_refused(changes: dict[str, Any], task: str, message: str | None) -> None:
    columns = {**GOOD["columns"], **changes}
    value = {"task": task, "columns": {name: column for name, column in columns.items() if column}}
    if message is None:
        Contract.model_validate(value)
        return
    with pytest.raises(ValidationError, match=message):
        Contract.model_validate(value)


def test_what_a_service_is_sent_need_not_be_logged() -> None:
    for role in ("feature", "key", "sensitive"):
        assert not Column.model_validate({"type": "text", "role": role, "logged": False}).logged
    assert Column.model_validate({"type": "text"}).logged


def test_categories_that_yaml_reads_as_numbers_are_labels() -> None:
    assert Column.model_validate({"type": "categorical", "categories": [1, 2.5, "x"]}).categories == ("1", "2.5", "x")


def test_a_window_is_utc_and_ordered() -> None:
    window = Window.model_validate({"since": "2013-01-01T00:00:00-05:00", "until": "2013-02-01"})
    assert window == Window(since=datetime(2013, 1, 1, 5), until=datetime(2013, 2, 1))
    with pytest.raises(ValidationError, match="`since` is not before `until`"):
        Window.model_validate({"since": "2013-02-01", "until": "2013-02-01"})
