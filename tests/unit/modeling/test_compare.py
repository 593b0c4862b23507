"""`gitloop compare`: the champion of a revision, with its own code and file, on rows that neither model has seen."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from dvc.repo import Repo

from gitloop import layout
from gitloop.cli import main
from gitloop.modeling import chosen, inputs, rivals
from gitloop.modeling.metrics import compute
from gitloop.settings import Settings

Study = Callable[..., Settings]
FIRST = """
from ownstudy.helper import ratio

def derive(columns):
    return {"ratio": ratio(columns["mean_radius"], columns["mean_texture"])}
"""
SECOND = """
def derive(columns):
    return {"ratio": -1000.0 * columns["mean_radius"], "other": columns["mean_area"] ** 0.5}
"""


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()


def commit(message: str, *tags: str) -> None:
    """Commit everything, the model file by DVC."""
    with Repo() as repo:
        repo.add(["models/linear.skops"])
    git("add", "--all")
    git("commit", "--quiet", "--message", message)
    for tag in tags:
        git("tag", "--annotate", "--message", tag, tag)


def deriving(values: dict[str, Any]) -> None:
    values["features"]["derive"] = "ownstudy.features.derive"


def package(features_py: str, **others: str) -> None:
    folder = Path("src/ownstudy")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, text in {"__init__": "", "features": features_py, **others}.items():
        (folder / f"{name}.py").write_text(text)
    for name in [name for name in sys.modules if name.split(".")[0] == "ownstudy"]:
        del sys.modules[name]


@pytest.fixture
def repository(study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Settings]:
    """A Git and DVC repository whose first commit, tagged model@v0.1.0, has chosen a model. The settings."""
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a file may change twice within a second

    def make(change: Callable[[dict[str, Any]], None] = deriving, rows: pa.Table | None = None) -> Settings:
        package(FIRST, helper="def ratio(one, other):\n    return one / other\n")
        git("init", "--quiet", "--initial-branch", "main")
        Repo.init().close()
        Path(".gitignore").write_text("/data/\n/reports/\n")
        loaded = study("binary", change, rows)
        commit("Choose the first model", "model@v0.1.0")
        return loaded

    return make


def compared(*arguments: str, code: int = 0) -> dict[str, Any]:
    assert main(["compare", *arguments]) == code
    found: dict[str, Any] = json.loads(layout.COMPARISON.read_text())["champion"]
    return found


def said(loaded: Settings) -> dict[str, float]:
    """Every metric of the chosen model on the test slice, as things are now."""
    rows = chosen.rows(layout.TEST, loaded.data, inputs.derivation(loaded.features))
    return compute("binary", rows.y, *chosen.score(chosen.model(loaded), rows.columns))


def reparameterised(change: Callable[[dict[str, Any]], None]) -> None:
    values = yaml.safe_load(layout.PARAMS.read_text())
    change(values)
    layout.PARAMS.write_text(yaml.safe_dump(values, sort_keys=False))


def test_each_model_is_scored_with_the_code_and_the_threshold_of_its_own_revision(
    repository: Study, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    """The derivation of today gives other values under the same name; the champion must not see them."""
    first = said(repository())
    package(SECOND)

    def second(values: dict[str, Any]) -> None:
        deriving(values)
        values["data"]["threshold"] = 0.7

    loaded = study("binary", second)
    today = said(loaded)
    capsys.readouterr()
    found = compared()
    assert found["judged"] is True
    assert found["champion"]["revision"] == "model@v0.1.0"
    assert found["champion"]["commit"] == git("rev-parse", "HEAD")
    assert found["rows"] == pq.read_metadata(layout.TEST).num_rows
    for name, both in found["metrics"].items():
        assert both["champion"] == pytest.approx(first[name], rel=1e-5), name
        assert both["challenger"] == pytest.approx(today[name], rel=1e-5), name
    assert first["roc_auc"] != today["roc_auc"]
    gain = found["gain"]
    assert gain["value"] == pytest.approx(today["roc_auc"] - first["roc_auc"], abs=1e-5)
    assert gain["low"] <= gain["value"] <= gain["high"]
    assert set(found["slices"]["ward"]) == {"north", "south", "west"}
    assert found["note"] is None
    shown = capsys.readouterr().out
    assert "challenger against model@v0.1.0" in shown
    assert "ward north" in shown
    again = layout.COMPARISON.read_bytes()
    compared()
    assert layout.COMPARISON.read_bytes() == again
    # Today's modules are as they were.
    assert "other" in inputs.derivation(loaded.features)({name: np.ones(2) for name in loaded.data.features})  # type: ignore[misc]


def test_the_same_model_gains_nothing(repository: Study) -> None:
    repository()
    found = compared("--champion", "HEAD")
    assert found["gain"] == {"value": 0, "low": 0, "high": 0}
    assert all(one["gain"]["value"] == 0 for parts in found["slices"].values() for one in parts.values())


@pytest.mark.parametrize("versioned", [False, True])
def test_without_a_release_there_is_no_champion_yet(
    versioned: bool, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    study("binary")
    if versioned:
        git("init", "--quiet")
    found = compared()
    assert (found["judged"], found["champion"]) == (False, None)
    assert "not compared: no champion yet" in capsys.readouterr().out


def test_the_newest_version_is_the_champion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "x")
    for tag in ("model@v0.9.0", "model@v0.10.0", "model@v0.2.0", "other@v9.0.0", "model#production#1"):
        git("tag", tag)
    assert rivals.newest() == "model@v0.10.0"


def test_a_shallow_clone_may_hide_a_champion(
    repository: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    repository()
    git("commit", "--quiet", "--allow-empty", "--message", "later")
    git("clone", "--quiet", "--depth", "1", "--no-tags", f"file://{tmp_path}", str(tmp_path / "clone"))
    monkeypatch.chdir(tmp_path / "clone")
    assert main(["compare"]) == 2
    assert "a shallow clone without tags" in capsys.readouterr().err


def test_a_revision_without_a_model_is_a_wrong_input(repository: Study, capsys: pytest.CaptureFixture[str]) -> None:
    repository()
    for revision, words in [
        ("no-such", "--champion no-such: is not a revision of this repository"),
        ("empty", "metrics/selected.json: is not there in empty"),
    ]:
        if revision == "empty":
            git("checkout", "--quiet", "--orphan", "empty")
            git("rm", "-r", "--quiet", "--cached", ".")
            git("commit", "--quiet", "--allow-empty", "--message", "empty")
        assert main(["compare", "--champion", revision]) == 2
        assert words in capsys.readouterr().err


def test_the_champions_file_comes_from_the_cache_or_the_remote_or_is_missed(
    repository: Study, study: Study, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    repository()
    with Repo() as repo, repo.config.edit() as config:
        config["remote"] = {"store": {"url": str(tmp_path / "store")}}
        config["core"] = {"remote": "store"}
    git("commit", "--quiet", "--all", "--amend", "--no-edit")
    git("tag", "--annotate", "--force", "--message", "x", "model@v0.1.0")
    with Repo() as repo:
        repo.push()
    package(SECOND)
    study("binary", deriving)
    shutil.rmtree(".dvc/cache")
    assert compared()["judged"] is True
    for folder in (".dvc/cache", "store"):
        shutil.rmtree(folder, ignore_errors=True)
    capsys.readouterr()
    assert main(["compare"]) == 2
    error = capsys.readouterr().err
    assert "models/linear.skops of model@v0.1.0: is neither in DVC's cache nor in a remote; run `dvc fetch" in error
    assert len(error.splitlines()) == 1


def test_a_changed_file_is_not_loaded(repository: Study, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    """Git says which bytes were chosen; what DVC holds under that name must be them."""
    repository()
    selected = json.loads(layout.SELECTED.read_text())
    selected["model"]["sha256"] = "0" * 64
    layout.SELECTED.write_text(json.dumps(selected))
    git("commit", "--quiet", "--all", "--message", "Tamper")
    git("tag", "model@v0.2.0")
    study("binary", deriving)
    assert main(["compare"]) == 2
    assert "of model@v0.2.0: is not the file that was chosen there" in capsys.readouterr().err


def drop(values: dict[str, Any]) -> None:
    values["data"]["columns"]["mean_texture"]["role"] = "ignored"
    values["features"]["derive"] = None


def retype(values: dict[str, Any]) -> None:
    values["data"]["columns"]["ward"] |= {"type": "text"}


def retarget(values: dict[str, Any]) -> None:
    values["data"]["columns"]["outcome"]["positive"] = "benign"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (drop, "model@v0.1.0 cannot be compared: needs column mean_texture"),
        (retype, "cannot be compared: needs the categorical column ward, which is text now"),
        (retarget, "cannot be compared: it predicts outcome (binary) as then declared"),
    ],
)
def test_a_champion_of_another_contract_is_not_judged(
    change: Callable[[dict[str, Any]], None],
    words: str,
    repository: Study,
    study: Study,
    rows_of: Callable[[str], pa.Table],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def base(values: dict[str, Any]) -> None:
        deriving(values)
        values["data"]["columns"]["ward"]["role"] = ["feature", "sensitive"]

    def changed(values: dict[str, Any]) -> None:
        base(values)
        change(values)

    repository(base)
    rows = rows_of("binary")
    study("binary", changed, rows.drop_columns("mean_texture") if change is drop else rows)
    found = compared()
    assert found["judged"] is False
    assert words in found["why"]
    assert words in capsys.readouterr().out


def test_settings_that_today_are_unknown_are_not_an_error(repository: Study, study: Study) -> None:
    repository()
    reparameterised(lambda values: values["gates"].update({"once_there_was": 1}))
    git("commit", "--quiet", "--all", "--message", "Another time")
    git("tag", "model@v0.2.0")
    study("binary", deriving)
    found = compared()
    assert found["judged"] is False
    assert "model@v0.2.0 cannot be read by today's code" in found["why"]
    assert "once_there_was" in found["why"]


def test_rows_that_the_champion_has_trained_on_are_left_out(
    repository: Study, study: Study, rows_of: Callable[[str], pa.Table]
) -> None:
    """The champion's window ended later than the challenger's: of its test rows few or none are left."""
    rows = rows_of("binary")
    repository(rows=rows)
    until = pq.read_table(layout.TRAIN).column("at").to_numpy().max()
    study("binary", deriving, rows.slice(0, 450))
    found = compared()
    kept = (pq.read_table(layout.TEST).column("at").to_numpy() > until).sum()
    assert 0 < kept < pq.read_metadata(layout.TEST).num_rows
    assert found["rows"] == kept
    study("binary", deriving, rows.slice(0, 300))
    found = compared()
    assert found["judged"] is False
    assert found["why"].startswith("0 test rows are later than what both models have trained on, fewer than")


@pytest.mark.parametrize("same", [True, False])
def test_without_a_timestamp_it_is_said_what_the_champion_may_have_seen(
    same: bool, repository: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless dvc.lock says that both trained on the same table."""

    def timeless(values: dict[str, Any]) -> None:
        deriving(values)
        values["data"]["columns"]["at"] = {"type": "datetime"}

    repository(timeless)
    lock = {"stages": {"split": {"outs": [{"path": "data/train.parquet", "md5": "1"}]}}}
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    git("add", "dvc.lock")
    git("commit", "--quiet", "--message", "Lock")
    lock["stages"]["split"]["outs"][0]["md5"] = "1" if same else "2"
    Path("dvc.lock").write_text(yaml.safe_dump(lock))
    found = compared("--champion", "HEAD")
    assert found["judged"] is True
    assert found["rows"] == pq.read_metadata(layout.TEST).num_rows
    assert (found["note"] is None) is same
    assert ("may have trained on some of these rows" in capsys.readouterr().err) is not same


