"""`gitloop profile`: the page that a person looks at."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gitloop import layout
from gitloop.cli import main
from gitloop.data import profile
from gitloop.settings import load

Columns = dict[str, dict[str, Any]]
Make = Callable[..., Path]

ODD: Columns = {
    "id": {"type": "numeric", "role": "key"},
    "mail": {"type": "text", "role": "pii", "nullable": True},
    "none": {"type": "numeric", "role": "sensitive", "nullable": True},
    "nothing": {"type": "categorical", "role": "sensitive", "nullable": True},
    "late_null": {"type": "boolean", "role": "sensitive", "nullable": True},
    "constant": {"type": "numeric"},
    "same": {"type": "categorical"},
    "<b>bold</b>": {"type": "numeric", "nullable": True},
    "many": {"type": "categorical"},
    "note": {"type": "text", "nullable": True},
    "when": {"type": "datetime", "nullable": True},
    "open": {"type": "boolean", "nullable": True},
    "y": {"type": "categorical", "role": "target"},
}


def odd(rows: range, test: bool) -> pa.Table:
    """What has killed a page: columns without values, with one value, with nulls of every type, with a value a row."""
    return pa.table(
        {
            "id": [float(row) for row in rows],
            "mail": [f"canary{row}@example.org" for row in rows],  # split would not have let it pass
            "none": pa.nulls(len(rows), pa.float64()),
            "nothing": pa.nulls(len(rows), pa.string()),
            "late_null": pa.array([None if test else True] * len(rows), pa.bool_()),
            "constant": [1.0] * len(rows),
            "same": ["k"] * len(rows),
            "<b>bold</b>": [math.sin(row) if row % 5 else None for row in rows],
            "many": [f"v{row}" for row in rows],
            "note": [f"something is wrong with number {row}" if row % 3 else None for row in rows],
            "when": pa.array(
                [datetime(2013, 1, 1) + timedelta(hours=row) if row % 7 else None for row in rows], pa.timestamp("us")
            ),
            "open": [row % 2 == 0 if row % 3 else None for row in rows],
            "y": ["abc"[row % 3] for row in rows],
        }
    )


@pytest.fixture
def odd_repository(repository: Make) -> Path:
    where = repository(ODD, odd(range(300), test=False), "data/train.parquet", task="multiclass")
    pq.write_table(odd(range(300, 400), test=True), where / layout.TEST)
    return where


def test_the_page_stands_alone_and_says_what_it_shows(odd_repository: Path, capsys: Any) -> None:
    assert main(["profile"]) == 0
    said = "reports/profile.html: 300 rows to train on (reference) and 100 to test on (current)."
    assert capsys.readouterr().out.strip() == said
    html = layout.PROFILE.read_text()
    assert "<title>small: the data</title>" in html
    assert "Not shown, as a slice has no value of them: none, nothing, late_null." in html
    assert "Personal and ignored columns are left out." in html
    assert "canary" not in html
    for name in ("constant", "same", "many", "open", "y"):
        assert f'"{name}"' in html
    assert "<b>bold</b>" not in html.split("<script", 1)[0]
    loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)\s*=\s*[\"']?([^\"'> ]+)", html)
    assert [one for one in loaded if not one.startswith("data:")] == []
    styles = "".join(re.findall(r"<style>(.*?)</style>", html, re.DOTALL))
    assert styles
    assert not re.search(r"@import|url\(\s*[\"']?https?:", styles)


def test_the_same_data_give_the_same_bytes(odd_repository: Path) -> None:
    assert main(["profile"]) == 0
    first = layout.PROFILE.read_bytes()
    assert main(["profile"]) == 0
    assert layout.PROFILE.read_bytes() == first


def test_large_slices_are_drawn_from(
    odd_repository: Path, monkeypatch: pytest.MonkeyPatch, params: dict[str, Any], capsys: Any
) -> None:
    data = load().data
    drawn = profile.sample(layout.TRAIN, data, 50)
    assert len(drawn) == 50
    assert "mail" not in drawn
    assert list(drawn["id"]) == sorted(drawn["id"])
    assert drawn["id"].max() > 250
    assert drawn.equals(profile.sample(layout.TRAIN, data, 50))
    assert len(profile.sample(layout.TRAIN, data, 1000)) == 300
    monkeypatch.setattr(profile, "ROWS", 150)
    assert main(["profile"]) == 0
    assert "100 to test on (current); shown: at most 150 of each, drawn at random." in capsys.readouterr().out


def test_a_wide_table_is_shown_in_part(
    odd_repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = load().data
    named = profile.first(list(data.kept), data)
    assert {*named} == {*data.kept}
    monkeypatch.setattr(profile, "COLUMNS", 5)
    kept = profile.first(list(data.kept), data)
    assert len(kept) == 5
    assert data.target in kept
    assert main(["profile"]) == 0
    assert "features more are not shown." in capsys.readouterr().out + layout.PROFILE.read_text()


def test_names_and_bytes_that_look_like_random_ones_are_numbered() -> None:
    first, second = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679742540deb944e07fc1f90ae7"
    page = f"<div id='{first}'></div><div id='{second}'></div><a href='#{first}'></a>"
    assert profile.stable(page) == profile.stable(page.replace("0f8f", "aaaa").replace("7c9e", "bbbb"))
    assert profile.stable(page).count(f"{1:032x}") == 2


def test_nothing_to_describe(odd_repository: Path, capsys: Any) -> None:
    layout.TEST.unlink()
    assert main(["profile"]) == 2
    assert "data/test.parquet: not there; run `gitloop split` first" in capsys.readouterr().err
