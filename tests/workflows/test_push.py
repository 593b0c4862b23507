"""Pushes, run by act: which stages run, what comes back, and that nothing runs twice."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hub.act import Run, document
from hub.gitserver import Push
from hub.hub import APP, WRITES, Hub
from hub.work import branched
from repositories import commit, git

BOT = "github-actions[bot] <41898282+github-actions[bot]@users.noreply.github.com>"
FOREST = {"conf/candidate/forest.yaml": {"forest__classifier__n_estimators": 12}}
RESULTS = ("success", "failure", "cancelled", "skipped")
STAGES = {"ingest", "validate", "split", "profile", "select", "evaluate", "package"}
CANDIDATES = {"boosting", "dummy", "forest", "linear"}
Work = Callable[..., Path]


def started(runs: list[Run]) -> list[tuple[str, str, str]]:
    """The runs of train.yml, in order."""
    return [(run.event, run.ref.removeprefix("refs/heads/"), run.commit) for run in runs if run.workflow == "train.yml"]


def select(template: Path) -> dict[str, str]:
    """Another text of what the stage `select` runs."""
    name = "src/gitloop/modeling/select.py"
    return {name: (template / name).read_text() + "# Another.\n"}


def own(run: Run) -> float:
    """Seconds of what train.yml itself does, after set-up."""
    before = ("Set up job", "actions/checkout", "./.github/actions/setup")
    return sum(seconds for step, seconds in run.seconds["train"].items() if not step.startswith(before))


@pytest.mark.parametrize("ci", RESULTS)
@pytest.mark.parametrize("train", RESULTS)
def test_only_success_of_both_passes(ci: str, train: str, template: Path) -> None:
    """act ends a run where a workflow that is called fails, so the last job is tried on its own."""
    job = document((template / ".github/workflows/train.yml").read_text())["jobs"]["pass"]
    assert job["if"] == "always()"
    assert set(job["needs"]) == {"ci", "train"}
    (step,) = job["steps"]
    values = {"CI": ci, "TRAIN": train, "EXPECTED": "success"}
    assert set(values) == set(step["env"])
    done = subprocess.run(["bash", "-e", "-c", step["run"]], env=values, check=False)
    assert (done.returncode == 0) == (ci == train == "success")


class TestANewProject:
    """Its first push is to main, whose lock is stale: it is not there."""

    def test_trains_every_stage(self, seed: Any) -> None:
        assert set(seed.first[0].read("run.json")["ran"]) == STAGES | {f"train@{name}" for name in CANDIDATES}

    def test_proposes_the_lock_instead_of_pushing_to_main(self, seed: Any) -> None:
        first = seed.first[0]
        assert first.jobs == {"lint": "success", "test": "success", "train": "failure", "pass": "failure"}
        assert first.steps["train"]["Gates"] == "success"
        assert "dvc.lock: is stale on main; merge http" in first.log
        assert [(push.token, push.branch) for push in seed.pushes] == [(WRITES, "gitloop/train")]
        pull = seed.threads[1]
        assert (pull["head"], pull["base"], pull["labels"]) == ("gitloop/train", "main", ["gitloop:train"])

    def test_has_the_proposal_checked_with_nothing_to_do(self, seed: Any) -> None:
        assert [event for event, *_ in started(seed.first)] == ["push", "workflow_dispatch"]
        again = next(run for run in seed.first[1:] if run.workflow == "train.yml")
        assert again.ok
        assert again.jobs == dict.fromkeys(("lint", "test", "train", "pass"), "success")
        assert again.read("run.json")["ran"] == []
        assert again.commit == seed.pushes[0].commit

    def test_comments_on_the_proposal_once(self, seed: Any) -> None:
        (comment,) = [one for one in seed.comments.values() if one["number"] == 1]
        assert comment["login"] == "github-actions[bot]"
        assert comment["body"].startswith("<!-- gitloop:report -->\n")

    def test_is_in_step_once_that_is_merged(self, seed: Any) -> None:
        train = seed.merged[0]
        assert [event for event, *_ in started(seed.merged)] == ["push"]
        assert train.ok
        assert train.read("run.json")["ran"] == []


def test_a_push_that_changes_no_input_does_nothing(here: Hub, changed: Work) -> None:
    clone = changed("words", **{"README.md": "Other words.\n"})
    runs = here.push(clone, "words")
    train = runs[0]
    assert [(run.workflow, run.ok) for run in runs] == [("train.yml", True), ("report.yml", True)]
    assert train.jobs == dict.fromkeys(("lint", "test", "train", "pass"), "success")
    about = train.read("run.json")
    assert (about["ran"], about["pulled_bytes"]) == ([], 0)
    assert here.pushes == []
    assert here.state.writes() == []
    assert "nothing to commit: dvc.lock and metrics are in step with the branch" in train.log
    assert own(train) < 60, train.seconds  # at most 10 on a machine that does nothing else: benchmarks


class Changed(NamedTuple):
    """A branch on which one candidate is another."""

    here: Hub
    pushed: str  # by a person
    came: str  # by the run of that
    runs: list[Run]
    pushes: list[Push]
    dispatches: list[str]


@pytest.fixture(scope="module")
def candidate(shared: Hub) -> Changed:
    clone = branched(shared, "forest", FOREST)
    runs = shared.push(clone, "forest")
    dispatches = [one["ref"] for one in shared.state.dispatches]
    pushed = git(clone, "rev-parse", "HEAD")
    return Changed(shared, pushed, shared.commit("forest"), runs, list(shared.pushes), dispatches)


class TestAPushThatChangesOneCandidate:
    def test_costs_that_candidate(self, candidate: Changed) -> None:
        """And what follows it, no more; how many seconds that is, benchmarks/push.py measures."""
        about = candidate.runs[0].read("run.json")
        assert about["ran"][0] == "train@forest"
        assert set(about["ran"]) <= {"train@forest", "select", "evaluate", "package"}
        assert set(about["seconds"]) == set(about["ran"])
        assert set(about["cached"]) == (STAGES | {f"train@{name}" for name in CANDIDATES}) - set(about["ran"])

    def test_gets_what_was_made_in_one_commit(self, candidate: Changed) -> None:
        origin, pushed, came = candidate.here.origin, candidate.pushed, candidate.came
        assert candidate.pushes == [(WRITES, "forest", came)]
        assert git(origin, "log", "-1", "--format=%an <%ae> %P", came) == f"{BOT} {pushed}"
        assert git(origin, "log", "-1", "--format=%(trailers:key=Gitloop-Trained,valueonly)", came) == pushed
        files = set(git(origin, "show", "--format=", "--name-only", came).splitlines())
        assert "dvc.lock" in files
        assert "metrics/candidates/forest.json" in files
        made = {"dvc.lock", "params.yaml", "MODEL_CARD.md"}
        assert files <= made | {name for name in files if name[:8] == "metrics/"}

    def test_has_the_new_head_checked_and_that_is_the_end_of_it(self, candidate: Changed) -> None:
        pushed, came = candidate.pushed, candidate.came
        assert started(candidate.runs) == [("push", "forest", pushed), ("workflow_dispatch", "forest", came)]
        again = next(run for run in candidate.runs if run.event == "workflow_dispatch")
        assert again.jobs["train"] == "success"  # `pass` too, where the whole is run: test_has_the_proposal_checked…
        assert again.read("run.json")["ran"] == []
        assert candidate.dispatches == ["forest"]

    def test_is_there_for_the_next_branch_once_merged(self, candidate: Changed) -> None:
        """main does not see a branch's cache: what it needs and cannot find it makes again from the source, once."""
        here = candidate.here
        head = here.commit("forest")
        before = len(here.pushes)
        (merged, *_) = here.merge("forest")
        assert merged.ok
        assert git(here.origin, "diff", "--name-only", head, "main") == ""
        assert [push.branch for push in here.pushes[before:]] == []
        made = {"ingest", "validate", "split", "train@forest", "evaluate", "package"}
        assert set(merged.read("run.json")["ran"]) <= made
        clone = branched(here, "dummy", {"conf/candidate/dummy.yaml": {"dummy__classifier__strategy": "stratified"}})
        (train, *_) = here.push(clone, "dummy", follow=False)
        assert train.ok, train.log
        ran = train.read("run.json")["ran"]
        assert ran[:2] == ["train@dummy", "select"]
        assert set(ran[2:]) <= {"evaluate", "package"}
        assert json.loads((train.artifact / "gates.json").read_text())["passed"]


