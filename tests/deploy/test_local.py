"""Versions take turns on this machine, and callers do not notice."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from deployed import Site
from killing import killed
from project import edit
from repositories import git
from service import free_port


def test_no_request_fails_through_deploy_and_rollback(site: Site) -> None:
    assert "v0.1.0 runs in production" in site.becomes("v0.1.0", "--push")
    with site.load() as callers:
        site.becomes("v0.2.0", "--push")
        assert site.version() == "v0.2.0"
        site.becomes("v0.1.0", "--push")
    print(f"answers through a deploy and a rollback: {dict(callers.counts)}")
    assert set(callers.counts) == {"v0.1.0", "v0.2.0"}
    assert site.version() == "v0.1.0"
    assert len(site.services()) == 1
    given = [("model#production#1", "v0.1.0"), ("model#production#2", "v0.2.0"), ("model#production#3", "v0.1.0")]
    assert site.stages() == site.stages(".") == given
    logged = "".join(path.read_text() for path in (site.folder / "predictions").glob("predictions-*.jsonl"))
    assert logged.count('"v0.2.0"') >= callers.counts["v0.2.0"]  # one log, whatever the version


def test_deployed_again_nothing_changes(site: Site) -> None:
    assert "nothing had to change" not in site.becomes("v0.1.0", "--push")
    pids, state, stages = site.pids(), site.state(), site.stages()
    assert "nothing had to change" in site.becomes("v0.1.0", "--push")
    assert (site.pids(), site.state(), site.stages()) == (pids, state, stages)
    assert site.issues() == []
    old, site.port = site.url, free_port()
    edit(site.root / "environments/production.yaml", local__port=site.port)
    assert "nothing had to change" not in site.becomes("v0.1.0", "--push")
    assert (site.version(), site.state(), site.stages()) == ("v0.1.0", state, stages)  # the front moved, no more
    with pytest.raises(httpx.ConnectError):
        httpx.get(old, trust_env=False)


def test_two_at_a_time_are_one_deploy_and_a_record_of_another_clone_counts(site: Site) -> None:
    site.wants("v0.1.0")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: site.deploy("--push"), range(2)))
    assert [one.returncode for one in done] == [0, 0], [one.stderr for one in done]
    assert sorted("nothing had to change" in one.stdout for one in done) == [False, True]
    assert len(site.services()) == 1
    assert site.stages() == [("model#production#1", "v0.1.0")]
    # Another clone gave the environment v0.2.0 meanwhile, under the number that is the next one here.
    other, said = site.root.parent / "origin.git", ("--message", "v0.2.0 runs in production")
    git(other, "tag", "--annotate", "model#production#2", "model@v0.2.0^{commit}", *said)
    git(site.root, "tag", "--annotate", "model#production#2", "model@v0.4.0^{commit}", "--message", "never pushed")
    site.becomes("v0.1.0", "--push")
    given = [("model#production#1", "v0.1.0"), ("model#production#2", "v0.2.0"), ("model#production#3", "v0.1.0")]
    assert site.stages() == given


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("v0.3.0", "expected row 1: another score than the package records"),
        ("v0.4.0", "its service does not start: this version is broken"),
    ],
)
def test_a_bad_version_leaves_the_one_before(version: str, why: str, site: Site) -> None:
    site.becomes("v0.1.0", "--push")
    before = site.pids(), site.state()
    with site.load() as callers:
        site.wants(version)
        done = site.deploy("--push")
    assert done.returncode == 1
    assert f"production: {version} is not deployed: " in done.stderr
    assert why in done.stderr
    assert set(callers.counts) == {"v0.1.0"}
    assert (site.pids(), site.state()) == before
    assert site.stages() == [("model#production#1", "v0.1.0")]
    (issue,) = site.issues()
    assert (issue["state"], issue["title"]) == ("open", f"{version} could not be deployed to production")
    assert why in issue["body"]
    site.becomes("v0.1.0", "--push")  # reverted
    assert [one["state"] for one in site.issues()] == ["closed"]


def test_a_version_that_is_too_slow_is_not_deployed(site: Site) -> None:
    site.wants("v0.1.0", smoke={"latency_ms": 0.001})
    done = site.deploy()
    assert done.returncode == 1
    assert "ms is the median of the expected rows, the budget is 0.001 ms" in done.stderr
    assert (site.services(), site.stages("."), site.issues()) == ([], [], [])
    answer = site.get("/predict")
    assert (answer.status_code, answer.json()["notice"]) == (503, "nothing is deployed yet")


def test_none_is_a_clear_503(site: Site) -> None:
    site.becomes("v0.1.0", "--push")
    assert "nothing runs in production, which says so" in site.becomes("none", "--push")
    for path in ("/readyz", "/predict", "/model"):
        answer = site.get(path)
        assert answer.status_code == 503
        notice = "production runs no version: environments/production.yaml says so"
        assert answer.json() == {"error": "unavailable", "notice": notice}
    assert site.services() == []
    assert "nothing had to change" in site.becomes("none", "--push")
    retired = [tag for tag, _ in site.stages()]
    assert retired == ["model#production!#2", "model#production#1"]
    site.becomes("v0.1.0", "--push")
    assert [tag for tag, _ in site.stages()] == [*retired, "model#production#3"]


def test_where_nothing_ever_ran_nothing_is_started(site: Site) -> None:
    assert "nothing had to change" in site.becomes("none", "--push")
    assert (site.pids(), site.stages()) == (set(), [])


def test_an_environment_may_follow_the_newest_version(site: Site) -> None:
    for version in ("v0.3.0", "v0.4.0"):  # the bad ones
        git(site.root, "push", "--quiet", "--delete", "origin", f"model@{version}")
        git(site.root, "tag", "--delete", f"model@{version}")
    assert "v0.2.0 runs in production" in site.becomes("newest")
    assert site.version() == "v0.2.0"


def test_what_runs_here_can_be_stopped_and_started_again(site: Site) -> None:
    site.becomes("v0.1.0", "--push")
    assert "production is stopped" in site.verb("stop", "production").stdout
    assert site.pids() == set()
    assert "nothing of production runs here" in site.verb("stop", "production").stdout
    assert site.stages() == [("model#production#1", "v0.1.0")]
    site.becomes("v0.1.0", "--push")
    assert site.version() == "v0.1.0"


def test_environments_are_shown_as_they_should_be_and_as_they_are(site: Site) -> None:
    site.becomes("v0.1.0")
    (site.root / "environments/staging.yaml").write_text("version: newest\n")
    site.wants("v0.2.0")
    shown = site.verb("environments", "--since", "HEAD")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown.stdout.splitlines() if "│ local" in line]
    assert [row[:5] for row in rows] == [
        ["production", "local", "v0.2.0", "v0.2.0", "v0.1.0"],
        ["staging", "local", "newest", "v0.4.0", "–"],
    ]
    (site.root / "environments/staging.yaml").write_text("version: 3\nport: 1\n")
    wrong = site.verb("environments")
    assert wrong.returncode == 2
    assert "environments/staging.yaml: port: unknown key" in wrong.stderr


def test_what_was_killed_runs_again(site: Site) -> None:
    """The machine was started anew: the version runs again, and where the next one is bad, the one before."""
    site.becomes("v0.1.0", "--push")
    site.end()
    assert "nothing had to change" not in site.becomes("v0.1.0", "--push")
    assert site.version() == "v0.1.0"
    site.end()
    site.wants("v0.3.0")
    assert site.deploy("--push").returncode == 1
    assert site.version() == "v0.1.0"
    assert len(site.services()) == 1
    assert site.stages() == [("model#production#1", "v0.1.0")]


# Where a deploy of another version is killed: before the call that is named, or after it. Each leaves something else
# behind: there is one between any two of its changes to processes, files, tags here and tags at origin.
IMPORTS = "from gitloop.gitops import place, running, services, stages"
POINTS = (
    ("services", "prepared", "after"),
    ("place.processes", "start", "after"),
    ("services", "write", "after"),
    ("running", "end", "after"),
    ("stages.origin", "push", "before"),
    ("stages.origin", "push", "after"),
)


def test_killed_anywhere_and_run_again_it_ends_the_same(site: Site) -> None:
    site.becomes("v0.1.0", "--push")
    given = ["v0.1.0"]
    with site.load(clients=1) as callers:
        for where, name, when in POINTS:
            wanted = "v0.2.0" if given[-1] == "v0.1.0" else "v0.1.0"
            site.wants(wanted)
            done = site.deploy("--push", code=killed(IMPORTS, where, name, when))
            assert done.returncode == -signal.SIGKILL, (where, name, when, done.stderr)
            done = site.deploy("--push")
            assert done.returncode == 0, (where, name, when, done.stderr)
            given.append(wanted)
            assert site.version() == wanted, (where, name, when)
            assert len(site.services()) == 1, (where, name, when)
            assert [version for _, version in site.stages()] == given, (where, name, when)
            assert site.stages() == site.stages("."), (where, name, when)
    assert set(callers.counts) == {"v0.1.0", "v0.2.0"}
    assert git(site.root, "status", "--porcelain") == "M environments/production.yaml"
