"""`gitloop package`: what model/ holds, the same bytes each time, there whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gitloop import layout, settings
from gitloop.cli import main
from gitloop.data.table import arrays, read
from gitloop.errors import InputError
from gitloop.files import whole_folder
from gitloop.modeling import chosen
from gitloop.serving import runtime

Project = Callable[..., Path]
FILES = {
    "card.md",
    "expected.json",
    "lineage.json",
    "manifest.json",
    "metrics.json",
    "model.onnx",
    "reference.parquet",
    "signature.json",
}


def content(folder: Path = layout.MODEL) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_package_holds_the_model_and_what_is_known_of_it(project: Project) -> None:
    project()
    assert set(content()) == FILES
    manifest = json.loads((layout.MODEL / "manifest.json").read_text())
    assert set(manifest["files"]) == FILES - {"manifest.json"}
    assert (layout.MODEL / "reference.parquet").read_bytes() == layout.REFERENCE.read_bytes()
    assert json.loads((layout.MODEL / "metrics.json").read_text()) == json.loads(layout.EVALUATION.read_text())
    lineage = json.loads((layout.MODEL / "lineage.json").read_text())
    assert lineage["pipeline"]["sha256"] == hashlib.sha256(Path("models/linear.skops").read_bytes()).hexdigest()
    assert lineage["data"]["sha256"] == "ab" * 32
    assert (lineage["data"]["train"], lineage["data"]["test"]) == (630, 270)
    assert lineage["format"] == "onnx"
    assert lineage["why"].startswith("Compiled to ONNX: on 270 test rows and 1,")
    assert lineage["libraries"]["scikit-learn"]


@pytest.mark.parametrize(("task", "name"), [("binary", "linear"), ("multiclass", "forest"), ("binary", "dummy")])
def test_the_same_model_is_the_same_bytes(task: str, name: str, project: Project) -> None:
    """In another process, with other hashes, over what was there."""
    project(task, name)
    before, card = content(), layout.CARD.read_bytes()
    (layout.MODEL / "left").write_text("from another time")
    subprocess.run([sys.executable, "-m", "gitloop", "package"], env={**os.environ, "PYTHONHASHSEED": "7"}, check=True)
    assert content() == before
    assert layout.CARD.read_bytes() == card


def test_ten_rows_are_expected_from_the_lowest_score_to_the_highest(project: Project) -> None:
    project()
    expected = json.loads((layout.MODEL / "expected.json").read_text())
    assert len(expected["rows"]) == len(expected["scores"]) == len(expected["labels"]) == 10
    assert expected["scores"] == sorted(expected["scores"])
    assert set(expected["labels"]) == {"stays", "leaves"}
    assert set(expected["rows"][0]) == {"age", "income", "balance", "member", "colour", "town"}
    loaded = settings.load()
    columns = arrays(read(layout.TEST, "gitloop split"), loaded.data.columns, expected["rows"][0])
    scores = chosen.score(chosen.model(loaded), columns).scores
    assert expected["scores"][0] == scores.min()
    assert expected["scores"][-1] == scores.max()


def test_what_cannot_be_compiled_is_served_by_scikit_learn(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project("binary", "dummy")
    assert set(content()) == FILES - {"model.onnx"} | {"model.skops"}
    assert (layout.MODEL / "model.skops").read_bytes() == Path("models/dummy.skops").read_bytes()
    lineage = json.loads((layout.MODEL / "lineage.json").read_text())
    assert lineage["format"] == "skops"
    assert lineage["why"].startswith("Served by scikit-learn: it cannot be compiled to ONNX (Unable to find a shape ")
    assert main(["package"]) == 0
    assert lineage["why"] in capsys.readouterr().out
    loaded, served = settings.load(), runtime.load()
    columns = arrays(read(layout.TEST, "gitloop split"), loaded.data.columns, served.signature.inputs)
    np.testing.assert_array_equal(served.scores(columns), chosen.score(chosen.model(loaded), columns).scores)


def test_personal_data_is_nowhere_in_it(project: Project) -> None:
    project()
    signature = json.loads((layout.MODEL / "signature.json").read_text())
    assert "phone" in settings.load().data.columns
    assert "phone" not in signature["contract"]["columns"]
    assert not [name for name, text in content().items() if b"phone" in text]
    assert "phone" not in layout.CARD.read_text()


def test_personal_data_in_the_reference_sample_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    before = content()
    reference = pq.read_table(layout.REFERENCE)
    reference = reference.append_column("phone", pa.array(["+34 600 000 000"] * reference.num_rows))
    pq.write_table(reference, layout.REFERENCE)
    assert main(["package"]) == 2
    told = capsys.readouterr().err
    assert told == (
        "gitloop package: data/reference.parquet: phone: personal data or an ignored column is never packaged; "
        "run `dvc repro split`\n"
    )
    assert content() == before


@pytest.mark.parametrize(
    ("gone", "told"),
    [
        (layout.EVALUATION, "metrics/evaluation.json: not there; run `gitloop evaluate` first"),
        (layout.SELECTED, "metrics/selected.json: not there; run `gitloop select` first"),
        (layout.TEST, "data/test.parquet: not there; run `gitloop split` first, or `dvc pull data/test.parquet`"),
        (layout.REFERENCE, "data/reference.parquet: not there; run `gitloop split` first"),
        (layout.SPLIT, "metrics/split.json: not there; run `dvc repro` first"),
    ],
)
def test_what_is_missing_is_named(gone: Path, told: str, project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    gone.unlink()
    shutil.rmtree(layout.MODEL)
    assert main(["package"]) == 2
    assert capsys.readouterr().err.startswith(f"gitloop package: {told}")
    assert not layout.MODEL.exists()
    assert not list(Path().glob(".model*"))


def test_no_test_rows_are_said(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    pq.write_table(pq.read_table(layout.TEST).slice(0, 0), layout.TEST)
    assert main(["package"]) == 2
    assert "data/test.parquet: has no rows; widen the window in conf/data/" in capsys.readouterr().err


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with whole_folder(target) as folder:
        (folder / "one").write_text("1")
    with pytest.raises(ZeroDivisionError), whole_folder(target) as folder:
        (folder / "two").write_text("2")
        raise ZeroDivisionError
    assert content(target) == {"one": b"1"}
    with whole_folder(target) as folder:
        (folder / "two").write_text("2")
    assert content(target) == {"two": b"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_folder_that_cannot_be_written_is_an_input_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError) as caught, whole_folder(tmp_path / "file" / "model"):
        pass
    assert str(caught.value).endswith("free the disk or the folder and run again")


@pytest.mark.parametrize("moment", ["writing", "between"])
def test_a_kill_leaves_nothing_half(moment: str, tmp_path: Path) -> None:
    """Killed while files are written, or between the two renames."""
    target = tmp_path / "model"
    with whole_folder(target) as folder:
        (folder / "old").write_text("old")
    kill = f"os.kill(os.getpid(), {int(signal.SIGKILL)})"
    code = f"""
