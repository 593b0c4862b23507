"""The forge at GitHub, against the stand-in, which fails where a request is not as GitHub publishes."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from repositories import git
from standin.published import Operation
from standin.state import BOT, State, error

from gitloop.errors import GitloopError, InputError, Refused
from gitloop.gitops import forge
from gitloop.gitops.github import GitHub

from .conftest import github

MARKED = "<!-- gitloop:report -->\n"


@pytest.fixture
def number(state: State) -> int:
    """A pull request that a person opened."""
    return state.propose("work")


def test_a_comment_is_made_once_and_updated_in_place(state: State, number: int) -> None:
    here = github(state)
    state.say(number, "reviewer", "looks good")
    for text in ("first", "second", "second"):
        here.comment(number, "report", text)
    assert state.said(number) == ["looks good", f"{MARKED}second"]
    assert [one[0] for one in state.writes()] == ["POST", "PATCH"]


def test_a_comment_is_found_behind_many(state: State, number: int) -> None:
    github(state).comment(number, "report", "first")
    for index in range(250):
        state.say(number, "reviewer", f"remark {index}")
    ours = state.comments.pop(1001)
    state.comments[9999] = {**ours, "id": 9999}
    github(state).comment(number, "report", "second")
    assert state.said(number)[250:] == [f"{MARKED}second"]
    assert sum("page=3" in path for _, path, _ in state.requests) == 1


def test_what_a_person_wrote_under_our_mark_is_left_alone(state: State, number: int) -> None:
    """A token that may write may edit anybody's comment."""
    for login in ("mallory", ""):
        state.say(number, login, f"{MARKED}all gates passed")
    github(state).comment(number, "report", "refused")
    assert state.said(number) == [f"{MARKED}all gates passed"] * 2 + [f"{MARKED}refused"]


def test_what_the_person_wrote_whose_token_it_is_is_ours(state: State, number: int) -> None:
    state.say(number, "mallory", f"{MARKED}mine")
    for text in ("first", "second"):
        github(state, "ghp_person").comment(number, "report", text)
    assert state.said(number) == [f"{MARKED}mine", f"{MARKED}second"]


def test_runs_at_the_same_time_leave_one_comment(state: State, number: int) -> None:
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(lambda _: github(state).comment(number, "report", "the same"), range(6)))
    assert state.said(number) == [f"{MARKED}the same"]


def test_duplicates_of_a_race_are_folded_into_the_oldest(state: State, number: int) -> None:
    for text in ("one", "two", "three"):
        state.say(number, BOT, MARKED + text)
    github(state).comment(number, "report", "four")
    assert {one["id"]: one["body"] for one in state.comments.values()} == {1001: f"{MARKED}four"}


def test_ends_of_lines_are_no_change(state: State, number: int) -> None:
    """Where a person edits a comment in the browser, GitHub keeps \\r\\n."""
    state.say(number, BOT, f"{MARKED}a\nb\n".replace("\n", "\r\n"))
    github(state).comment(number, "report", "a\nb\n")
    assert state.writes() == []


def test_a_pull_request_of_a_fork(state: State) -> None:
    state.branches["mallory:work"] = "a" * 40
    state.propose("mallory:work", login="mallory")
    here = github(state)
    assert here.pulls(head="work") == []
    (found,) = here.pulls(head="mallory:work")
    assert (found.head, found.fork, found.sha) == ("work", "mallory/late-flights", "a" * 40)
    assert here.propose("work", "main", "ours", "").number == 2, "the fork's is not the one of our branch"


def test_a_fork_that_was_deleted(state: State) -> None:
    state.branches["mallory:work"] = "a" * 40
    state.propose("mallory:work", login="mallory")
    state.deleted.add("mallory/late-flights")
    assert github(state).pulls()[0].fork == "mallory/(deleted)"


