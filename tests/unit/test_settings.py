"""What is wrong in conf/ is said by file and key, with the nearest right one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitloop import settings
from gitloop.errors import InputError


def put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key; `...` removes it."""
    *path, last = key.split(".")
    for part in path:
        tree = tree[part]
    if value is ...:
        del tree[last]
    else:
        tree[last] = value


def test_the_stock_configuration_is_good(params: dict[str, Any]) -> None:
    loaded = settings.parse(params)
    assert list(loaded.candidate) == ["boosting", "dummy", "forest", "linear"]
    assert loaded.data.timestamp == "time_hour"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        (
            "data.columns.temp.rang",
            [0, 1],
            "conf/data/flights.yaml: data.columns.temp.rang: unknown key; did you mean 'range'?",
        ),
        ("data.rules.min_row", 5, "conf/data/flights.yaml: data.rules.min_row: unknown key; did you mean 'min_rows'?"),
        ("gates.flor", {}, "conf/gates/default.yaml: gates.flor: unknown key; did you mean 'floor'?"),
        (
            "candidate.linear.prepare.scal",
            True,
            "conf/candidate/linear.yaml: candidate.linear.prepare.scal: unknown key; did you mean 'scale'?",
        ),
        ("tunning", {}, "conf/config.yaml: tunning: unknown key; did you mean 'tuning'?"),
        ("project.owner", ..., "conf/project.yaml: project.owner: is missing; add it"),
        ("data.source", {"path": "x"}, "conf/data/flights.yaml: data.source: needs `_target_: package.module.Name`"),
        ("data.metric", "r2", "conf/data/flights.yaml: data: metric: 'r2' is not a binary metric; use one of roc_auc"),
        ("data.slices", ["orign"], "slices: 'orign' is not a column that is kept; did you mean 'origin'?"),
        ("data.split.group", "origin", "a table with a timestamp is split by time; remove the group"),
        ("data.columns.time_hour.role", "key", "window: needs a column with `role: timestamp`"),
        ("data.rules.max_invalid", 2, "data.rules.max_invalid: input should be less than or equal to 1"),
        ("gates.floor", {"rocauc": 1}, "gates.floor: 'rocauc' is not a metric; did you mean 'roc_auc'?"),
        ("gates.fairness", {"accurracy": 1}, "gates.fairness: 'accurracy' is not a rate; did you mean 'accuracy'?"),
        ("tuning.method", "grid", "tuning.method: input should be 'none', 'optuna' or 'halving'"),
        ("candidate.dummy.complexity", 1, "candidate: no baseline to compare with"),
        ("candidate.linear.classifier", ..., "candidate.linear: has no `classifier` for the binary task"),
        ("candidate.forest.search.min_samples_leaf", {"low": 5}, "give either `low` and `high`, or `choices`"),
        ("candidate.forest.search.min_samples_leaf", {"low": 5, "high": 5}, "`low` is not below `high`"),
        (
            "candidate.forest.search.min_samples_leaf",
            {"low": 0, "high": 5, "log": True},
            "`log` needs a range above zero",
        ),
        ("candidate", {}, "candidate: none is declared"),
    ],
)
def test_a_wrong_setting_is_named(
    key: str, value: Any, message: str, params: dict[str, Any], template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(template)
    put(params, key, value)
    with pytest.raises(InputError) as caught:
        settings.parse(params)
    assert message in str(caught.value)


def test_everything_wrong_is_said_at_once(params: dict[str, Any]) -> None:
    put(params, "data.columns.temp.rang", 1)
    put(params, "gates.flor", 1)
    put(params, "project.owner", ...)
    with pytest.raises(InputError) as caught:
        settings.parse(params)
    assert len(str(caught.value).splitlines()) == 3


def test_a_value_is_never_shown_in_an_error(params: dict[str, Any]) -> None:
    put(params, "data.columns.temp.range", "sesame-open")
    with pytest.raises(InputError) as caught:
        settings.parse(params)
    assert "sesame-open" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "params.yaml: not there; run `gitloop params`"),
        ("a: [", "params.yaml: is not valid YAML"),
        ("", "params.yaml: is empty or not a mapping"),
        ("- 1", "params.yaml: is empty or not a mapping"),
    ],
)
def test_a_broken_params_file_is_named(text: str | None, message: str, root: Callable[[dict[str, Any]], Path]) -> None:
    path = root({}) / "params.yaml"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(InputError, match=message):
        settings.load()


def test_nearest_names_all_where_none_is_near() -> None:
    assert settings.nearest("zzz", ["roc_auc", "f1"]) == "; use one of roc_auc, f1"
