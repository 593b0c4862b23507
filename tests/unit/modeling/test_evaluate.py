"""`gitloop evaluate`: what it writes for each task, what it leaves out, what it refuses, and that it repeats itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.metrics import log_loss, r2_score, roc_auc_score

from gitloop import layout
from gitloop.cli import main
from gitloop.settings import METRICS, Settings

Study = Callable[..., Settings]
TASKS = tuple(METRICS)
CHANCE = {"roc_auc": 0.5, "r2": 0.0}


def evaluated() -> dict[str, Any]:
    assert main(["evaluate"]) == 0
    found: dict[str, Any] = json.loads(layout.EVALUATION.read_text())
    return found


@pytest.mark.parametrize("task", TASKS)
def test_the_evidence_for_each_task(task: str, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = study(task)
    found = evaluated()
    rows = pq.read_metadata(layout.TEST).num_rows
    assert list(found) == [
        *("candidate", "rows", "metric", "metrics", "baseline", "train", "slices", "fairness"),
        *(["classes"] if task == "multiclass" else []),
        *("calibration", "importance", "leakage"),
    ]
    assert (found["candidate"], found["rows"], found["metric"]) == ("linear", rows, loaded.data.metric)
    for name in METRICS[task]:
        one = found["metrics"][name]
        assert one["low"] <= one["value"] <= one["high"], name
        assert set(found["baseline"]) == set(found["train"]) == set(METRICS[task])
    ranking = METRICS[task][0]
    assert found["baseline"][ranking] == pytest.approx(CHANCE[ranking], abs=0.05)
    assert found["metrics"][ranking]["value"] > found["baseline"][ranking] + 0.1
    assert list(found["slices"]) == list(loaded.data.slices)
    assert sum(one["rows"] for one in found["slices"]["ward"].values()) == rows
    assert set(found["fairness"]["ward"]["groups"]) == {"north", "south", "west"}
    assert sum(one["rows"] for one in found["calibration"]["bins"]) == rows
    assert 0 <= found["calibration"]["error"] < 0.3
    features = set(loaded.data.features)
    assert set(found["importance"]) == {*features, "at"}
    assert found["importance"]["at"] == {"mean": 0, "std": 0}  # nothing is derived from it
    assert set(found["leakage"]) == features
    shown = capsys.readouterr().out
    assert f"linear on {rows} test rows" in shown
    assert all(name in shown for name in METRICS[task])


@pytest.mark.parametrize("task", TASKS)
def test_predictions_are_those_that_were_judged(task: str, study: Study) -> None:
    study(task)
    found = evaluated()
    table = pq.read_table(layout.PREDICTIONS)
    outcome = table.column("outcome").to_numpy(zero_copy_only=False)
    if task == "binary":
        scores = table.column("predicted_score").to_numpy()
        assert roc_auc_score(outcome == "malignant", scores) == pytest.approx(found["metrics"]["roc_auc"]["value"])
        called = ["malignant" if score >= 0.4 else "benign" for score in scores]  # data.threshold
        assert table.column("predicted").to_pylist() == called
        assert table.column_names == ["id", "at", "ward", "outcome", "predicted", "predicted_score"]
    elif task == "multiclass":
        names = [name for name in table.column_names if name.startswith("predicted_score_")]
        assert names == [f"predicted_score_class_{index}" for index in range(3)]
        scores = np.stack([table.column(name).to_numpy() for name in names], axis=1)
        assert log_loss(outcome, scores) == pytest.approx(found["metrics"]["log_loss"]["value"], rel=1e-5)
        assert set(table.column("predicted").to_pylist()) == {"class_0", "class_1", "class_2"}
    else:
        values = table.column("predicted").to_numpy()
        assert r2_score(outcome, values) == pytest.approx(found["metrics"]["r2"]["value"], rel=1e-5)
        assert table.column_names == ["id", "at", "ward", "outcome", "predicted"]


def test_a_column_called_predicted_is_not_overwritten(
    study: Study, rows_of: Callable[[str], pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    rows = rows_of("regression")

    def renamed(values: dict[str, Any]) -> None:
        values["data"]["columns"]["predicted"] = values["data"]["columns"].pop("id")

    study("regression", renamed, rows.rename_columns(["predicted", *rows.column_names[1:]]))
    assert main(["evaluate"]) == 2
    assert "data/predictions.parquet: predicted: is a column of the contract too" in capsys.readouterr().err


def test_a_boolean_target_is_predicted_as_one(study: Study, rows_of: Callable[[str], pa.Table]) -> None:
    rows = rows_of("binary")
    ill = pc.equal(rows.column("outcome"), "malignant")

    def boolean(values: dict[str, Any]) -> None:
        values["data"]["columns"]["outcome"] = {"type": "boolean", "role": "target"}

    study("binary", boolean, rows.set_column(rows.column_names.index("outcome"), "outcome", ill))
    assert evaluated()["metrics"]["roc_auc"]["value"] > 0.9
    assert set(pq.read_table(layout.PREDICTIONS).column("predicted").to_pylist()) == {True, False}


def test_twice_is_the_same_bytes(study: Study) -> None:
    study("binary")

    def written() -> dict[str, str]:
        evaluated()
        paths = [layout.EVALUATION, layout.PREDICTIONS, *sorted(layout.PLOTS.iterdir())]
        return {path.as_posix(): sha256(path.read_bytes()).hexdigest() for path in paths}

    first = written()
    assert len(first) == 10
    assert written() == first


def test_personal_data_does_not_reach_any_output(study: Study) -> None:
    """A pii column is not in the tables of the test slice; were it there, it would not go on."""

    def personal(values: dict[str, Any]) -> None:
        values["data"]["columns"]["id"] |= {"type": "categorical", "role": ["key", "pii"], "pii": "hash"}
        values["data"]["columns"]["ward"]["role"] = ["sensitive", "pii"]
        values["data"]["slices"] = []

    study("binary", personal)
    found = evaluated()
    assert found["fairness"] == {}
    assert pq.read_schema(layout.PREDICTIONS).names == ["at", "outcome", "predicted", "predicted_score"]
    assert "north" not in layout.EVALUATION.read_text()


@pytest.mark.parametrize("task", TASKS)
def test_a_column_that_decides_the_target_stands_out(
    task: str, study: Study, rows_of: Callable[[str], pa.Table]
) -> None:
    """A number or a word that gives the target away does; a name that is merely unique does not."""
    rows = rows_of(task)
    outcome = rows.column("outcome").to_numpy(zero_copy_only=False)
    words = np.where(outcome > np.median(outcome), "high", "low") if task == "regression" else outcome
    number = outcome if task == "regression" else np.unique(outcome, return_inverse=True)[1].astype(float)
    for name, values in (("number", number), ("word", words), ("serial", [f"no {i}" for i in range(len(outcome))])):
        rows = rows.append_column(name, pa.array(values))

    def declared(values: dict[str, Any]) -> None:
        values["data"]["columns"] |= {"number": {"type": "numeric"}, "word": {"type": "categorical"}}
        values["data"]["columns"] |= {"serial": {"type": "categorical"}}

    study(task, declared, rows)
    leakage = evaluated()["leakage"]
    assert leakage["number"] > 0.95
    assert leakage["word"] > (0.5 if task == "regression" else 0.95)
    assert leakage["serial"] < 0.1


@pytest.mark.parametrize(
    ("spoil", "code", "said"),
    [
        (layout.SELECTED.unlink, 2, "metrics/selected.json: not there; run `gitloop select` first"),
        (Path("models/linear.skops").unlink, 2, "models/linear.skops"),
        (lambda: Path("models/linear.skops").write_bytes(b"x"), 2, "its sha256 differs"),
        (layout.TEST.unlink, 2, "data/test.parquet: not there; run `gitloop split` first"),
        (
            lambda: pq.write_table(pq.read_table(layout.TEST).slice(0, 0), layout.TEST),
            2,
            "data/test.parquet: has no rows",
        ),
    ],
)
def test_what_is_missing_or_changed_is_said(
    spoil: Callable[[], object], code: int, said: str, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    study("regression")
    spoil()
    assert main(["evaluate"]) == code
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1
    assert not layout.EVALUATION.exists()
    if "models" in said:
        assert "dvc pull models/linear.skops" in error
        assert "dvc repro train@linear" in error


def test_a_model_of_other_columns_is_refused(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    dropped = study("binary").data.features[0]
    values = yaml.safe_load(layout.PARAMS.read_text())
    values["data"]["columns"][dropped]["role"] = "ignored"
    values["data"]["slices"] = []
    layout.PARAMS.write_text(yaml.safe_dump(values))
    assert main(["evaluate"]) == 2
    assert f"models/linear.skops: needs {dropped}, which the contract" in capsys.readouterr().err