def test_the_state_of_a_pull_request(state: State) -> None:
    for name in ("open", "closed", "merged"):
        number = state.propose(name)
        state.threads[number] |= {"state": "open" if name == "open" else "closed", "merged": name == "merged"}
    here = github(state)
    for name in ("open", "closed", "merged"):
        assert [one.head for one in here.pulls(state=name)] == [name]
    assert [one.state for one in here.pulls(state="all")] == ["open", "closed", "merged"]


def test_nothing_is_written_where_nothing_changed(state: State) -> None:
    here = github(state)
    for _ in range(2):
        here.propose("work", "main", "one", "body\n", ["a"])
        here.issue("deploy", "Deploy failed", "log\n", ["incident"])
    assert len(state.writes()) == 3


def test_a_pull_request_moves_to_another_base(state: State, clone: Path) -> None:
    git(clone, "push", "--quiet", "origin", "main:release")
    github(state).propose("work", "main", "one", "")
    assert github(state).propose("work", "release", "one", "").base == "release"


def test_duplicate_issues_of_a_race_are_closed(state: State) -> None:
    for _ in range(3):
        state.add(BOT, pull=False, title="one", body="<!-- gitloop:deploy -->\nlog")
    state.add("mallory", pull=False, title="not ours", body="<!-- gitloop:deploy -->\nlog")
    assert github(state).issue("deploy", "one", "log") == 1
    assert [one["number"] for one in state.issues()] == [1, 4]
    assert (state.said(2), state.threads[2]["reason"]) == (["The same as #1."], "not_planned")
    github(state).close_issue("deploy", "It runs.")
    assert (state.said(1), state.threads[1]["reason"]) == (["It runs."], "completed")


def test_a_workflow_is_started(state: State) -> None:
    github(state).dispatch("train.yml", "work", {"reason": "`$(id)`"})
    assert state.dispatches == [{"workflow": "train.yml", "ref": "work", "inputs": {"reason": "`$(id)`"}}]
    with pytest.raises(InputError, match="workflow gone.yml at work: is not in octo/late-flights, .*`actions: write`"):
        github(state).dispatch("gone.yml", "work", {})


def test_a_server_that_fails_once_is_asked_again(state: State, number: int) -> None:
    state.failures += [error(502, "Server Error"), error(503, "Unavailable")]
    github(state).comment(number, "report", "said")
    assert state.said(number) == [f"{MARKED}said"]
    assert [status for _, _, status in state.requests][:3] == [502, 503, 200]


SECONDARY = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."


@pytest.mark.parametrize("status", [403, 429])
@pytest.mark.parametrize("method", ["POST", "PATCH"])
def test_it_waits_as_long_as_github_says(state: State, number: int, status: int, method: str) -> None:
    if method == "PATCH":
        github(state).comment(number, "report", "old")
    here = github(state)
    here.pulls()  # opens the connection
    began = time.monotonic()
    state.failures.append(error(status, SECONDARY, {"Retry-After": "1"}))
    here.comment(number, "report", "said")
    assert state.said(number) == [f"{MARKED}said"]
    assert 1 <= time.monotonic() - began < 3


def test_it_does_not_wait_for_an_hour(state: State) -> None:
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(time.time()) + 3600)}
    state.failures.append(error(403, "API rate limit exceeded for installation ID 1.", headers))
    with pytest.raises(Refused, match="pull requests: the rate limit of the token is used up .*; run again later"):
        github(state).pulls()


def test_a_server_that_goes_on_failing_is_said(state: State) -> None:
    state.failures += [error(502, "Server Error")] * 20
    with pytest.raises(InputError, match=r"pull requests: http://127.0.0.1.* does not answer .*; see https://www"):
        github(state).pulls()


def test_a_server_that_is_not_there_is_said() -> None:
    here = GitHub("octo/late-flights", "ghs_bot", "http://127.0.0.1:9/api/v3", pause=0.0)
    with pytest.raises(InputError, match=r"pull requests: http://127.0.0.1:9/api/v3 does not answer \(Connect"):
        here.pulls()


