"""The forge in a folder."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from repositories import commit, git

from gitloop.errors import InputError, Refused
from gitloop.gitops import forge
from gitloop.gitops.local import Local


@pytest.fixture
def local(origin: Path) -> Local:
    return Local(origin)


def threads(origin: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(git(origin, "show", "refs/gitloop/forge"))["threads"]
    return found


def test_a_comment_is_made_once_and_updated_in_place(local: Local, origin: Path) -> None:
    number = local.propose("work", "main", "one", "").number
    for mark, text in [("report", "first"), ("monitor", "drift"), ("report", "second")]:
        local.comment(number, mark, text)
    said = [{"mark": "report", "body": "second"}, {"mark": "monitor", "body": "drift"}]
    assert threads(origin)[number - 1]["comments"] == said
    before = git(origin, "rev-parse", "refs/gitloop/forge")
    local.comment(number, "report", "second")
    assert git(origin, "rev-parse", "refs/gitloop/forge") == before


def test_a_merge_is_seen(local: Local, clone: Path) -> None:
    """By a merge on the laptop and a push, which is all that there is without an account."""
    number = local.propose("work", "main", "one", "").number
    git(clone, "switch", "--quiet", "main")
    git(clone, "merge", "--quiet", "--no-ff", "--message", "merge", "work")
    git(clone, "push", "--quiet", "origin", "main", ":work")
    assert local.pulls() == []
    (merged,) = local.pulls(state="merged")
    assert (merged.number, merged.sha) == (number, git(clone, "rev-parse", "work"))
    git(clone, "switch", "--quiet", "work")
    commit(clone, "more", readme="more\n")
    git(clone, "push", "--quiet", "origin", "work")
    assert local.propose("work", "main", "two", "").number == number + 1


def test_a_branch_that_is_deleted_closes_its_pull_request(local: Local, clone: Path) -> None:
    local.propose("work", "main", "one", "")
    git(clone, "push", "--quiet", "origin", ":work")
    assert [one.state for one in local.pulls(state="all")] == ["closed"]


def test_an_issue_keeps_why_it_was_closed(local: Local, origin: Path) -> None:
    number = local.issue("deploy", "Deploy failed", "log", ["incident"])
    local.close_issue("deploy", "It runs.")
    found = threads(origin)[number - 1]
    assert (found["state"], found["labels"], found["comments"]) == (
        "closed",
        ["incident"],
        [{"mark": None, "body": "It runs."}],
    )


def test_dispatches_are_kept_in_order(local: Local) -> None:
    for number in range(12):
        local.dispatch("train.yml", "work", {"number": str(number)})
    assert local.dispatches()[11] == {"workflow": "train.yml", "ref": "work", "inputs": {"number": "11"}}
    assert len(local.dispatches()) == 12


def test_processes_at_a_time_lose_nothing(origin: Path, local: Local) -> None:
    """Each opens an issue of its own and one that all share, and comments; no number is given twice."""
    local.propose("work", "main", "one", "")
    script = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from gitloop.gitops.local import Local
        here = Local(Path({str(origin)!r}))
        for round in range(3):
            here.issue(f"mine-{{sys.argv[1]}}-{{round}}", "mine", "")
            here.issue("shared", "shared", f"{{sys.argv[1]}} {{round}}")
            here.comment(1, f"mark-{{sys.argv[1]}}-{{round}}", "said")
            here.label(1, add=[f"label-{{sys.argv[1]}}-{{round}}"])
            here.dispatch("train.yml", "work", {{}})
    """)
    running = [subprocess.Popen([sys.executable, "-c", script, str(number)]) for number in range(4)]
    assert [one.wait() for one in running] == [0, 0, 0, 0]
    marks = [one.get("mark") for one in threads(origin)]
    assert len(marks) == len(set(marks)) == 14
    assert len({one["mark"] for one in threads(origin)[0]["comments"]}) == 12
    assert len(local.pulls()[0].labels) == 12
    assert len(local.dispatches()) == 12


def test_clones_do_not_see_it_and_git_finds_nothing_wrong(local: Local, origin: Path, tmp_path: Path) -> None:
    local.propose("work", "main", "one", "")
    local.comment(1, "report", "said")
    other = tmp_path / "other"
    git(tmp_path, "clone", "--quiet", str(origin), str(other))
    assert "gitloop" not in git(other, "for-each-ref")
    assert "error" not in git(origin, "fsck", "--strict")
    git(origin, "gc", "--quiet", "--prune=now")
    assert local.pulls()[0].title == "one"


def test_what_never_moves_on_ends(local: Local, origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a lock that a killed process left."""
    local.propose("work", "main", "one", "")
    monkeypatch.setattr("gitloop.gitops.records.TRIES", 2)
    (origin / "refs/gitloop/forge.lock").touch()
    with pytest.raises(Refused, match=r"could not be written in 2 tries \(.*forge\.lock.*\); "):
        local.comment(1, "report", "said")


def test_a_folder_that_may_not_be_written(local: Local, origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert stat.S_ISDIR(origin.stat().st_mode)
    with pytest.raises(Refused, match="origin.git: may not be written, so no propose is possible; ask its owner"):
        local.may("propose")


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="empty: fatal: not a git repository.*; it must be a Git repository"):
        Local(tmp_path / "empty").pulls()


@pytest.mark.parametrize("address", ["{origin}", "file://{origin}", "../origin.git"])
def test_it_is_found_by_the_remote(clone: Path, origin: Path, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.chdir(clone)
    git(clone, "remote", "set-url", "origin", address.format(origin=origin))
    forge.here().propose("work", "main", "one", "")
    assert Local(origin).pulls()[0].title == "one"


def test_a_remote_that_is_neither_is_said(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(clone)
    git(clone, "remote", "set-url", "origin", "https://user:secret@git.example.org/octo/late-flights")
    with pytest.raises(InputError, match="origin: is not a folder; for GitHub run `export GITHUB_REPOSITORY=") as said:
        forge.here()
    assert "secret" not in str(said.value)
    git(clone, "remote", "remove", "origin")
    with pytest.raises(InputError, match="origin: is not set; "):
        forge.here()
