"""What should never be merged turns the gates red, by the right rule. Real flights, spoilt in one way each."""

from __future__ import annotations

import json
import shutil
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from project import edit, environment, generate, run

STAGES = ("ingest", "validate", "split", "train dummy", "train {model}", "select", "evaluate")
RAN = ("ingest", "validate", "split", "train@dummy", "train@linear", "select", "evaluate")  # by `pipeline`
SOURCE = """
import numpy as np
import pandas as pd
import pyarrow as pa
from {package}.sources import Flights


def change(table: pd.DataFrame) -> pd.DataFrame:
{body}
    return table


class Spoilt(Flights):
    def batches(self, request):
        table = super().batches(request).read_all().to_pandas()
        return pa.Table.from_pandas(change(table), preserve_index=False).to_reader()
"""


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small flights project with two candidates that passes its gates."""
    project = generate(tmp_path_factory.mktemp("sound"), git=False)
    edit(project / "conf/data/flights.yaml", window__until="2013-03-01")
    edit(project / "conf/tuning/optuna.yaml", method="none", folds=2)
    edit(project / "conf/evaluation/default.yaml", bootstrap=50, importance_rows=500)
    for name in ("boosting", "forest"):
        drop(project, name)
    done = pipeline(project)
    assert done.returncode == 0, done.stdout + done.stderr
    return project


@pytest.fixture
def spoilt(sound: Path, tmp_path: Path) -> Callable[[str], Path]:
    """A copy whose source passes its table through the lines given."""

    def spoil(body: str) -> Path:
        project = Path(shutil.copytree(sound, tmp_path / "spoilt"))
        package = yaml.safe_load((project / "params.yaml").read_text())["project"]["package"]
        text = SOURCE.format(package=package, body=textwrap.indent(textwrap.dedent(body), "    "))
        (project / "src" / package / "spoilt.py").write_text(text)
        edit(project / "conf/data/flights.yaml", source___target_=f"{package}.spoilt.Spoilt")
        edit(project / "conf/gates/default.yaml", behaviour=None)  # what it says of a spoilt model is not asked here
        run(project, "gitloop", "params")
        return project

    return spoil


def drop(project: Path, candidate: str) -> None:
    (project / f"conf/candidate/{candidate}.yaml").unlink()
    config = project / "conf/config.yaml"
    config.write_text(config.read_text().replace(f"{candidate}, ", "").replace(f", {candidate}]", "]"))
    run(project, "gitloop", "params")


def pipeline(project: Path, model: str = "linear", gate: str = "gate") -> subprocess.CompletedProcess[str]:
    """Every stage up to the gates, as `dvc repro` runs them, or up to the first that fails."""
    for stage in (*STAGES, gate):
        done = run(project, "gitloop", *stage.format(model=model).split(), check=False)
        if done.returncode:
            break
    return done


def failed(project: Path) -> set[str]:
    """The rules that the gates say no by."""
    verdicts: list[dict[str, Any]] = json.loads((project / "reports/gates.json").read_text())["verdicts"]
    return {verdict["rule"].split()[0] for verdict in verdicts if verdict["passed"] is False}


def test_a_leaking_feature(spoilt: Callable[[str], Path]) -> None:
    """A column that knows the outcome, a little blurred."""
    project = spoilt(
        """
        late = table.pop("late")
        table["taxi_out"] = late * 30.0 + np.random.default_rng(0).normal(0, 4, len(table))
        table["late"] = late
        """
    )
    edit(project / "conf/data/flights.yaml", columns__taxi_out={"type": "numeric"})
    run(project, "gitloop", "params")
    done = pipeline(project)
    assert done.returncode == 1
    assert failed(project) == {"leakage"}
    assert "taxi_out" in done.stderr


def test_shuffled_labels(spoilt: Callable[[str], Path]) -> None:
    project = spoilt('table["late"] = np.random.default_rng(0).permutation(table["late"])')
    done = pipeline(project)
    assert done.returncode == 1
    assert {"floor", "baseline"} <= failed(project)
    assert "roc_auc" in done.stderr


def test_a_flood_of_nulls(spoilt: Callable[[str], Path]) -> None:
    """A sensor that fell silent is stopped before any training."""
    project = spoilt('table.loc[np.random.default_rng(0).random(len(table)) < 0.6, "temp"] = np.nan')
    done = pipeline(project)
    assert done.returncode == 1
    assert "temp" in done.stderr
    assert "rules.max_missing" in done.stderr
    assert not (project / "data/train.parquet").stat().st_mtime > (project / "data/raw.parquet").stat().st_mtime


def test_a_candidate_no_better_than_the_baseline(spoilt: Callable[[str], Path]) -> None:
    project = spoilt("pass")
    (project / "conf/candidate/coin.yaml").write_text(
        "coin:\n  complexity: 1\n  classifier:\n"
        "    {_target_: sklearn.dummy.DummyClassifier, strategy: uniform, random_state: 0}\n"
    )
    run(project, "gitloop", "params")
    drop(project, "linear")
    done = pipeline(project, "coin")
    assert done.returncode == 1
    assert "baseline" in failed(project)


def test_a_slice_made_worse_than_the_champions(sound: Path, tmp_path: Path, spoilt: Callable[[str], Path]) -> None:
    """Labels of one airport are wrong in the training rows only: the whole still looks well, the slice does not."""
    project = spoilt(
        """
        early = table["time_hour"] < table["time_hour"].quantile(0.8)
        rows = early & (table["origin"] == "LGA")
        table.loc[rows, "late"] = ~table.loc[rows, "late"].astype(bool)
        """
    )
    commit(sound, project)
    done = pipeline(project, gate="gate --champion HEAD")
    assert done.returncode == 1
    assert "slice_regression" in failed(project)
    assert "LGA" in done.stderr


def commit(sound: Path, project: Path) -> None:
    """Make the sound project's result the committed state of `project`, in Git and in DVC's cache."""
    work = project.parent / "champion"
    shutil.copytree(sound, work)
    add, save = ["git", "add", "--all"], ["git", "commit", "--quiet", "--message", "Train"]
    for command in (["git", "init", "--quiet", "--initial-branch=main"], add, save):
        run(work, *command)
    run(work, "dvc", "commit", "--force", "--quiet", *RAN)
    for command in (add, save):
        run(work, *command)
    shutil.copytree(work / ".git", project / ".git")
    shutil.copytree(work / ".dvc", project / ".dvc", dirs_exist_ok=True)


def test_the_environment_is_the_projects_own(sound: Path, tmp_path: Path) -> None:
    """These tests would prove nothing if another gitloop were running: neither started anew nor warm."""
    where = run(sound, "python", "-c", "import gitloop; print(gitloop.__file__)").stdout
    assert where.strip().startswith(str(sound))
    assert environment(sound)["PYTHONPATH"] == str(sound / "src")
    copy = Path(shutil.copytree(sound, tmp_path / "copy"))
    (copy / "src/gitloop/__init__.py").write_text("raise SystemExit('this one')\n")
    for seed in ("0", "1"):
        assert run(copy, "gitloop", "split", check=False, PYTHONHASHSEED=seed).stderr == "this one\n"