def test_the_gate_asks_the_champion_itself_not_an_old_file(
    repository: Study, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    """A challenger made worse on purpose is refused, whatever reports/comparison.json says."""
    repository()
    package("def derive(columns):\n    return {}\n")

    def blind(values: dict[str, Any]) -> None:
        deriving(values)
        for name in ("mean_radius", "mean_perimeter", "mean_area", "mean_smoothness", "mean_compactness"):
            values["data"]["columns"][name] = {"type": "numeric", "role": "key"}
        values["data"]["slices"] = ["ward"]
        values["gates"] |= {"floor": None, "slice_floor": None, "gap": None, "calibration": None, "fairness": None}

    study("binary", blind)
    assert main(["evaluate"]) == 0
    layout.COMPARISON.parent.mkdir(exist_ok=True)
    layout.COMPARISON.write_text(json.dumps({"champion": {"judged": False, "why": "nothing to see"}, "main": None}))
    assert main(["gate"]) == 1
    verdicts = {one["rule"]: one for one in json.loads(layout.GATES.read_text())["verdicts"]}
    why = verdicts["champion"]["why"]
    # The columns are no features any more, but they are kept: the champion can still be scored.
    assert verdicts["champion"]["passed"] is False, why
    assert json.loads(layout.COMPARISON.read_text())["champion"]["judged"] is True
    assert "worse" in why
    assert "than model@v0.1.0" in why
    assert verdicts["slice_regression"]["passed"] is False
    assert "champion: roc_auc" in capsys.readouterr().err
