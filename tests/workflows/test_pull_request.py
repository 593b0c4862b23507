"""Pull requests, run by act: what a reviewer is shown, and what a fork may not do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hub.hub import READS, SECRETS, WRITES, Hub
from repositories import commit, git

DUMMY = {"conf/candidate/dummy.yaml": {"dummy__classifier__strategy": "stratified"}}
STRICT = {"conf/gates/default.yaml": {"floor": {"roc_auc": 0.99}}}
FORK = "mallory/late-flights"
# Whatever of a fork is executed tells what it was given.
SPY = """
import os, pathlib
_seen = pathlib.Path(os.environ["HUB_STORE"]) / "seen"
_seen.parent.mkdir(parents=True, exist_ok=True)
with _seen.open("a") as _file:
    _file.write(os.environ.get("GITHUB_WORKFLOW", "") + " " + repr(sorted(os.environ.items())) + "\\n")
"""
Changed = Callable[..., Path]


def comment(here: Hub, number: int) -> str:
    """The one comment on a pull request."""
    (said,) = here.state.said(number)
    return said


def verdict(text: str) -> str:
    """The title of a comment."""
    return next(line for line in text.splitlines() if line.startswith("## "))


def forked(here: Hub) -> Path:
    """A clone of a fork by somebody who may not write here, on a branch of theirs."""
    fork = here.server.make(FORK)
    git(fork, "fetch", "--quiet", str(here.origin), "+refs/heads/main:refs/heads/main")
    clone = here.clone("fork", of=fork)
    git(clone, "switch", "--quiet", "--create", "theirs")
    return clone


class TestOfABranch:
    def test_gets_one_comment_that_is_brought_up_to_date(self, here: Hub, changed: Changed) -> None:
        here.jobs = {"push": "train", "workflow_dispatch": "train"}
        clone = changed("dummy", DUMMY)
        here.push(clone, "dummy", follow=False)
        number, runs = here.propose("dummy")
        # The push was trained before there was a pull request: it is looked at again, without training.
        assert [(run.workflow, run.event) for run in runs] == [
            ("train.yml", "pull_request"),
            ("train.yml", "workflow_dispatch"),
            ("report.yml", "workflow_run"),
            ("report.yml", "workflow_run"),
        ]
        assert [run.code for run in runs] == [0, 0, 0, 0]
        assert runs[0].jobs == {"again": "success", "pass": "success"}
        assert runs[1].read("run.json")["ran"] == []
        first = comment(here, number)
        assert "the model stays as it is" in verdict(first)
        assert "candidate.dummy.classifier.strategy" in first
        assert f"]({here.page(runs[1])})" in first

        git(clone, "pull", "--quiet", "--rebase", "origin", "dummy")
        commit(clone, "Words", **{"README.md": "Other words.\n"})
        here.push(clone, "dummy")
        second = comment(here, number)
        assert git(clone, "rev-parse", "--short=12", "HEAD") in second
        assert second != first

    def test_that_breaks_a_gate_is_red_and_says_which(self, here: Hub, changed: Changed) -> None:
        clone = changed("strict", STRICT)
        here.workflows = ()  # what the push itself leads to is not looked at
        here.push(clone, "strict")
        here.workflows = ("train.yml", "report.yml")
        number, runs = here.propose("strict")
        train = runs[1]
        assert train.jobs == {"lint": "success", "test": "success", "train": "failure", "pass": "failure"}
        assert train.steps["train"]["Gates"] == "failure"
        assert train.steps["train"]["Report"] == "success"
        assert not train.read("gates.json")["passed"]
        said = comment(here, number)
        assert verdict(said).startswith("## ❌")
        assert "floor roc_auc" in said.partition("### ")[0]

    def test_with_tests_that_fail_is_red(self, here: Hub, changed: Changed) -> None:
        here.jobs = {"push": "ci"}
        clone = changed("untested", **{"tests/test_mine.py": "def test_that_fails():\n    assert 1 == 2\n"})
        (train, *_) = here.push(clone, "untested", follow=False)
        assert (train.ok, train.jobs["test"], train.jobs["lint"]) == (False, "failure", "success")


class TestOfAFork:
    def test_is_judged_without_secrets_and_commented_on_from_main(self, here: Hub) -> None:
        clone = forked(here)
        for name in ("cli.py", "gitops/comment.py"):
            path = clone / "src/gitloop" / name
            text = path.read_text()
            path.write_text(
                text.replace("from __future__ import annotations\n", "from __future__ import annotations\n" + SPY)
            )
        commit(clone, "Curious", **{"README.md": "Theirs.\n"})
        git(clone, "push", "--quiet", "origin", "HEAD")
        number, runs = here.propose("theirs", FORK)

        train, report = runs
        assert (train.workflow, train.event, train.jobs["train"]) == ("train.yml", "pull_request", "success")
        assert train.jobs["test"] == "success"
        assert (report.workflow, report.event, report.ok) == ("report.yml", "workflow_run", True)
        # It ran in Train and the CI that this calls, never in Report, and had nothing that a fork must not have.
        seen = (here.store / "seen").read_text()
        assert {line.split()[0] for line in seen.splitlines()} == {"Train", "CI"}
        for secret in (WRITES, *SECRETS.values()):
            assert secret not in seen
            assert secret not in train.log
        assert here.pushes == []
        assert here.server.refused == []
        assert verdict(comment(here, number)).startswith("## ")
        # What was written at the hub, the workflow from main wrote.
        assert {path.rpartition("/")[2].partition("?")[0] for _, path, _ in here.state.writes()} == {"comments"}

    def test_that_makes_the_lock_stale_is_told_to_train_it(self, here: Hub) -> None:
        clone = forked(here)
        path = clone / "conf/candidate/dummy.yaml"
        path.write_text(path.read_text().replace("strategy: prior", "strategy: stratified"))
        params = clone / "params.yaml"
        params.write_text(params.read_text().replace("strategy: prior", "strategy: stratified"))
        commit(clone, "Stale")
        git(clone, "push", "--quiet", "origin", "HEAD")
        number, (train, report) = here.propose("theirs", FORK)
        assert train.steps["train"]["Commit what was made"] == "failure"
        assert "a fork cannot be committed to; run `make train`, commit dvc.lock" in train.log
        assert train.jobs["pass"] == "failure"
        assert report.ok
        assert verdict(comment(here, number)).startswith("## ❌")
        assert (here.pushes, here.server.refused, here.state.dispatches) == ([], [], [])
        assert READS not in train.log
