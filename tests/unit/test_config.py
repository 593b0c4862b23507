"""conf/ composes with Hydra into params.yaml, in step with what `dvc exp run` composes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from gitloop import config
from gitloop.cli import main
from gitloop.errors import InputError
from gitloop.settings import parse


@pytest.fixture
def conf(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with the stock conf/ and params.yaml."""
    shutil.copytree(template / "conf", tmp_path / "conf")
    shutil.copy(template / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_params_in_the_template_are_in_step(template: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(template)
    assert main(["params", "--check"]) == 0


def test_params_are_written_once(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (conf / "params.yaml").unlink()
    assert main(["params"]) == 0
    assert "written from conf/" in capsys.readouterr().out
    written = (conf / "params.yaml").stat().st_mtime_ns
    assert main(["params"]) == 0
    assert "in step" in capsys.readouterr().out
    assert (conf / "params.yaml").stat().st_mtime_ns == written


def test_params_are_what_dvc_composes(conf: Path) -> None:
    from dvc.utils.hydra import compose_and_dump

    compose_and_dump(conf / "dvc.yaml", str(conf / "conf"), None, "config", str(conf), [])
    assert yaml.safe_load((conf / "dvc.yaml").read_text()) == config.compose(conf)


def test_stale_params_are_refused_with_the_key(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = conf / "conf/candidate/linear.yaml"
    path.write_text(path.read_text().replace("C: 0.1", "C: 0.5"))
    before = (conf / "params.yaml").read_text()
    assert main(["params", "--check"]) == 1
    assert "first difference: candidate.linear.classifier.C); run `gitloop params`" in capsys.readouterr().err
    assert (conf / "params.yaml").read_text() == before


def test_params_edited_by_hand_are_refused(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = conf / "params.yaml"
    path.write_text(path.read_text().replace("trials: 8", "trials: 9"))
    assert main(["params", "--check"]) == 1
    assert "tuning.trials" in capsys.readouterr().err


def test_adding_a_candidate_is_adding_a_file(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (conf / "conf/candidate/near.yaml").write_text(
        "near:\n  complexity: 2\n  classifier: {_target_: sklearn.neighbors.KNeighborsClassifier}\n"
    )
    assert main(["params", "--check"]) == 1
    assert "does not list candidate near; run `gitloop params`" in capsys.readouterr().err
    before = (conf / "conf/config.yaml").read_text()
    assert main(["params"]) == 0
    after = (conf / "conf/config.yaml").read_text()
    assert after.split() == before.replace("linear]", "linear, near]").split()  # comments are kept
    assert "near" in yaml.safe_load((conf / "params.yaml").read_text())["candidate"]


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "config.yaml",
            "data: flights",
            "data: flihgts",
            "Could not find 'data/flihgts' Available options in 'data': flights\n",
        ),
        ("config.yaml", "dummy, ", "dumy, ", "candidate 'dumy' has no file in conf/candidate/; did you mean 'dummy'?"),
        ("config.yaml", "candidate: [", "candidates: [", "has no `candidate: [...]`"),
        ("config.yaml", "defaults:", "defaults: [", "has no `candidate: [...]`"),
        ("candidate/linear.yaml", "linear:", "liner:", "a file declares 'liner', but no file has that name"),
        (
            "data/flights.yaml",
            "${project.package}",
            "${project.pakage}",
            "Interpolation key 'project.pakage' not found",
        ),
        ("data/flights.yaml", "min_rows: 1000", "min_rows: [", "conf: cannot be composed"),
        ("data/flights.yaml", "min_rows: 1000", "min_rows: 1\n  min_rows: 2", "duplicate key min_rows"),
        ("data/flights.yaml", "min_rows:", "min_row:", "conf/data/flights.yaml: data.rules.min_row: unknown key"),
    ],
)
def test_a_broken_conf_is_one_line(
    file: str, old: str, new: str, message: str, conf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = conf / "conf" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    before = (conf / "params.yaml").read_text()
    assert main(["params"]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert (conf / "params.yaml").read_text() == before


def test_what_a_stage_depends_on_must_be_said(conf: Path, template: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Settings have defaults, DVC's parameters have not."""
    shutil.copy(template / "dvc.yaml", conf)
    path = conf / "conf/data/flights.yaml"
    path.write_text(path.read_text().replace("slices: [origin, carrier]", "").replace("threshold: 0.25", ""))
    assert main(["params"]) == 2
    assert [line.partition(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "conf/data/flights.yaml: data.slices: is missing, and a stage depends on it; add it",
        "conf/data/flights.yaml: data.threshold: is missing, and a stage depends on it; add it",
    ]


def test_gitloop_outside_a_repository_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["params"]) == 2
    assert "conf/config.yaml: not there; run gitloop in the root of the repository" in capsys.readouterr().err


def test_every_file_in_conf_composes(template: Path) -> None:
    """Each choice of each group, one varied at a time, gives valid settings."""
    tried = 0
    for group in sorted(path for path in (template / "conf").iterdir() if path.is_dir() and path.name != "candidate"):
        for choice in sorted(group.glob("*.yaml")):
            added = "+" if group.name == "preset" else ""  # a preset is no choice that is always made
            parse(config.compose(template, [f"{added}{group.name}={choice.stem}"]))
            tried += 1
    assert tried >= 9


def test_an_unknown_override_is_refused(template: Path) -> None:
    with pytest.raises(InputError, match="Could not override 'data.windw.until'"):
        config.compose(template, ["data.windw.until=2013-07-01"])


def test_dvc_itself_refuses_an_unknown_override(conf: Path) -> None:
    (conf / "dvc.yaml").write_text("stages:\n  one: {cmd: 'true', params: [data.name]}\n")
    shutil.copytree(Path(__file__).parents[2] / "<<cookiecutter.project>>/.dvc", conf / ".dvc")
    for command in (["git", "init", "-q", "."], ["git", "add", "."], ["git", "commit", "-qm", "start"]):
        subprocess.run(command, cwd=conf, check=True)
    done = subprocess.run(
        ["dvc", "exp", "run", "-S", "data.windw=1"], cwd=conf, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "Could not override 'data.windw'" in done.stderr + done.stdout


def test_a_preset_is_for_once(conf: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was composed with it is out of step with conf/, so that it is not committed unseen."""
    assert main(["params", "+preset=quick"]) == 0
    assert "written from conf/ +preset=quick" in capsys.readouterr().out
    assert yaml.safe_load((conf / "params.yaml").read_text())["tuning"]["method"] == "none"
    assert main(["params", "--check", "+preset=quick"]) == 0
    assert main(["params", "--check"]) == 1
    assert "tuning.method" in capsys.readouterr().err
    assert main(["params"]) == 0
    assert yaml.safe_load((conf / "params.yaml").read_text())["tuning"]["method"] == "optuna"
