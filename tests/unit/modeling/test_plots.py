"""The plots: the same files for every task, the same bytes twice, and nothing that a name can break."""

from __future__ import annotations

import csv
import shutil
import subprocess
import sys
import warnings
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml

from gitloop.modeling import plots
from gitloop.modeling.diagnosis import calibration
from gitloop.modeling.intervals import Scored

HOSTILE = ("$x_{1", "<img src=x onerror=alert(1)>", "a" * 80, "naïve \u202e & co")
NAMES = {f"{stem}.svg" for stem in ("curves", "errors", "calibration", "importance")} | {
    f"{stem}.csv" for stem in ("curve", "confusion", "calibration", "importance")
}


def case(task: str, rows: int = 400) -> tuple[np.ndarray, Scored]:
    generator = np.random.default_rng(0)
    if task == "binary":
        y = (generator.random(rows) < 0.3).astype(np.int8)
        return y, Scored(np.clip(generator.normal(0.3 + 0.2 * y, 0.15), 0, 1), 0.4)
    if task == "multiclass":
        codes = generator.integers(0, 4, rows)
        scores = generator.dirichlet(np.ones(4), rows) + np.eye(4)[codes]
        return np.array(HOSTILE, dtype=object)[codes], Scored(scores / scores.sum(axis=1, keepdims=True), 0.5, HOSTILE)
    y = generator.gamma(2, 10, rows)
    return y, Scored(y + generator.normal(0, 5, rows))


def draw(folder: Path, task: str, y: np.ndarray, scored: Scored) -> None:
    important = {name: {"mean": 0.1 / place, "std": 0.01} for place, name in enumerate(HOSTILE, 1)}
    evidence: dict[str, Any] = {
        "calibration": calibration(task, y, scored),
        "importance": important,
        "metric": "roc_auc",
    }
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plots.write(folder, task, y, scored, evidence)


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_task_draws_the_same_files_twice(task: str, tmp_path: Path) -> None:
    y, scored = case(task)
    for name in ("one", "two"):
        draw(tmp_path / name, task, y, scored)
    assert {path.name for path in (tmp_path / "one").iterdir()} == NAMES
    for name in NAMES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name
    for path in (tmp_path / "one").glob("*.svg"):
        root = ElementTree.parse(path).getroot()  # noqa: S314 -- just written
        assert root.tag.endswith("svg")
        assert "<img" not in path.read_text(encoding="utf-8")
        assert "fill: #ffffff" in path.read_text(encoding="utf-8")  # its own ground, on any page


def test_the_numbers_behind_the_plots(tmp_path: Path) -> None:
    y, scored = case("binary")
    draw(tmp_path, "binary", y, scored)
    curve = [(float(row["x"]), float(row["y"])) for row in table(tmp_path / "curve.csv")]
    assert curve[0][0] == 0
    assert curve[-1] == (1, 1)
    assert all(later[1] >= earlier[1] for earlier, later in pairwise(curve))
    outcomes = [(row["actual"], row["predicted"]) for row in table(tmp_path / "confusion.csv")]
    assert outcomes.count(("yes", "yes")) == int(((scored.scores >= 0.4) & (y == 1)).sum())
    assert len(outcomes) == len(y)
    assert [row["feature"] for row in table(tmp_path / "importance.csv")] == list(HOSTILE)
    assert len(table(tmp_path / "calibration.csv")) == 10


def test_many_rows_stay_small_files(tmp_path: Path) -> None:
    for task in ("binary", "regression"):
        draw(tmp_path / task, task, *case(task, 60_000))
        assert len(table(tmp_path / task / "confusion.csv")) == plots.ROWS
        assert sum(path.stat().st_size for path in (tmp_path / task).iterdir()) < 1_500_000


@pytest.mark.parametrize(
    ("task", "y", "scored"),
    [
        ("binary", np.zeros(20, dtype=np.int8), Scored(np.full(20, 0.3))),
        ("multiclass", np.array(["a"] * 20, dtype=object), Scored(np.tile([0.6, 0.4], (20, 1)), 0.5, ("a", "b"))),
        ("multiclass", np.array(["new"] * 20, dtype=object), Scored(np.tile([0.6, 0.4], (20, 1)), 0.5, ("a", "b"))),
        ("regression", np.ones(20), Scored(np.full(20, 2.0))),
    ],
)
def test_a_degenerate_slice_is_drawn_too(task: str, y: np.ndarray, scored: Scored, tmp_path: Path) -> None:
    draw(tmp_path, task, y, scored)
    assert {path.name for path in tmp_path.iterdir()} == NAMES


def test_dvc_shows_what_dvc_yaml_names(template: Path, tmp_path: Path) -> None:
    """`dvc plots show` for real: every declared plot is found and drawn, none fails."""
    draw(tmp_path / "reports/plots", "binary", *case("binary"))
    declared = yaml.safe_load((template / "dvc.yaml").read_text(encoding="utf-8"))["plots"]
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"plots": declared}, sort_keys=False))
    dvc = Path(sys.executable).with_name("dvc")
    for command in (["git", "init", "-q"], [dvc, "init", "-q"]):
        subprocess.run(command, cwd=tmp_path, check=True)
    done = subprocess.run([dvc, "plots", "show"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "failed" not in (done.stdout + done.stderr).lower()
    page = (tmp_path / "dvc_plots/index.html").read_text(encoding="utf-8")
    for title in ("Curve", "Confusion", "Calibration", "Importance"):
        assert f'<div id = "{title}">' in page
    assert page.count('<img src="static/') == len([one for one in declared if isinstance(one, str)]) == 4
    shutil.rmtree(tmp_path / "dvc_plots")
