"""A canary has its share of the requests while it does well, and none from the failure that is one too many."""

from __future__ import annotations

import itertools
import json
import signal
from pathlib import Path

import pytest
from deployed import Site
from killing import killed
from repositories import git

from gitloop.gitops import front, processes
from gitloop.gitops.canary import Canary, Share

GOOD = Canary("v0.2.0", "c0ffee", 20, 5, 100, "http://127.0.0.1:1")
# It answers the expected rows, and some more; then it fails.
TIRED = (
    "said = outcomes(self.served, scores)",
    "said = outcomes(self.served, scores)\n        TRIED.append(0)\n        if len(TRIED) > 20:\n            "
    "raise RuntimeError('tired')",
)
TERMS = {"canary": 20, "watch": {"errors": 5, "requests": 40, "seconds": 60}}


@pytest.mark.parametrize("percent", [1, 7, 20, 50])
def test_its_share_is_exact_and_spread_evenly(percent: int) -> None:
    share = Share(GOOD._replace(percent=percent))
    taken = [share.takes() for _ in range(1000)]
    assert sum(taken) == 10 * percent
    places = [place for place, one in enumerate(taken) if one]
    assert max(after - before for before, after in itertools.pairwise(places)) <= -(-100 // percent)


def test_it_is_stopped_by_the_failure_that_is_one_too_many() -> None:
    share = Share(GOOD)
    assert [share.heard(True) for _ in range(6)] == [False] * 5 + [True]
    assert share.why == "6 of the last 6 requests to v0.2.0 failed, and 5 percent of 100 may"
    assert not any(share.takes() for _ in range(100))
    # Of the last hundred, not of all: a canary that goes bad late is stopped as soon.
    late = Share(GOOD)
    assert not any(late.heard(False) for _ in range(10_000))
    assert [late.heard(True) for _ in range(6)] == [False] * 5 + [True]
    # What is within the terms, for ever: five in any hundred.
    well = Share(GOOD)
    assert not any(well.heard(number % 20 == 0) for number in range(2000))


def test_a_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    state = front.State("v0.1.0", "c0de", "http://127.0.0.1:2", "", "well", GOOD, (GOOD, "it failed"))
    (tmp_path / front.STATE).write_text(json.dumps(state.raw()))
    assert front.read(tmp_path) == state
    assert front.stopped(tmp_path, GOOD) == ""
    (tmp_path / front.STOPPED).write_text(json.dumps({"upstream": GOOD.upstream, "why": "it failed"}))
    assert front.stopped(tmp_path, GOOD) == "it failed"
    assert front.stopped(tmp_path, GOOD._replace(upstream="http://127.0.0.1:3")) == ""


def _tired(site: Site) -> None:
    """v0.5.0 is registered."""
    desk = site.root / "src/gitloop/serving/desk.py"
    text = desk.read_text()
    assert TIRED[0] in text
    desk.write_text(text.replace(*TIRED) + "\n\nTRIED: list[int] = []\n")
    git(site.root, "add", "--all", "src")
    git(site.root, "commit", "--quiet", "--message", "v0.5.0")
    git(site.root, "tag", "--annotate", "model@v0.5.0", "--message", "Registered v0.5.0: a test")
    git(site.root, "push", "--quiet", "origin", "main", "model@v0.5.0")


def test_a_canary_that_fails_is_stopped_and_one_that_does_well_stays(site: Site) -> None:
    _tired(site)
    site.becomes("v0.1.0", "--push")
    with site.load() as callers:
        site.wants("v0.5.0", **TERMS)
        done = site.deploy("--push")
        assert done.returncode == 1, done.stdout
        why = "requests to v0.5.0 failed, and 5 percent of 40 may, so v0.1.0 has all of them again"
        assert "production: v0.5.0 is not deployed: 3 of the last " in done.stderr
        assert why in done.stderr
        ended = len(callers.seen)
    # It had answers to give, none of its failures reached a caller, and after the stop it was asked nothing.
    print(f"answers with a canary that fails: {dict(callers.counts)}")
    assert set(callers.counts) == {"v0.1.0", "v0.5.0"}
    assert set(callers.seen[ended:]) == {"v0.1.0"}
    assert len(site.services()) == 1
    assert site.stages() == [("model#production#1", "v0.1.0")]
    (issue,) = site.issues()
    assert why in issue["body"]
    assert "RuntimeError: tired" in issue["body"]
    again = site.deploy("--push")
    assert (again.returncode, "or `canary` or `watch` to try it again" in again.stderr) == (1, True)

    # One that does well, killed while it is looked at, then looked at by the next deploy, has its share and stays.
    site.wants("v0.2.0")
    with site.load() as callers:
        code = killed("from gitloop.gitops import beside", "beside", "_looked", "before")
        assert site.deploy("--push", code=code).returncode == -signal.SIGKILL
        asked = len(callers.seen)
        done = site.deploy("--push")
        assert done.returncode == 0, done.stderr
        assert "canary with 20 percent of the requests: 0 of " in done.stdout
    counts = callers.seen[asked:].count("v0.2.0"), len(callers.seen[asked:])
    print(f"answers with a canary that does well: {counts}")
    assert set(callers.counts) == {"v0.1.0", "v0.2.0"}
    assert counts[0] == pytest.approx(0.2 * counts[1], rel=0.1, abs=3)
    assert (site.version(), len(site.services())) == ("v0.1.0", 2)
    assert site.stages()[-1] == ("model#production#2", "v0.2.0")
    assert "nothing had to change" in site.deploy("--push").stdout

    # It ends later, when no deploy looks: the front sends it nothing any more, the next deploy says so.
    (canary,) = (
        mark for mark in site.services() if mark.endswith(site.state()["canary"]["upstream"].rpartition(":")[2])
    )
    processes.stop(canary)
    with site.load() as callers:
        pass
    assert set(callers.counts) == {"v0.1.0"}
    gone = site.deploy("--push")
    assert gone.returncode == 1
    assert "requests to v0.2.0 failed" in gone.stderr
    assert site.stages()[-1] == ("model#production#3", "v0.1.0")

    # With all requests, or none beside: as without a canary.
    site.wants("v0.2.0", canary=None)
    assert "nothing had to change" not in site.deploy("--push").stdout
    assert (site.version(), len(site.services())) == ("v0.2.0", 1)
