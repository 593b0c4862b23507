"""The choice: the best by cross-validation, or a simpler one within one standard error of it; and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitloop.cli import main
from gitloop.modeling.select import choose

Root = Callable[[dict[str, Any]], Path]


def told(name: str, mean: float, se: float, complexity: int, metric: str = "roc_auc") -> dict[str, Any]:
    return {
        "candidate": name,
        "complexity": complexity,
        "cv": {metric: {"mean": mean, "std": 2 * se, "se": se, "folds": [mean]}},
        "model": {"path": f"models/{name}.skops", "sha256": name * 2},
    }


@pytest.mark.parametrize(
    ("candidates", "metric", "chosen"),
    [
        # the best, where it is clearly the best
        ([("dummy", 0.5, 0.0, 0), ("linear", 0.7, 0.01, 1), ("boosting", 0.8, 0.01, 3)], "roc_auc", "boosting"),
        # a simpler one within one standard error
        ([("dummy", 0.5, 0.0, 0), ("linear", 0.795, 0.01, 1), ("boosting", 0.8, 0.01, 3)], "roc_auc", "linear"),
        # exactly on the margin counts as within, whatever the rounding
        ([("linear", 0.69, 0.02, 1), ("boosting", 0.7, 0.01, 3)], "roc_auc", "linear"),
        ([("linear", 0.6899, 0.02, 1), ("boosting", 0.7, 0.01, 3)], "roc_auc", "boosting"),
        # the margin is the best one's standard error, not the other's
        ([("linear", 0.68, 0.05, 1), ("boosting", 0.7, 0.01, 3)], "roc_auc", "boosting"),
        # of several within the margin the simplest, even where another is better
        ([("linear", 0.78, 0.01, 1), ("forest", 0.79, 0.01, 2), ("boosting", 0.8, 0.03, 3)], "roc_auc", "linear"),
        # equally simple: the better; equally good: by name
        ([("b", 0.79, 0.01, 1), ("a", 0.78, 0.01, 1), ("boosting", 0.8, 0.03, 3)], "roc_auc", "b"),
        ([("b", 0.79, 0.01, 1), ("a", 0.79, 0.01, 1)], "roc_auc", "a"),
        # the dummy is chosen where nothing is better: the gates will say so
        ([("dummy", 0.5, 0.0, 0), ("linear", 0.51, 0.02, 1)], "roc_auc", "dummy"),
        # losses: less is better
        ([("linear", 12.0, 1.0, 1), ("boosting", 10.0, 1.0, 3)], "mae", "boosting"),
        ([("linear", 10.9, 1.0, 1), ("boosting", 10.0, 1.0, 3)], "mae", "linear"),
        ([("linear", 0.3, 0.0, 1), ("boosting", 0.3, 0.0, 3)], "log_loss", "linear"),
        # below zero
        ([("dummy", -0.1, 0.05, 0), ("linear", -0.12, 0.01, 1)], "r2", "dummy"),
        # a tiny scale
        ([("linear", 1.2e-9, 1e-10, 1), ("boosting", 1e-9, 1e-10, 3)], "mae", "boosting"),
        ([("only", 0.6, 0.0, 3)], "roc_auc", "only"),
    ],
)
def test_the_rule(candidates: list[tuple[str, float, float, int]], metric: str, chosen: str) -> None:
    listed = [told(*one, metric) for one in candidates]
    selection = choose(listed, metric)
    assert selection["candidate"] == chosen
    assert selection["model"] == {"path": f"models/{chosen}.skops", "sha256": chosen * 2}
    assert choose(listed[::-1], metric) == selection  # in whatever order they come


def test_the_ranking_and_the_reasons() -> None:
    linear, boosting = told("linear", 0.795123, 0.01, 1), told("boosting", 0.8, 0.0123, 3)
    simpler = choose([boosting, linear, told("dummy", 0.5, 0.0, 0)], "roc_auc")
    assert simpler["reason"] == (
        "linear is simpler than boosting and within one standard error of it: "
        "cross-validated roc_auc 0.7951 ± 0.01 against 0.8 ± 0.012."
    )
    assert (simpler["metric"], simpler["mean"], simpler["se"]) == ("roc_auc", 0.795123, 0.01)
    assert simpler["ranking"] == [
        {"candidate": "boosting", "mean": 0.8, "se": 0.0123, "complexity": 3},
        {"candidate": "linear", "mean": 0.795123, "se": 0.01, "complexity": 1},
        {"candidate": "dummy", "mean": 0.5, "se": 0.0, "complexity": 0},
    ]
    best = choose([told("dummy", 0.5, 0.0, 0), linear], "roc_auc")
    assert best["reason"] == "linear has the best cross-validated roc_auc, 0.7951 ± 0.01; dummy follows with 0.5 ± 0."
    assert choose([linear], "roc_auc")["reason"].startswith("linear is the only candidate")


def written(root: Path, *candidates: dict[str, Any]) -> None:
    for one in candidates:
        path = root / f"metrics/candidates/{one['candidate']}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(one))


STOCK = [
    told("dummy", 0.5, 0, 0),
    told("linear", 0.7, 0.01, 1),
    told("forest", 0.75, 0.01, 2),
    told("boosting", 0.8, 0.01, 3),
]


def test_the_verb_reads_the_declared_candidates_only(
    root: Root, params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """A dropped candidate's file may still lie there."""
    where = root(params)
    written(where, *STOCK, told("dropped", 0.99, 0.0, 0))
    assert main(["select"]) == 0
    selected = json.loads((where / "metrics/selected.json").read_text())
    assert list(selected) == ["candidate", "reason", "metric", "mean", "se", "model", "ranking"]
    assert selected["candidate"] == "boosting"
    assert "dropped" not in [one["candidate"] for one in selected["ranking"]]
    assert capsys.readouterr().out.strip() == selected["reason"]


def test_a_missing_candidate_is_named(root: Root, params: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    where = root(params)
    written(where, *STOCK[:2], STOCK[3])
    assert main(["select"]) == 2
    assert "metrics/candidates/forest.json: not there; run `dvc repro train@forest` first" in capsys.readouterr().err
    assert not (where / "metrics/selected.json").exists()


@pytest.mark.parametrize("cv", [{}, {"log_loss": {"mean": 1.0}}, {"roc_auc": {"mean": None, "se": 0.0}}])
def test_a_candidate_without_the_metric_is_named(
    cv: dict[str, Any], root: Root, params: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    where = root(params)
    written(where, *STOCK[1:], {**STOCK[0], "cv": cv})
    assert main(["select"]) == 2
    message = "metrics/candidates/dummy.json: has no cross-validated roc_auc; run `dvc repro train@dummy`"
    assert message in capsys.readouterr().err
