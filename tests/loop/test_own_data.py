"""`gitloop init` → the pipeline → gates → package → one prediction, with no edit between, for tables of every kind."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import own
import pandas as pd
import pytest
from project import generate, run
from sklearn import datasets

from gitloop.cli import main
from gitloop.settings import load

Make = Callable[[], Path]


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo as it is generated: what it says of flights must be out of the way."""
    made = generate(tmp_path_factory.mktemp("own"))
    own.smaller(made)
    run(made, "git", "commit", "--quiet", "--all", "--message", "Smaller")
    return made


@pytest.fixture
def there(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    copy = shutil.copytree(generated, tmp_path / "project", symlinks=True)
    with own.project(copy, monkeypatch) as project:
        yield project


def declared(frame: pd.DataFrame, name: str, there: Path, target: str, *options: str) -> None:
    """`gitloop init` of a CSV that lies elsewhere."""
    path = there.parent / f"{name}.csv"
    frame.to_csv(path, index=False)
    assert main(["init", str(path), "--target", target, *options]) == 0


def test_a_regression(there: Path) -> None:
    declared(datasets.load_diabetes(as_frame=True, scaled=False).frame, "diabetes", there, "target")
    assert own.contract("diabetes")["task"] == "regression"
    assert not load().project.limits  # those of the demo
    own.pipeline()
    assert 0 < own.one_prediction() < 400
    assert own.one_window() == set()


def test_classes_named_by_text(there: Path) -> None:
    frame = datasets.load_wine(as_frame=True).frame
    names = {0: "barolo", 1: "grignolino", 2: "barbera d'Asti"}
    declared(frame.assign(wine=frame.pop("target").map(names)), "wine", there, "wine")
    own.pipeline()
    assert own.one_prediction() in names.values()
    assert own.one_window() == set()


def test_columns_that_nearly_tell_the_class(there: Path) -> None:
    declared(datasets.load_breast_cancer(as_frame=True).frame, "cancer", there, "target")
    own.pipeline()
    assert own.one_prediction() in (True, False, "true", "false")
    assert own.one_window() == set()


def test_an_imbalanced_table_without_a_time(there: Path) -> None:
    declared(own.imbalanced(), "payments", there, "fraud")
    contract = own.contract("payments")
    assert contract["metric"] == "average_precision"
    assert 0.01 <= contract["threshold"] < 0.1
    own.pipeline()
    own.one_prediction()
    assert own.one_window() == set()


def test_five_hundred_columns(there: Path) -> None:
    declared(own.wide(), "sensors", there, "broken")
    assert len(own.contract("sensors")["columns"]) == 501
    own.pipeline("candidate=[dummy, linear]")  # each column of 500 is shuffled and judged: of trees that takes a minute
    assert own.one_prediction() in ("broken", "whole")
    assert own.one_window() == set()


def test_free_text(there: Path) -> None:
    declared(own.reviews(), "reviews", there, "verdict")
    assert own.contract("reviews")["columns"]["review"]["type"] == "text"
    own.pipeline()
    assert own.one_prediction() in ("happy", "unhappy")
    assert own.one_window() == set()


def test_dates_and_keys(there: Path) -> None:
    declared(own.orders(), "orders", there, "late")
    roles = own.roles("orders")
    assert roles["order_id"] == "key"
    assert roles["ordered_at"] == "timestamp"
    assert roles["promised"] == "feature"
    assert roles["email"] == "pii"
    assert load().features.derive == "gitloop.data.calendar.derive"
    own.pipeline()
    own.one_prediction()
    assert own.one_window() == set()
    kept = load().data.kept
    assert "email" not in kept


def test_from_a_database(there: Path) -> None:
    path = there.parent / "shop.sqlite"
    with sqlite3.connect(path) as connection:
        own.imbalanced().to_sql("payments", connection, index_label="id")
        own.reviews(50).to_sql("reviews", connection)
    assert main(["init", str(path), "--target", "fraud", "--query", "payments"]) == 0
    assert own.contract("payments")["source"]["url"] == "sqlite:///data/source/shop.sqlite"
    own.pipeline()
    own.one_prediction()
    assert own.one_window() == set()


def test_by_dvc_and_committed(there: Path) -> None:
    """What a person types: `make train`. Then everything is in step, and the checks of the repository pass."""
    frame = datasets.load_wine(as_frame=True).frame
    declared(frame, "wine", there, "target", "--task", "multiclass")
    run(there, "make", "train", "OPTIONS=+preset=quick", f"VENV={Path(shutil.which('dvc') or '').parent.parent}")
    run(there, "gitloop", "params")
    run(there, "gitloop", "params", "--check")
    assert "failed" not in run(there, "pytest", "-q").stdout
