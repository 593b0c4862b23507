"""Monitoring, run by act on a log that a real service wrote: what is found, and what is done about it, once."""

from __future__ import annotations

import json
import random
import shutil
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hub.act import Run
from hub.hub import Hub
from hub.seeds import Seed
from project import edit, run
from repositories import git
from windows import put

Line = dict[str, Any]
DAYS = 7
MONITOR = {"workflow_dispatch": "monitor"}  # without the page, at which the first looks of the first test look
ROWS = 3000


class Watched:
    """The hub, whose version v0.1.0 runs in production on the runner, and its prediction log."""

    def __init__(self, here: Hub, lines: list[Line]) -> None:
        self.here, self.lines = here, lines
        self.log = here.home / ".gitloop/octo/late-flights/.deploy/production/predictions"

    def says(
        self, change: Callable[[Line], None] = lambda _: None, truth: Callable[[Line], bool] | None = None
    ) -> None:
        """The log of the last days; `change` is what became of the world since, `truth` what came true."""
        shutil.rmtree(self.log, ignore_errors=True)
        lines = [json.loads(json.dumps(one)) for one in self.lines]
        for one in lines:
            change(one)
        put(self.log, "predictions", lines)
        if truth:
            put(self.log, "feedback", [{"id": one["id"], "time": one["time"], "truth": truth(one)} for one in lines])

    def looks(self) -> Run:
        (made,) = self.here.dispatch("monitor.yml", "main")
        return made

    def decided(self) -> str:
        """What was decided after the newest window, as the branch keeps it."""
        origin = self.here.origin
        name = git(origin, "ls-tree", "--name-only", "monitoring", "decisions/").splitlines()[-1]
        return str(json.loads(git(origin, "show", f"monitoring:{name}"))["action"])

    def pulls(self) -> list[tuple[int, str]]:
        return [(one["number"], one["head"]) for one in self.here.state.pulls()]

    def issues(self) -> list[str]:
        return [one["state"] for one in self.here.state.threads.values() if not one["pull"]]


@pytest.fixture(scope="module")
def logged(seed: Seed, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Line]]:
    """A clone with a policy for tests, and what a service of its model wrote."""
    clone = tmp_path_factory.mktemp("logged") / "clone"
    git(clone.parent, "clone", "--quiet", "--branch", "main", str(seed.origin), str(clone))
    (tar,) = (seed.store / "caches").glob("*/*.tar")
    with tarfile.open(tar) as archive:
        archive.extractall(clone, filter="data")
    policy = {"windows": 3, "needed": 1, "retire": 1, "cooling_days": 0}
    # Wide bounds: of ten days in January the last two are another weather, and other predictions.
    drift = {"wasserstein": 1.5, "jensenshannon": 0.5}
    edit(clone / "conf/monitoring/default.yaml", policy=policy, drift=drift)
    edit(clone / "environments/production.yaml", version="v0.1.0")
    run(clone, "gitloop", "params")
    run(clone, "dvc", "checkout", "--quiet", "model")
    # The rows that it was trained on: nothing has changed since.
    run(clone, "gitloop", "replay", "--serve", "--since", "2013-01-01", "--until", "2013-01-09")
    text = "".join(path.read_text() for path in sorted((clone / "predictions").glob("predictions-*.jsonl")))
    lines = [json.loads(line) for line in text.splitlines()]
    lines = random.Random(0).sample(lines, ROWS)
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for number, one in enumerate(lines):
        one["version"] = "v0.1.0"
        one["time"] = (midnight - timedelta(days=DAYS) * (1 - (number + 0.5) / ROWS)).isoformat()
    git(clone, "commit", "--quiet", "--all", "--message", "A policy for tests")
    return clone, lines


@pytest.fixture
def watched(here: Hub, logged: tuple[Path, list[Line]]) -> Watched:
    clone, lines = logged
    git(clone, "push", "--quiet", str(here.origin), "HEAD:refs/heads/main")
    git(here.origin, "tag", "--annotate", "model@v0.1.0", "main", "--message", "Registered v0.1.0: a test")
    says = ("--message", "v0.1.0 runs in production")
    git(here.origin, "tag", "--annotate", "model#production#1", "main", *says)
    here.workflows = ("monitor.yml", "site.yml")
    return Watched(here, lines)