def test_the_setting_that_forbids_pull_requests_is_explained(state: State) -> None:
    state.may_propose = False
    with pytest.raises(Refused) as said:
        github(state).propose("work", "main", "one", "")
    assert str(said.value) == (
        "pull request of work: GitHub Actions may not open pull requests here; turn on Settings → Actions → General → "
        "Workflow permissions → Allow GitHub Actions to create and approve pull requests (of the organization first, "
        "where it is greyed out), or give the workflow a token of a GitHub App"
    )
    github(state, "ghp_person").propose("work", "main", "one", "")


@pytest.mark.parametrize(
    ("switch", "what", "message"),
    [
        ({"archived": True}, "propose", "octo/late-flights: is archived, so nothing can be changed; unarchive it"),
        ({"has_issues": False}, "issue", "octo/late-flights: has no issues; turn them on in Settings"),
        ({"may_propose": False, "administrator": True}, "propose", "GitHub Actions may not open pull requests here; "),
    ],
)
def test_what_may_not_be_done_is_known_before(state: State, switch: dict[str, bool], what: str, message: str) -> None:
    for name, value in switch.items():
        setattr(state, name, value)
    with pytest.raises(Refused, match=message):
        github(state).may(what)  # type: ignore[arg-type]
    assert state.writes() == []


def test_a_token_that_may_only_read(state: State, number: int) -> None:
    """As a fork's run has."""
    state.read_only = True
    with pytest.raises(Refused) as said:
        github(state).comment(number, "report", "said")
    assert str(said.value) == (
        f"comment on #{number}: the token may not (Resource not accessible by integration); grant the job "
        "`pull-requests: write`, or the token the same; in a fork's run it can only read"
    )


def test_a_token_that_is_not_accepted_is_not_shown(state: State) -> None:
    with pytest.raises(InputError, match="GITHUB_TOKEN is not accepted") as said:
        github(state, "ghp_very_secret").pulls()
    state.failures.append(error(400, "Who sends ghp_very_secret?"))
    with pytest.raises(GitloopError, match=r"GitHub failed \(400, Who sends \*\*\*\?\)") as also:
        github(state, "ghp_very_secret").pulls()
    assert "secret" not in str(said.value) + str(also.value)


def test_a_text_that_is_too_long_is_said(state: State, number: int) -> None:
    with pytest.raises(InputError, match=r"comment on #1: was not taken \(Validation Failed: body is too long"):
        github(state).comment(number, "report", "x" * 70_000)


def test_it_is_found_by_what_actions_says(state: State, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_REPOSITORY", state.repository)
    monkeypatch.setenv("GITHUB_API_URL", state.base_url)
    with pytest.raises(InputError, match="GITHUB_TOKEN: is not set; in a workflow give it to the step"):
        forge.here()
    monkeypatch.setenv("GITHUB_TOKEN", "ghs_bot")
    assert forge.here().pulls()[0].number == number


def test_the_stand_in_cannot_drift(state: State) -> None:
    """What is not as published is a fault; the rest of these tests end without one."""
    pulls = "/repos/octo/late-flights/pulls"
    assert Operation("POST", "/repos/octo/late-flights/pull").request("", {}) == [
        "POST /repos/octo/late-flights/pull: GitHub has no such operation"
    ]
    for method, address, body, fault in [
        ("GET", f"{pulls}?heads=a", None, "no query parameter heads"),
        ("GET", f"{pulls}?state=merged", None, "query state"),
        ("POST", pulls, {"head": "a"}, '"base" is a required property'),
        ("POST", pulls, {"head": "a", "base": "b", "labels": []}, "labels is not published"),
    ]:
        assert any(fault in one for one in Operation(method, pulls).request(address, body)), fault
    assert any("is a required property" in one for one in Operation("GET", pulls).answer(200, [{}]))
    assert Operation("POST", pulls).request(pulls, b"file") == [f"POST {pulls}: takes no file"]
    assert Operation("GET", "/repos/octo/late-flights/git/ref/tags/model@v0.1.0").request("", None) == []
    assert Operation("GET", pulls).answer(418, None) == [f"GET {pulls}: never 418"]
