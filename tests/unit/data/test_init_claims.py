"""What docs/own-data.md says that `gitloop init` reads, decides and loosens."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import fsspec
import numpy as np
import pandas as pd
import pytest

from gitloop.cli import main
from gitloop.data import bounds, places
from gitloop.data.decide import Table
from gitloop.data.trial import Trial

Declared = Callable[..., dict[str, Any]]


def rows(many: int = 250, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(10, 3, many).round(2)
    return pd.DataFrame({"size": size, "sold": np.where(size + random.normal(0, 3, many) > 10, "yes", "no")})


def test_a_pattern_of_files(declared: Declared, there: Path) -> None:
    for index in range(2):
        rows(seed=index).to_csv(there / f"data/source/{index}.csv", index=False)
    assert declared("data/source/*.csv")["source"]["path"] == "data/source/*.csv"
    assert "in 500 rows" in (there / "conf/data/table.yaml").read_text()


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_object_store(kind: str, declared: Declared) -> None:
    url = f"memory://bucket/table.{kind}"
    with fsspec.open(url, "wb") as file:
        frame = rows()
        file.write(frame.to_csv(index=False).encode() if kind == "csv" else frame.to_parquet(None))
    found = declared(url)
    assert found["source"]["path"] == url
    assert [*found["columns"]] == ["size", "sold"]


def test_a_google_sheet(declared: Declared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(url: str, folder: Path) -> Path:
        asked.append(url)
        rows().to_csv(folder / "download", index=False)
        return folder / "download"

    monkeypatch.setattr(places, "download", download)
    link = "https://docs.google.com/spreadsheets/d/abc/edit#gid=7"
    assert declared(link)["source"] == {"_target_": "gitloop.data.sources.GoogleSheet", "sheet": link}
    assert asked == ["https://docs.google.com/spreadsheets/d/abc/export?format=csv&gid=7"]


def test_the_only_table_of_a_database(declared: Declared, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        rows().to_sql("only one", connection, index=False)
    assert declared(tmp_path / "shop.db")["source"]["query"] == 'SELECT * FROM "only one" ORDER BY size, sold'


def test_what_is_declared_holds_of_all_rows_though_a_sample_is_looked_at(declared: Declared, tmp_path: Path) -> None:
    frame = rows(25_000)
    frame["grade"] = np.where(frame["size"] > 10, "high", "low")
    frame.loc[[7, 12_000, 24_000], "size"] = [-5000, np.nan, 90_000]
    frame.loc[[3, 9, 24_999], "grade"] = "seldom"
    frame.to_csv(tmp_path / "table.csv", index=False)
    columns = declared(tmp_path / "table.csv")["columns"]
    low, high = columns["size"]["range"]
    assert low <= -5000
    assert high >= 90_000
    assert columns["size"]["nullable"] is True
    assert columns["grade"]["categories"] == ["high", "low", "seldom"]


def test_what_is_nearly_empty_and_what_tells_much(
    declared: Declared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = rows(400)
    random = np.random.default_rng(1)
    told = (frame["sold"] == "yes").astype(int)
    frame = frame.assign(
        sparse=np.where(random.random(400) < 0.97, np.nan, frame["size"] * random.random(400)),
        telling=(told * 4 + random.normal(0, 1, 400)).round(3),
        late=(told * 9 + random.normal(0, 1, 400)).round(3),
    )
    frame.to_csv(tmp_path / "table.csv", index=False)
    columns = declared(tmp_path / "table.csv")["columns"]
    assert {name: keys.get("role", "feature") for name, keys in columns.items()} == {
        "size": "feature",
        "sold": "target",
        "sparse": "ignored",
        "telling": "feature",
        "late": "ignored",
    }
    written = Path("conf/data/table.yaml").read_text()
    assert "% of it is missing" in written
    assert "; alone it goes 9" in written
    assert "unsure: telling: very telling alone; is it known before the outcome?" in capsys.readouterr().out
    few = frame.drop(columns="sparse").head(180).assign(again=frame["sold"].map({"yes": "J", "no": "N"}))
    few.to_csv(tmp_path / "table.csv", index=False)
    columns = declared(tmp_path / "table.csv", "sold", "--force")["columns"]
    assert "role" not in columns["late"]  # of so few rows it cannot be told
    assert columns["again"]["role"] == "ignored"


def test_dates_and_words_take_part_in_the_trial(
    declared: Declared, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A target that follows from the time between two dates, or from words, is not said to be beyond learning."""
    random = np.random.default_rng(2)
    many = 600
    start = np.datetime64("2024-01-01") + np.sort(random.integers(0, 200, many)) * np.timedelta64(1, "D")
    days = random.integers(1, 15, many)
    frame = pd.DataFrame({"start": start, "end": start + days * np.timedelta64(1, "D")}).astype(str)
    frame["sold"] = np.where(days + random.normal(0, 2, many) > 7, "yes", "no")
    frame.to_csv(tmp_path / "dates.csv", index=False)
    declared(tmp_path / "dates.csv")
    happy = random.random(many) < 0.5
    fill = ["the", "box", "came", "today", "from", "a", "shop", "and", "then", "again"]
    texts = [
        " ".join(random.permutation([*fill, "kind" if one else "rude", f"w{index}"])) for index, one in enumerate(happy)
    ]
    pd.DataFrame({"text": texts, "price": random.normal(9, 1, many).round(2), "sold": happy}).to_csv(
        tmp_path / "words.csv", index=False
    )
    assert declared(tmp_path / "words.csv", "sold", "--force")["columns"]["text"]["type"] == "text"
    shown = capsys.readouterr().out
    assert "whether sold can be learned" not in shown
    assert "floor" not in shown


STOCK = {"floor": {"roc_auc": 0.65}, "baseline": 0.1, "calibration": 0.1, "gap": 0.2, "leakage": 0.9}


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        ({}, {}),
        ({"skill": 0.4}, {"floor": None}),
        ({"skill": 0.15}, {"floor": None, "baseline": 0.05}),
        ({"metric": "average_precision"}, {"floor": None}),
        ({"rows": 500}, {"calibration": 0.1 + 1.26 / math.sqrt(100)}),
        ({"gap": 0.3}, {"gap": 0.3 * 1.3 + 0.05}),
        ({"gap": 0.8}, {"gap": None}),
        ({"alone": 0.85}, {"leakage": 0.95}),
        ({"alone": 0.95}, {"leakage": None}),
    ],
)
def test_gates_are_loosened_for_a_reason(case: dict[str, Any], expected: dict[str, float | None]) -> None:
    outcome = SimpleNamespace(metric=case.get("metric", "roc_auc"))
    table = SimpleNamespace(outcome=outcome, rows=case.get("rows", 1_000_000), features=["size"])
    tried = Trial({"size": case.get("alone", 0.1)}, [], {}, case.get("skill", 0.8), case.get("gap", 0.1))
    moved = bounds.bounds(cast(Table, table), tried, STOCK)
    found = {one.gate: one.value for one in moved}
    assert found.keys() == expected.keys()
    for gate, value in expected.items():
        assert found[gate] == (None if value is None else pytest.approx(value, abs=0.011))
    assert all(one.why for one in moved)
    assert bounds.bounds(cast(Table, table), tried, dict.fromkeys(STOCK)) == []


def test_nothing_is_read_outside_of_a_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "nowhere.csv", "--target", "sold"]) == 2
    assert "conf/config.yaml: not there; run gitloop in the root of the repository" in capsys.readouterr().err