def colder(line: Line) -> None:
    if line["inputs"].get("temp") is not None:
        line["inputs"]["temp"] -= 25


def colder_and_windier(line: Line) -> None:
    colder(line)
    if line["inputs"].get("wind_speed") is not None:
        line["inputs"]["wind_speed"] += 30


def test_from_a_quiet_week_to_a_retraining_and_a_retirement(watched: Watched) -> None:
    here = watched.here
    # Nothing was predicted yet.
    empty = watched.looks()
    assert empty.ok, empty.log[-3000:]
    assert (watched.pulls(), watched.issues()) == ([], [])
    assert "v0.1.0" in (here.store / "artifacts" / str(empty.id) / "site/index.html").read_text()

    watched.says()
    here.variables["GITLOOP_PAGES"] = "true"
    quiet = watched.looks()
    assert quiet.ok, quiet.log[-3000:]
    assert (watched.decided(), watched.pulls(), watched.issues()) == ("nothing", [], [])
    assert (here.store / "artifacts" / str(quiet.id) / "monitoring").is_dir()
    # The page is published, with the window and Evidently's report of it, also when it is made by itself.
    for made in (quiet, *here.dispatch("site.yml", "main")):
        assert made.ok, made.log[-3000:]
        assert "Nothing of the model was found" in (here.store / "pages/index.html").read_text()
        assert [one.name for one in (here.store / "pages/reports").rglob("*.html")] == ["v0.1.0.html"]
    here.variables.pop("GITLOOP_PAGES")
    here.jobs = MONITOR

    watched.says(colder)
    drift = watched.looks()
    assert drift.ok, drift.log[-3000:]
    assert watched.decided() == "retrain"
    ((number, head),) = watched.pulls()
    assert head == "gitloop/retrain"
    assert "temp" in here.state.threads[number]["body"]
    asked = [(one["workflow"], one["ref"]) for one in here.state.dispatches]
    assert ("train.yml", "gitloop/retrain") in asked

    again = watched.looks()
    assert again.ok
    assert watched.pulls() == [(number, head)]

    # Closed: not now for these reasons, but for others.
    here.state.threads[number]["state"] = "closed"
    assert watched.looks().ok
    assert watched.pulls() == []
    watched.says(colder_and_windier)
    assert watched.looks().ok
    ((other, _),) = watched.pulls()
    assert other != number

    # Truth has come, and it is the opposite of what was predicted.
    watched.says(truth=lambda one: one["probability"] < 0.1)
    breach = watched.looks()
    assert breach.ok, breach.log[-3000:]
    assert watched.decided() == "retire"
    assert "gitloop/retire-production" in [head for _, head in watched.pulls()]


def test_a_log_with_a_broken_file_and_a_token_that_may_not_propose(watched: Watched) -> None:
    here = watched.here
    here.jobs = MONITOR
    watched.says()
    broken = sorted(watched.log.glob("*.jsonl"))[0]
    broken.write_bytes(b'{"id": "torn\n\x00\xff\n' * 50 + broken.read_bytes())
    looked = watched.looks()
    assert looked.ok, looked.log[-3000:]
    assert watched.decided() == "alert"
    assert (watched.pulls(), watched.issues()) == ([], ["open"])

    here.state.may_propose = False
    watched.says(colder)
    refused = watched.looks()
    assert not refused.ok
    assert "Allow GitHub Actions to create and approve pull requests" in refused.log
    assert watched.pulls() == []
    here.state.may_propose = True
    assert watched.looks().ok
    assert [head for _, head in watched.pulls()] == ["gitloop/retrain"]


def test_the_log_of_another_machine_is_not_looked_for(watched: Watched, tmp_path: Path) -> None:
    """A database is named by the environment, whichever machine wrote to it."""
    clone = watched.here.clone("database")
    edit(clone / "conf/serving/default.yaml", log__url_env="PREDICTION_LOG_URL")
    run(clone, "gitloop", "params")
    done = run(clone, "gitloop", "monitor", "--environment", "production", check=False)
    assert done.returncode == 2
    assert "PREDICTION_LOG_URL" in done.stderr
