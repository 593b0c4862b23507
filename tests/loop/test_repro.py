"""The pipeline as a person runs it: what is done once is not done again, and the same commit gives the same bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import warm
from project import edit, generate, run


def stages_run(output: str) -> list[str]:
    return re.findall(r"Running stage '([^']+)'", output)


def test_the_tree_is_clean_after_a_run(trained: Path) -> None:
    """DVC's own .gitignore entries and the results' places are part of the template."""
    assert run(trained, "git", "status", "--porcelain").stdout == ""
    committed = run(trained, "git", "show", "--name-only", "--format=", "HEAD").stdout.split()
    assert {path.split("/")[0] for path in committed} == {"MODEL_CARD.md", "conf", "params.yaml", "dvc.lock", "metrics"}


def test_nothing_changed_runs_nothing(copied: Callable[..., Path]) -> None:
    project = copied()
    assert stages_run(run(project, "dvc", "repro").stdout) == []
    assert run(project, "git", "status", "--porcelain").stdout == ""


def test_one_candidate_changed_runs_that_candidate_and_what_follows(copied: Callable[..., Path]) -> None:
    project = copied()
    edit(project / "conf/candidate/forest.yaml", forest__classifier__n_estimators=11)
    run(project, "gitloop", "params")
    ran = stages_run(run(project, "dvc", "repro").stdout)
    assert ran in (["train@forest", "select", "evaluate", "package"], ["train@forest", "select", "package"])


def test_a_new_candidate_is_a_new_file(copied: Callable[..., Path]) -> None:
    project = copied()
    (project / "conf/candidate/tree.yaml").write_text(
        "tree:\n  complexity: 2\n  prepare: {categorical: ordinal}\n"
        "  classifier: {_target_: sklearn.tree.DecisionTreeClassifier, max_depth: 4, random_state: 0}\n"
    )
    run(project, "gitloop", "params")
    ran = stages_run(run(project, "dvc", "repro").stdout)
    assert ran[:2] == ["train@tree", "select"]
    ranking = json.loads((project / "metrics/selected.json").read_text())["ranking"]
    assert "tree" in [one["candidate"] for one in ranking]


def test_a_dropped_candidate_is_no_longer_chosen_from(copied: Callable[..., Path]) -> None:
    project = copied()
    winner = json.loads((project / "metrics/selected.json").read_text())["candidate"]
    (project / f"conf/candidate/{winner}.yaml").unlink()
    config = project / "conf/config.yaml"
    config.write_text(re.sub(rf"\b{winner}, |, {winner}\b", "", config.read_text(), count=1))
    run(project, "gitloop", "params")
    run(project, "dvc", "repro")
    selected = json.loads((project / "metrics/selected.json").read_text())
    assert winner not in [one["candidate"] for one in selected["ranking"]]
    assert json.loads((project / "metrics/evaluation.json").read_text())["candidate"] == selected["candidate"]


def test_another_clone_of_the_commit_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    """Neither the clock, nor the place, nor the cache of another run, nor the order of a set has a part in a result."""
    clone = tmp_path / "elsewhere" / "clone"
    run(trained, "git", "clone", "--quiet", str(trained), str(clone))
    warm.start(warm.commands(), "7")
    run(clone, "dvc", "repro", "--force", PYTHONHASHSEED="7")
    assert run(clone, "git", "status", "--porcelain").stdout == ""  # metrics/ and dvc.lock, so every output's hash
    for path in [*trained.glob("metrics/**/*.json"), *trained.glob("models/*.skops"), *trained.glob("model/*")]:
        assert (clone / path.relative_to(trained)).read_bytes() == path.read_bytes(), path.name


def test_an_experiment_sees_the_same_params(copied: Callable[..., Path]) -> None:
    """`dvc exp run -S` composes what `gitloop params` composes; a candidate's argument runs that candidate."""
    project = copied()
    done = run(project, "dvc", "exp", "run", "-S", "candidate.linear.classifier.C=0.5")
    assert stages_run(done.stdout)[0] == "train@linear"
    edit(project / "conf/candidate/linear.yaml", linear__classifier__C=0.5)
    assert "in step" in run(project, "gitloop", "params", "--check").stdout


def test_own_data_runs_to_its_gates(tmp_path: Path) -> None:
    project = generate(tmp_path, start="own")
    edit(project / "conf/tuning/optuna.yaml", trials=2, folds=2)
    run(project, "gitloop", "params")
    run(project, "git", "commit", "--quiet", "--all", "--message", "A shorter search")
    run(project, "dvc", "repro")
    run(project, "gitloop", "gate")
    run(project, "gitloop", "report")
    new = run(project, "git", "status", "--porcelain").stdout.split()[1::2]
    assert new == ["MODEL_CARD.md", "dvc.lock", "metrics/"]
