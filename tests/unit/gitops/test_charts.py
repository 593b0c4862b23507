"""Charts that Mermaid can draw, whatever the names and numbers are."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import pytest
from charted import charts, complaints

from gitloop.gitops.charts import bars, calibration, candidates, label, slices

HOSTILE = [
    '"]; bar [1]',
    "|<img src=x>|",
    "```\n# out",
    "%%{init: {}}%%",
    "`$(id)`",
    "a\nb",
    "日本 é",
    "(x) [y] {z}",
    "x" * 300,
    "",
]
RANKING = [
    {"candidate": "linear", "mean": 0.69},
    {"candidate": "forest", "mean": 0.67},
    {"candidate": "d", "mean": 0.5},
]
EVALUATION: dict[str, Any] = {
    "metric": "roc_auc",
    "baseline": {"roc_auc": 0.5, "mae": 12.0},
    "slices": {"origin": {name: {"metrics": {"roc_auc": 0.6 + n / 50}} for n, name in enumerate(HOSTILE)}},
    "calibration": {"bins": [{"predicted": n / 10, "observed": n / 11} for n in range(10)]},
}
COMPARISON: dict[str, Any] = {
    "champion": {"revision": "model@v0.1.0"},
    "slices": {"origin": {"EWR": {"champion": 0.7, "challenger": 0.6}, "JFK": {"champion": 0.6, "challenger": 0.7}}},
}


def test_mermaid_itself_draws_them() -> None:
    found = [
        candidates({"metric": "roc_auc", "ranking": RANKING}),
        slices(EVALUATION, None),
        slices(EVALUATION, COMPARISON),
        calibration(EVALUATION),
        bars('a "title" #1 %%', "mae", [("a", 1e-9), ("b", 3e-7), ("c", nan)]),
        bars("large", "rmse", [("a", 1e13), ("b", 3e15)]),
        bars("negative", "r2", [("a", -0.004), ("b", 0.3), ("c", None)]),
        bars("names", "accuracy", [(name, n) for n, name in enumerate(HOSTILE)]),
    ]
    sources = [source for text in found for source in charts(text)]
    assert len(sources) == len(found)
    assert complaints(sources) == [""] * len(found)
    assert complaints(["xychart-beta\n  bar [1, NaN]"]) != [""]  # and it would complain


def test_numbers_have_no_exponent_and_a_loss_begins_at_zero() -> None:
    small = bars("t", "mae", [("a", 1e-9), ("b", 3e-7)])
    assert "bar [0.000000001000, 0.000000300000]" in small
    assert '"mae" 0.000000000000 --> ' in small
    assert "e-" not in small.replace("xychart-beta", "")
    assert '"roc_auc" 0.500000 --> ' in candidates({"metric": "roc_auc", "ranking": RANKING})


def test_slices_stand_worst_first_beside_the_champion() -> None:
    found = slices(EVALUATION, COMPARISON)
    assert 'title "roc_auc by slice: bars the model, line model@v0.1.0"' in found
    assert 'x-axis ["origin EWR", "origin JFK"]' in found
    assert "bar [0.600000, 0.700000]" in found
    assert "line [0.700000, 0.600000]" in found


def test_two_slices_of_one_label_are_two_bars() -> None:
    assert '["a·", "a· 2", "a· 3"]' in bars("t", "f1", [("a|", 0.1), ("a<", 0.2), ("a>", 0.3)])


@pytest.mark.parametrize(
    "values",
    [[], [("a", 1.0)], [("a", 1.0), ("b", nan), ("c", None), ("d", inf)], [("a", 0.5), ("b", 0.5)]],
    ids=["none", "one", "one known", "all alike"],
)
def test_where_there_is_nothing_to_see_there_is_no_chart(values: list[tuple[str, float | None]]) -> None:
    assert bars("t", "roc_auc", values) == ""


def test_a_task_without_bins_has_no_calibration() -> None:
    assert calibration({"calibration": {"error": 0.1}}) == ""


@pytest.mark.parametrize("name", HOSTILE)
def test_a_label_stays_between_its_quotes(name: str) -> None:
    assert not set('"`[]{}<>|%#;\n') & set(label(name))
    assert len(label(name)) <= 28
