"""The workflow Report: what GitHub says of the run decides where, what the run uploaded is text."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from repositories import git
from standin.state import State

from gitloop.cli import main
from gitloop.gitops.forge import LIMIT

REPORT = "## ✅ passed\n\n| gate | value |\n|---|--:|\n| `roc_auc` | 0.71 |\n"
MARKED = "<!-- gitloop:report -->\n"
RUN = "https://github.example/octo/late-flights/actions/runs/7"


class Case:
    """A run of train.yml that has ended, and what it uploaded."""

    def __init__(self, state: State, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state, self.folder, self.artifact = state, folder, folder / "artifact"
        self.artifact.mkdir()
        (self.artifact / "report.md").write_text(REPORT)
        self.event: dict[str, Any] = {
            "action": "completed",
            "repository": {"full_name": state.repository},
            "workflow_run": {
                "id": 7,
                "name": "Train",
                "event": "push",
                "conclusion": "success",
                "head_branch": "work",
                "head_sha": state.sha("work"),
                "head_repository": {"full_name": state.repository},
                "html_url": RUN,
                "pull_requests": [],
            },
        }
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(folder / "event.json"))
        monkeypatch.setenv("GITHUB_REPOSITORY", state.repository)
        monkeypatch.setenv("GITHUB_API_URL", state.base_url)
        monkeypatch.setenv("GITHUB_TOKEN", "ghs_bot")
        monkeypatch.setenv("GITHUB_ACTIONS", "true")

    def fork(self) -> Case:
        self.state.branches["mallory:work"] = "a" * 40
        mallory = {"full_name": "mallory/late-flights"}
        return self.ran(event="pull_request", head_repository=mallory, head_sha="a" * 40)

    def ran(self, **changes: Any) -> Case:
        self.event["workflow_run"].update(changes)
        return self

    def comment(self) -> int:
        (self.folder / "event.json").write_text(json.dumps(self.event))
        return main(["comment", "--artifact", str(self.artifact)])


@pytest.fixture
def case(state: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    return Case(state, tmp_path, monkeypatch)


def test_the_report_stands_on_the_pull_request_once(case: Case, state: State) -> None:
    number = state.propose("work")
    assert case.comment() == 0
    (case.artifact / "report.md").write_text(REPORT.replace("0.71", "0.72"))
    assert case.comment() == 0
    assert state.said(number) == [MARKED + REPORT.replace("0.71", "0.72")]


def test_a_fork_s_report_says_whose_it_is(case: Case, state: State) -> None:
    """The list of pull requests in the event is empty for a fork; another fork has the same branch and commit."""
    ours, number = state.propose("work"), state.propose("mallory:work", login="mallory")
    state.branches["eve:work"] = "a" * 40
    other = state.propose("eve:work", login="eve")
    assert case.fork().comment() == 0
    assert (state.said(ours), state.said(other)) == ([], [])
    said = "> Made by a run of the fork's own code and workflows: read its changes first.\n\n"
    assert state.said(number) == [MARKED + said + REPORT]


def test_a_report_of_a_commit_that_is_not_the_newest_is_not_posted(
    case: Case, state: State, clone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state.propose("work")
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "newer")
    git(clone, "push", "--quiet", "origin", "work")
    old = case.event["workflow_run"]["head_sha"]
    assert case.comment() == 0
    assert state.writes() == []
    assert f"#1 is at {state.sha('work')[:12]} and the report of {old[:12]}: a newer run" in capsys.readouterr().out  # type: ignore[index]


def test_without_a_pull_request_nothing_is_posted(case: Case, state: State, capsys: pytest.CaptureFixture[str]) -> None:
    state.propose("other")
    assert case.comment() == 0
    assert state.writes() == []
    assert "work has no open pull request" in capsys.readouterr().out


def test_every_pull_request_of_the_branch_has_it(case: Case, state: State) -> None:
    for base in ("main", "release"):
        state.propose("work", base)
    assert case.comment() == 0
    assert state.said(1) == state.said(2) == [MARKED + REPORT]


def test_a_run_that_stopped_early_is_said(case: Case, state: State) -> None:
    number = state.propose("work")
    (case.artifact / "report.md").unlink()
    assert case.ran(conclusion="failure").comment() == 0
    sha = str(state.sha("work"))[:12]
    assert state.said(number) == [
        f"{MARKED}❌ **Failed before there was a report** of {sha}. [What the run says]({RUN})"
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"event": "pull_request"}, "work is trained when it is pushed: nothing to report here"),
        ({"conclusion": "action_required"}, "the run made no report and is action_required: nothing to say"),
    ],
)
def test_a_run_that_has_nothing_to_say_says_nothing(
    case: Case, state: State, changes: dict[str, str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    state.propose("work")
    (case.artifact / "report.md").unlink()
    assert case.ran(**changes).comment() == 0
    assert state.requests == []
    assert why in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("kind", ["link", "folder link", "pipe", "folder"])
def test_a_report_that_is_no_plain_file_is_not_read(case: Case, state: State, kind: str) -> None:
    """A link could lead to what the runner knows, and a pipe would never end."""
    state.propose("work")
    secret = case.folder / "elsewhere"
    secret.mkdir()
    (secret / "report.md").write_text("secret")
    report = case.artifact / "report.md"
    report.unlink()
    if kind == "link":
        report.symlink_to(secret / "report.md")
    elif kind == "folder link":
        report.symlink_to(secret)
    elif kind == "pipe":
        os.mkfifo(report)
    else:
        report.mkdir()
    assert case.comment() == 0
    assert state.writes() == []


def test_nothing_but_the_report_is_read(case: Case, state: State) -> None:
    """What the run uploaded can name another pull request as often as it wants."""
    victim, number = state.propose("other"), state.propose("mallory:work", login="mallory")
    case.fork()
    for name in ("run.json", "pull.json", "number"):
        (case.artifact / name).write_text(json.dumps({"number": victim, "head_sha": state.sha("work")}))
    assert case.comment() == 0
    assert (len(state.said(victim)), len(state.said(number))) == (0, 1)


def test_hostile_text_is_inert(case: Case, state: State) -> None:
    text = f"{MARKED}{MARKED}<!-- gitloop:monitor -->\n@octocat closes #1 <img src=x> [x](https://evil.example)\x00\x1b[31m\n"
    number = state.propose("mallory:work", login="mallory")
    case.fork()
    (case.artifact / "report.md").write_text(text)
    assert case.comment() == 0
    (said,) = state.said(number)
    assert said.startswith(MARKED + "> Made by a run of the fork's own code")
    assert said.count("<!--") == 1
    for acting in ("@octocat", "#1", "<img", "](", "://", "\x00", "\x1b"):
        assert acting not in said.removeprefix(MARKED)


def test_bytes_that_are_no_text_are_shown_as_such(case: Case, state: State) -> None:
    number = state.propose("work")
    (case.artifact / "report.md").write_bytes(b"before \xff\xfe after\n")
    assert case.comment() == 0
    assert state.said(number) == [MARKED + "before \ufffd\ufffd after\n"]


@pytest.mark.parametrize("letter", ["x", "@a", "漢", "🟢"])
def test_a_long_report_is_cut_at_a_line_and_says_so(case: Case, state: State, letter: str) -> None:
    """GitHub takes no longer one; the letters that make it inert count."""
    number = state.propose("mallory:work", login="mallory")
    case.fork()
    line = letter * 50 + "\n"
    (case.artifact / "report.md").write_text(line * 20_000, encoding="utf-8")
    assert case.comment() == 0
    (said,) = state.said(number)
    assert len(said) <= LIMIT
    assert f"> Cut, because it is too long for a comment. [All of it]({RUN})" in said
    assert said.rpartition("\n")[2].replace("\u2060", "") == line.strip()


@pytest.mark.parametrize("text", [None, "", "[]", "{}", '{"workflow_run": null}', '{"pull_request": {}}'])
def test_it_is_for_the_event_of_a_run(
    case: Case, text: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is None:
        monkeypatch.delenv("GITHUB_EVENT_PATH")
    else:
        (case.folder / "event.json").write_text(text)
    assert main(["comment", "--artifact", str(case.artifact)]) == 2
    assert "GITHUB_EVENT_PATH: is not the event of a workflow_run that has ended; it is for report.yml" in (
        capsys.readouterr().err
    )


def test_a_token_that_may_not_comment_turns_the_run_red(
    case: Case, state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    state.propose("work")
    state.read_only = True
    assert case.comment() == 1
    said = capsys.readouterr().err
    assert "comment on #1: the token may not" in said
    assert "ghs_bot" not in said


def test_a_workflow_is_started_at_the_branch(case: Case, state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a pull request the branch is its head."""
    monkeypatch.setenv("GITHUB_HEAD_REF", "work")
    monkeypatch.setenv("GITHUB_REF_NAME", "1/merge")
    assert main(["dispatch", "train.yml"]) == 0
    assert state.dispatches == [{"workflow": "train.yml", "ref": "work", "inputs": {}}]


@pytest.mark.parametrize("name", ["train", "../train.yml", "a b.yml", "1"])
def test_what_is_no_workflow_is_refused(case: Case, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dispatch", name]) == 2
    assert f"{name}: is not the name of a workflow's file; give it as in `train.yml`" in capsys.readouterr().err


def test_a_head_without_a_branch_is_said(
    case: Case, clone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clone)
    monkeypatch.delenv("GITHUB_ACTIONS")
    git(clone, "switch", "--quiet", "--detach", "HEAD")
    assert main(["dispatch", "train.yml"]) == 2
    assert "git: the head is detached, so there is no branch to start at; run `git switch" in capsys.readouterr().err
