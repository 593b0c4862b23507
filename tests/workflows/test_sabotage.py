"""What must not come through: each ends red, and the comment on the pull request says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hub.hub import Hub
from project import edit, run
from repositories import git

RANDOM = "a1B2c3D4e5F6" * 3


def params(clone: Path) -> None:
    edit(clone / "params.yaml", data__threshold=0.4)


def lock(clone: Path) -> None:
    """dvc.lock of another run: what it says of the metrics is not what lies there."""
    path = clone / "dvc.lock"
    md5 = run(clone, "md5sum", "metrics/evaluation.json").stdout.split()[0]
    path.write_text(path.read_text().replace(md5, "0" * 32))


def metric(clone: Path) -> None:
    path = clone / "metrics/evaluation.json"
    content = json.loads(path.read_text())
    content["metrics"]["roc_auc"]["value"] = 0.99
    path.write_text(json.dumps(content, indent=2) + "\n")


def unpinned(clone: Path) -> None:
    path = clone / ".github/workflows/ci.yml"
    text = path.read_text()
    pinned = "actions/checkout@3d3c42e5aac5ba805825da76410c181273ba90b1 # v7.0.1"
    assert pinned in text
    path.write_text(text.replace(pinned, "actions/checkout@v7"))


def notebook(clone: Path) -> None:
    token = f"ghp_{RANDOM}"  # in parts: this file is looked at too
    cell = {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "outputs": [],
        "source": [f'token = "{token}"\n'],
    }
    (clone / "notebooks").mkdir()
    (clone / "notebooks/look.ipynb").write_text(
        json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)
    )


def worse(clone: Path) -> None:
    """A model that knows nothing, with the bar put so low that it passes."""
    for name in ("boosting", "forest", "linear"):
        (clone / f"conf/candidate/{name}.yaml").unlink()
    path = clone / "conf/config.yaml"
    path.write_text(path.read_text().replace("[boosting, dummy, forest, linear]", "[dummy]"))
    edit(clone / "conf/gates/default.yaml", floor={"roc_auc": 0.4}, baseline=None)
    run(clone, "gitloop", "params")


SABOTAGES: list[tuple[Callable[[Path], None], list[str]]] = [
    (params, ["params.yaml: is not what conf/ composes to (first difference: data.threshold)"]),
    (lock, ["metrics/evaluation.json: is not what stage evaluate wrote"]),
    (metric, ["metrics/evaluation.json: is not what stage evaluate wrote", "edited by hand"]),
    (unpinned, [".github/workflows/ci.yml:", "unpinned"]),
    (notebook, ["notebooks/look.ipynb:", "looks like a secret (GitHub Token)"]),
    (worse, ["floor.roc_auc was loosened from 0.55 to 0.4, and the model needs that", "baseline was loosened"]),
]


@pytest.mark.parametrize(("do", "why"), SABOTAGES, ids=[do.__name__ for do, _ in SABOTAGES])
def test_ends_red_with_a_comment_that_says_why(lean: Hub, do: Callable[[Path], None], why: list[str]) -> None:
    clone = lean.clone()
    git(clone, "switch", "--quiet", "--create", "sabotage")
    do(clone)
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "Sabotage")
    git(lean.origin, "branch", "sabotage", "main")
    number = lean.state.propose("sabotage")

    runs = lean.push(clone, "sabotage")
    train = runs[0]
    assert (train.workflow, train.event, train.ok) == ("train.yml", "push", False)
    assert train.jobs["train"] == "failure"
    (comment,) = lean.state.said(number)
    head = comment.partition("\n### ")[0]
    assert "\n## ❌" in head
    for word in why:
        assert word in head.replace("\\", "").replace("\u2060", "")
    assert RANDOM not in comment
    # What is refused trains nothing, and nothing comes back; the worse model is trained, and its lock is its own.
    assert [push.branch for push in lean.pushes] == (["sabotage"] if do is worse else [])
