"""A repository of two: a bare origin, the clone that a run works in, and a person's clone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from repositories import commit, git, selected, write

from gitloop import layout

FROM_ACTIONS = (
    "ACTIONS",
    "EVENT_NAME",
    "HEAD_REF",
    "REF_NAME",
    "REF_TYPE",
    "OUTPUT",
    "TOKEN",
    "SERVER_URL",
    "REPOSITORY",
)


@pytest.fixture(autouse=True)
def _outside_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in FROM_ACTIONS:
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)
    monkeypatch.delenv("GITLOOP_BASE", raising=False)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    bare = tmp_path / "origin.git"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    first = tmp_path / "first"
    git(tmp_path, "clone", "--quiet", str(bare), str(first))
    git(first, "switch", "--quiet", "--create", "main", check=False)
    lock = yaml.safe_dump({"schema": "2.0", "stages": {}})
    write(first, metrics__selected=selected(), conf__config="a: 1\n")
    (first / "dvc.lock").write_text(lock)
    (first / "params.yaml").write_text("a: 1\n")
    (first / "README.md").write_text("read me\n")
    (first / "reports").mkdir()
    (first / ".gitignore").write_text("/reports/\n")
    commit(first, "first")
    git(first, "push", "--quiet", "origin", "main")
    return bare


@pytest.fixture
def person(origin: Path, tmp_path: Path) -> Path:
    """On branch `work`, which is pushed."""
    clone = tmp_path / "person"
    git(tmp_path, "clone", "--quiet", str(origin), str(clone))
    git(clone, "switch", "--quiet", "--create", "work")
    commit(clone, "change", conf__config="a: 2\n")
    git(clone, "push", "--quiet", "origin", "work")
    return clone


@pytest.fixture
def run(origin: Path, person: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Checked out at `work`, where stages have written new metrics; the working directory."""
    clone = tmp_path / "run"
    git(tmp_path, "clone", "--quiet", "--branch", "work", str(origin), str(clone))
    (clone / "dvc.lock").write_text("schema: '2.0'\nstages: {train: {}}\n")
    write(clone, metrics__selected=selected("boosting"), metrics__evaluation="{}")
    (clone / "reports").mkdir()
    (clone / "reports/run.json").write_text('{"ran": ["train@boosting", "select"]}')
    monkeypatch.chdir(clone)
    return clone


@pytest.fixture
def repository(tmp_path: Path, stock: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """On main, pushed to a bare origin; the function commits a change of parameters, of the model or of a file."""
    bare, clone = tmp_path / "origin.git", tmp_path / "clone"
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    git(tmp_path, "clone", "--quiet", str(bare), str(clone))
    git(clone, "switch", "--quiet", "--create", "main", check=False)
    monkeypatch.chdir(clone)
    stock = json.loads(json.dumps(stock))
    stock["project"] |= {"owner": "Team", "description": "Late flights.", "limits": "None known."}
    number = 0

    def commit(model: bool = True, file: str | None = None, **changes: Any) -> str:
        nonlocal number
        number += 1
        for place, value in changes.items():
            *path, last = place.split("__")
            branch = stock
            for part in path:
                branch = branch[part]
            branch[last] = value
        layout.PARAMS.write_text(yaml.safe_dump(stock))
        layout.EVALUATION.parent.mkdir(exist_ok=True)
        if model or number == 1:
            model = {"path": "models/linear.skops", "sha256": str(number)}
            selected = {"candidate": "linear", "model": model}
            layout.SELECTED.write_text(json.dumps(selected))
            evaluation = {
                "metric": "roc_auc",
                "candidate": "linear",
                "rows": 100,
                "metrics": {"roc_auc": {"value": 0.7 + number / 1000, "low": None, "high": None}},
                "baseline": {"roc_auc": 0.5},
                "train": {"roc_auc": 0.8},
            }
            layout.EVALUATION.write_text(json.dumps(evaluation))
        if file:
            Path(file).parent.mkdir(parents=True, exist_ok=True)
            Path(file).write_text(str(number))
        git(clone, "add", "--all")
        git(clone, "commit", "--quiet", "--allow-empty", "--message", f"change {number}")
        git(clone, "push", "--quiet", "origin", "main")
        return git(clone, "rev-parse", "HEAD")

    commit()
    return commit
