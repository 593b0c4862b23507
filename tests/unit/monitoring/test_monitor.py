"""`gitloop monitor` in a project: a model that was packaged, its predictions, its page and its result."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import customers
import pyarrow as pa
import pytest
import windows

from gitloop.cli import main
from gitloop.errors import InputError
from gitloop.monitoring import findings, page, references
from gitloop.monitoring.findings import Distance
from gitloop.monitoring.monitor import monitor, window
from gitloop.monitoring.references import Reference
from gitloop.serving import runtime
from gitloop.settings import Settings

NOW = datetime(2026, 11, 9, 15, 30)
WINDOW = ["--since", "2026-11-02", "--until", "2026-11-09"]
ROWS = 1500


@pytest.fixture(params=["binary", "multiclass", "regression"])
def project(
    request: pytest.FixtureRequest, stock: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> str:
    def change(values: dict[str, Any]) -> None:
        values["data"]["columns"]["phone"]["role"] = "pii"

    task = str(request.param)
    rows = customers.table(task, 2000)
    customers.make(tmp_path, customers.values_of(task, stock, change=change), "linear", rows)
    monkeypatch.chdir(tmp_path)
    assert main(["package"]) == 0
    customers.answer(customers.table(task, ROWS))
    return task


def test_a_window_of_a_project(project: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["monitor", *WINDOW]) == 0
    path = Path("reports/monitoring/2026-11-09T0000.json")
    first = path.read_bytes()
    [result] = findings.history()
    [(version, part)] = result.versions.items()
    assert (result.status, result.rows, part.rows) == ("judged", ROWS, ROWS)
    assert part.truth is not None
    assert (part.truth.rows, part.truth.delay_hours) == (ROWS, 5.0)
    metric = customers.METRIC[project]
    assert part.truth.metrics[metric]["value"] is not None
    assert part.prediction is not None
    assert set(part.columns) == {"age", "income", "balance", "member", "colour", "town"}
    assert [one for one in result.findings if one.kind not in ("drift", "prediction drift", "fairness")] == []
    assert "truth has come of 1,500 of 1,500 predictions, 5 hours later in the median" in capsys.readouterr().out
    folder = Path("reports/monitoring/2026-11-09T0000")
    html, told = (folder / f"{version}.{kind}" for kind in ("html", "json"))
    pages = html.read_bytes(), told.read_bytes()
    assert f"<title>Predictions of {version}</title>".encode() in pages[0]
    assert main(["monitor", *WINDOW]) == 0
    assert (path.read_bytes(), html.read_bytes(), told.read_bytes()) == (first, *pages)
    assert main(["decide"]) == 0


def test_without_a_log_nothing_can_be_looked_at(
    params: dict[str, Any], root: Callable[[dict[str, Any]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root({**params, "serving": {**params["serving"], "log": None}})
    assert main(["monitor"]) == 2
    assert "conf/serving/: log: null keeps no predictions" in capsys.readouterr().err


def test_an_empty_log_is_no_error(
    params: dict[str, Any], root: Callable[[dict[str, Any]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root(params)
    assert main(["monitor", *WINDOW]) == 0
    assert "reports/monitoring/2026-11-09T0000.json: 0 predictions; empty; nothing found" in capsys.readouterr().out
    assert main(["decide"]) == 0
    assert "nothing: The window to 2026-11-09T00:00:00 holds 0 predictions: empty." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        (None, None, ("2026-11-02", "2026-11-09")),
        ("2026-11-01", None, ("2026-11-01", "2026-11-08")),
        (None, "2026-11-05T12:00", ("2026-10-29T12:00", "2026-11-05T12:00")),
        ("2026-11-01T00:00+09:00", "2026-11-02", ("2026-10-31T15:00", "2026-11-02")),
    ],
)
def test_the_window(since: str | None, until: str | None, expected: tuple[str, str]) -> None:
    assert window(since, until, 7, NOW) == tuple(map(datetime.fromisoformat, expected))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--since", "soon"], "--since: 'soon' is no time; write it as 2013-04-01"),
        (["--since", "2026-11-09", "--until", "2026-11-02"], "is not before --until 2026-11-02T00:00:00; move one"),
    ],
)
def test_a_wrong_window_is_refused(
    arguments: list[str],
    message: str,
    params: dict[str, Any],
    root: Callable[[dict[str, Any]], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    root(params)
    assert main(["monitor", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_evidently_is_given_what_does_not_break_it_and_says_the_same(
    loaded: Settings, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    columns = windows.some(2000, 1)
    windows.shift(columns, "n5", 0.5)
    windows.shift(columns, "colour", 0.5)
    lines = windows.records(columns)
    for row, one in enumerate(lines):
        one["inputs"].update(n3=None, n4="much", town=None if row % 100 else "T1")
        del one["inputs"]["n6"]
    windows.put(tmp_path / "predictions", "predictions", lines)
    result = monitor(loaded, windows.SINCE, windows.UNTIL, now=windows.NOW, lookup=lambda _: reference)
    part = result.versions[windows.VERSION]
    assert part.left_out == {"n3": "empty", "n4": "type", "n6": "gone", "town": "not enough data"}
    folder = tmp_path / "reports/monitoring/2026-11-09T0000"
    told = json.loads((folder / "v1.0.0.json").read_text())
    distances = {
        one["config"]["column"]: one["value"]
        for one in told["metrics"]
        if one["config"]["type"].endswith(":ValueDrift")
    }
    assert distances == pytest.approx({name: one.distance for name, one in part.columns.items()}, abs=1e-9)
    assert sorted(name for name, one in part.columns.items() if one.drifted) == ["colour", "n5"]
    html = (folder / "v1.0.0.html").read_text()
    assert "Left out: n3 (empty), n4 (type), n6 (gone), town (not enough data)." in html
    assert "n3: all 2,000 values are missing" in html


def test_a_page_of_no_column(
    loaded: Settings, reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = windows.records(windows.some(600, 1))
    for one in lines:
        one["inputs"] = {}
    windows.put(tmp_path / "predictions", "predictions", lines)
    result = monitor(loaded, windows.SINCE, windows.UNTIL, now=windows.NOW, lookup=lambda _: reference)
    assert {one.kind for one in result.findings} == {"gone"}
    assert "Left out: " in (tmp_path / "reports/monitoring/2026-11-09T0000/v1.0.0.html").read_text()


def test_of_many_columns_the_farthest_are_on_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "COLUMNS", 3)
    far = {"a": 0.1, "b": 0.01, "c": 0.3, "d": 0.02, "e": 0.2}
    distances = {name: Distance(value, 0.1, 0.5, name == "d", 500, "wasserstein") for name, value in far.items()}
    assert page.first(list(far), distances) == ["c", "d", "e"]


def test_a_draw_for_the_page_is_the_same_each_time() -> None:
    rows = pa.table({"a": list(range(1000)), "b": [1] * 1000})
    drawn = page.draw(rows, ["a"], 100, 0)
    assert drawn.equals(page.draw(rows, ["a"], 100, 0))
    assert (drawn.num_rows, drawn.column_names) == (100, ["a"])
    assert page.draw(rows, ["a"], 2000, 0).num_rows == 1000


@pytest.mark.parametrize("project", ["binary"], indirect=True)
def test_where_a_reference_is_found(project: str) -> None:
    """In model/, where it was fetched to, by its tag."""
    del project
    version = runtime.load().version
    found = references.found(version)
    assert found is not None
    assert found.rows.num_rows == 100
    assert [references.found(name) for name in ("v9.9.9", "../model", "a/b", "")] == [None] * 4
    shutil.copytree("model", "model-v9.9.9")
    again = references.found("v9.9.9")
    assert again is not None
    assert again.evaluation == found.evaluation
    for command in (
        "git init --quiet",
        "dvc init --quiet",
        "dvc add --quiet model",
        "git add .",
        "git commit --quiet -m one",
        "git tag -a model@v1.0.0 -m one",
    ):
        subprocess.run(command.split(), check=True)
    shutil.rmtree("model")
    registered = references.found("v1.0.0")
    assert registered is not None
    assert registered.rows.equals(found.rows)
    shutil.rmtree(".dvc/cache")
    assert references.found("v1.0.0") is None
    Path("model-v9.9.9/reference.parquet").write_bytes(b"other")
    with pytest.raises(InputError, match="model-v9.9.9/reference.parquet: is not the file that was packaged"):
        references.found("v9.9.9")