import os, pathlib
from gitloop.files import whole_folder
rename = pathlib.Path.rename
def renamed(self, other):
    rename(self, other)
    {kill if moment == "between" else "pass"}
pathlib.Path.rename = renamed
with whole_folder(pathlib.Path({str(target)!r})) as folder:
    (folder / "new").write_text("new")
    {kill if moment == "writing" else "pass"}
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert not target.exists() if moment == "between" else content(target) == {"old": b"old"}
    with whole_folder(target) as folder:
        (folder / "newer").write_text("newer")
    assert content(target) == {"newer": b"newer"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_chosen_model_changed_by_hand_is_refused(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project()
    path = Path("models/linear.skops")
    path.write_bytes(path.read_bytes() + b"x")
    assert main(["package"]) == 2
    assert "models/linear.skops: is not the model recorded (its sha256 differs)" in capsys.readouterr().err


def test_lineage_follows_the_parameters_that_make_a_model(project: Project) -> None:
    def params_sha256() -> Any:
        return json.loads((layout.MODEL / "lineage.json").read_text())["params_sha256"]

    project()
    first = params_sha256()
    text = layout.PARAMS.read_text()
    layout.PARAMS.write_text(text.replace("port: 3000", "port: 3001"))
    assert main(["package"]) == 0
    assert params_sha256() == first
    layout.PARAMS.write_text(text.replace("trials: 8", "trials: 9"))
    assert main(["package"]) == 0
    assert params_sha256() != first