def test_a_new_test_of_behaviour_is_run_although_no_stage_is(lean: Hub, changed: Work) -> None:
    test = "def test_that_fails(predict):\n    assert False, 'as it should'\n"
    (train, *_) = lean.push(changed("behaviour", **{"tests/behaviour/test_mine.py": test}), "behaviour", follow=False)
    assert train.read("run.json")["ran"] == []
    assert train.steps["train"]["Gates"] == "failure"
    assert "behaviour: test_that_fails failed" in train.log


def test_a_dispatch_on_main_finds_nothing_to_do(lean: Hub) -> None:
    runs = lean.dispatch("train.yml", "main")
    assert [(run.workflow, run.event, run.ok) for run in runs] == [
        ("train.yml", "workflow_dispatch", True),
        ("report.yml", "workflow_run", True),
    ]
    assert runs[0].read("run.json")["ran"] == []
    assert lean.pushes == []


class TestABranchThatMovesOn:
    """Somebody pushes between the checkout of a run and its own push. What is run is `select`, which costs nothing."""

    def test_with_other_words_gets_the_lock_after_them(self, lean: Hub, changed: Work, template: Path) -> None:
        """With the token of an app, whose push starts the checks by itself.

        Without one they are asked for: TestAPushThatChangesOneCandidate, and tests/unit/gitops/test_commit.py.
        """
        lean.variables["GITLOOP_APP_ID"] = "123"
        clone = changed("select", **select(template))
        other: list[str] = []

        def push_words() -> None:
            commit(clone, "Other words", **{"README.md": "Other words.\n"})
            git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/select")
            other.append(git(clone, "rev-parse", "HEAD"))

        lean.server.before.append(push_words)
        runs = lean.push(clone, "select")
        came = lean.commit("select")
        assert git(lean.origin, "rev-parse", f"{came}^") == other[0]
        assert "dvc.lock" in git(lean.origin, "show", "--format=", "--name-only", came)
        assert runs[0].ok
        # The app's push starts the checks by itself.
        assert [(push.token, push.commit) for push in lean.pushes] == [(APP, came)]
        assert lean.state.dispatches == []
        assert [event for event, *_ in started(runs)] == ["push", "push"]
        assert started(runs)[1] == ("push", "select", came)
        assert "ghs_app" not in runs[0].log
        again = [run for run in runs if run.workflow == "train.yml"][1]
        assert again.read("run.json")["ran"] == []

    def test_with_another_input_is_left_to_the_run_of_that(self, lean: Hub, changed: Work, template: Path) -> None:
        clone = changed("select", **select(template))

        def push_input() -> None:
            text = (clone / "conf/candidate/dummy.yaml").read_text()
            commit(clone, "Another input", **{"conf/candidate/dummy.yaml": f"{text}# other\n"})
            git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/select")

        lean.server.before.append(push_input)
        runs = lean.push(clone, "select")
        assert lean.commit("select") == git(clone, "rev-parse", "HEAD")
        assert lean.pushes == []
        assert lean.state.dispatches == []
        assert "which changed conf/candidate/dummy.yaml: its own run trains it, nothing is pushed" in runs[0].log
