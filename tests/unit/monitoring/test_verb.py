"""`gitloop monitor` and `gitloop decide` on a service's own log in which something is wrong: each says what it is."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import customers
import numpy as np
import pyarrow as pa
import pytest

from gitloop import layout, settings
from gitloop.cli import main
from gitloop.monitoring import findings
from gitloop.serving.journal import Journal

WINDOW = ["--since", "2026-11-02", "--until", "2026-11-09"]
ROWS = 1000
MODEL = ("drift", "prediction drift", "target drift", "calibration", "slice", "fairness")  # of so small a model
Line = dict[str, Any]
Change = Callable[[list[Line], list[Line]], None]


@pytest.fixture(scope="module")
def site(stock: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A packaged model, and what it answered in a week."""
    folder = tmp_path_factory.mktemp("watched")
    customers.make(folder, customers.values_of("binary", stock), "linear", customers.table("binary", 1400))
    with customers.inside(folder):
        assert main(["package"]) == 0
        customers.answer(customers.table("binary", ROWS), folder=Path("answered"))
    return folder


@pytest.fixture
def there(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("model", "params.yaml", "answered"):
        (tmp_path / name).symlink_to(site / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lines(name: str) -> list[Line]:
    text = "".join(path.read_text() for path in sorted(Path("answered").glob(f"{name}-*")))
    return [json.loads(line) for line in text.splitlines()]


def kept(name: str, of: list[Line]) -> None:
    """Write lines as the service does, each in its hour."""
    log = settings.load().serving.log
    assert log is not None
    clock = [datetime.fromisoformat(of[0]["time"])]
    journal = Journal(log, now=lambda: clock[0])
    for _, hour in groupby(of, key=lambda one: one["time"][:13]):
        several = list(hour)
        clock[0] = datetime.fromisoformat(several[0]["time"])
        assert journal.write(name, several) == len(several)
    journal.close()


def each(change: Callable[[Line], object]) -> Change:
    def of(predictions: list[Line], _: list[Line]) -> None:
        for one in predictions:
            change(one["inputs"])

    return of


def an_hour_fast(predictions: list[Line], told: list[Line]) -> None:
    """Truth comes a minute after the prediction: by that clock, 59 minutes before."""
    for one, truth in zip(predictions, told, strict=True):
        truth["time"] = (datetime.fromisoformat(one["time"]) + timedelta(minutes=1)).isoformat()
        one["time"] = (datetime.fromisoformat(one["time"]) + timedelta(hours=1)).isoformat()
    while predictions[-1]["time"] >= WINDOW[3]:
        predictions.pop()
        told.pop()


def twice(predictions: list[Line], _: list[Line]) -> None:
    predictions += copy.deepcopy(predictions[:200])


def of_nobody(_: list[Line], told: list[Line]) -> None:
    told += [{**one, "id": f"{number:032x}"} for number, one in enumerate(told[:200])]


def contradicting(_: list[Line], told: list[Line]) -> None:
    other = {"stays": "leaves", "leaves": "stays"}
    told += [{**one, "truth": other[one["truth"]]} for one in told[:30]]


def another_version(predictions: list[Line], _: list[Line]) -> None:
    for one in predictions[::2]:
        one["version"] = "v9.9.9"


CASES: list[tuple[Change, str, str | None, str]] = [
    (each(lambda row: row.update(balance=None)), "empty", "balance", "balance: all 1,000 values are missing"),
    (each(lambda row: row.pop("balance")), "gone", "balance", "balance: the column is gone: no line of 1,000 holds it"),
    (each(lambda row: row.update(balance=str(row["balance"]))), "type", "balance", "numeric values are sent as text"),
    (each(lambda row: row.update(balance="much")), "type", "balance", "balance: no value can be read as numeric"),
    (an_hour_fast, "clock", None, "were told before their prediction was made, by 0.983 hours in the median"),
    (twice, "repeated", None, "200 of 1,200 (16.67%) lines repeat the id of another"),
    (of_nobody, "unknown", None, "200 of 1,171 (17.08%) truths were told of ids never predicted"),
    (contradicting, "contradicted", None, "30 of 1,000 (3.00%) predictions have more than one truth"),
    (another_version, "reference", None, "v9.9.9: what it was trained on is not here; run `gitloop fetch v9.9.9`"),
]
NAMES = ["null", "gone", "text", "words", "clock", "twice", "nobody", "contradicted", "versions"]


@pytest.mark.parametrize(("change", "kind", "column", "words"), CASES, ids=NAMES)
def test_what_is_wrong_is_found_and_asks_for_a_look(
    change: Change, kind: str, column: str | None, words: str, there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    predictions, told = lines("predictions"), lines("feedback")
    change(predictions, told)
    kept("predictions", sorted(predictions, key=lambda one: str(one["time"])))
    kept("feedback", sorted(told, key=lambda one: str(one["time"])))
    assert main(["--debug", "monitor", *WINDOW]) == 0
    (result,) = findings.history()
    found = [one for one in result.findings if one.kind not in MODEL]
    assert [(one.kind, one.column) for one in found] == [(kind, column)]
    assert words in found[0].words
    pages = sorted(path.name for path in (layout.MONITORING / "2026-11-09T0000").glob("*.html"))
    assert len(pages) == 1
    assert main(["--debug", "decide"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("alert: ")


def test_nothing_is_wrong(there: Path) -> None:
    kept("predictions", lines("predictions"))
    kept("feedback", lines("feedback"))
    assert main(["--debug", "monitor", *WINDOW]) == 0
    (result,) = findings.history()
    assert [one for one in result.findings if one.kind not in MODEL] == []


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_classes_and_numbers_from_a_quiet_week_to_a_retirement(
    task: str,
    stock: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def change(values: dict[str, Any]) -> None:
        values["monitoring"]["policy"] = {"windows": 1, "needed": 1, "retire": 1, "cooling_days": 0}

    rows = customers.table(task, 2000)
    customers.make(tmp_path, customers.values_of(task, stock, change=change), "linear", rows)
    monkeypatch.chdir(tmp_path)
    assert main(["package"]) == 0

    def week(answered: pa.Table) -> tuple[str, dict[str, str]]:
        """What is decided, and what was found."""
        shutil.rmtree("predictions", ignore_errors=True)
        shutil.rmtree("reports", ignore_errors=True)
        customers.answer(answered)
        assert main(["--debug", "monitor", *WINDOW]) == 0
        assert main(["--debug", "decide"]) == 0
        (result,) = findings.history()
        said = capsys.readouterr().out.splitlines()[-1]
        return said.partition(":")[0], {f"{one.kind} {one.column or ''}".strip(): one.words for one in result.findings}

    decision, found = week(rows.slice(1000))
    assert (decision, found) == ("nothing", {})
    richer = pa.array(rows.column("balance").to_numpy() + 500)
    decision, found = week(rows.set_column(rows.column_names.index("balance"), "balance", richer))
    assert decision == "retrain"
    assert "drift balance" in found
    assert "balance: drifted by " in found["drift balance"]
    mixed = rows.column("outcome").take(pa.array(np.random.default_rng(0).permutation(rows.num_rows)))
    decision, found = week(rows.set_column(rows.column_names.index("outcome"), "outcome", mixed))
    assert decision == "retire"
    metric, side, floor = {
        "multiclass": ("log_loss", "above", "roc_auc is 0."),
        "regression": ("r2", "below", "r2 is -0."),
    }[task]
    assert found["performance"].startswith(f"{metric} is ")
    assert f" {side} the " in found["performance"]
    assert found["floor"].startswith(floor)
