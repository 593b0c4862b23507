"""A conflict in what runs make has one answer, which leaves a set of files that belongs together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from project import edit, generate
from repositories import git

from gitloop.cli import main


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate(tmp_path_factory.mktemp("generated"))


@pytest.fixture
def both(generated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`work` and `main` have each changed a setting and trained; `work` has a candidate more."""
    project = tmp_path / "project"
    shutil.copytree(generated, project, symlinks=True)
    monkeypatch.chdir(project)
    trained(project, "first")
    git(project, "switch", "--quiet", "--create", "work")
    shutil.copy("conf/candidate/linear.yaml", "conf/candidate/extra.yaml")
    text = Path("conf/candidate/extra.yaml").read_text()
    Path("conf/candidate/extra.yaml").write_text(text.replace("\nlinear:", "\nextra:"))
    edit(project / "conf/tuning/optuna.yaml", trials=11)
    trained(project, "work", "extra")
    git(project, "switch", "--quiet", "main")
    edit(project / "conf/evaluation/default.yaml", bootstrap=300)
    trained(project, "main")
    git(project, "switch", "--quiet", "work")
    return project


def trained(project: Path, by: str, *more: str) -> None:
    """Stand for a run: params.yaml composed, a lock, metrics."""
    assert main(["params"]) == 0
    (project / "metrics/candidates").mkdir(parents=True, exist_ok=True)
    (project / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  a: {{cmd: {by}}}\n")
    for name in ("linear", *more):
        (project / f"metrics/candidates/{name}.json").write_text(json.dumps({"by": by}))
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", by)


def in_step_with_main(project: Path) -> None:
    assert git(project, "diff", "main", "--", "dvc.lock", "metrics", "MODEL_CARD.md") == ""
    assert not Path("metrics/candidates/extra.json").exists()
    assert main(["params", "--check"]) == 0
    assert git(project, "ls-files", "--unmerged") == ""
    params = Path("params.yaml").read_text()
    assert "trials: 11" in params
    assert "bootstrap: 300" in params
    assert "extra:" in params


def test_after_a_merge(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(both, "merge", "main", check=False)
    assert "dvc.lock" in git(both, "ls-files", "--unmerged")
    assert main(["resolve"]) == 0
    assert "Commit (or `git rebase --continue`) and push: the run trains what is stale." in capsys.readouterr().out
    in_step_with_main(both)
    assert main(["resolve"]) == 0  # again changes nothing
    in_step_with_main(both)
    git(both, "commit", "--quiet", "--no-edit")
    assert git(both, "status", "--porcelain") == ""


def test_after_a_rebase(both: Path) -> None:
    git(both, "rebase", "main", check=False)
    assert "dvc.lock" in git(both, "ls-files", "--unmerged")
    assert main(["resolve"]) == 0
    in_step_with_main(both)
    git(both, "-c", "core.editor=true", "rebase", "--continue")
    assert git(both, "status", "--porcelain") == ""


def test_a_conflict_in_conf_is_a_person_s(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(both / "conf/evaluation/default.yaml", bootstrap=100)
    git(both, "commit", "--quiet", "--all", "--message", "mine")
    git(both, "merge", "main", check=False)
    before = Path("dvc.lock").read_bytes()
    assert main(["resolve"]) == 1
    assert (
        "conf/evaluation/default.yaml: has a conflict that is yours; edit it, `git add conf/" in capsys.readouterr().err
    )
    assert Path("dvc.lock").read_bytes() == before


def test_without_a_merge_there_is_nothing_to_resolve(both: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["resolve"]) == 2
    assert "git: no merge or rebase is under way; run `git merge main` first" in capsys.readouterr().err
