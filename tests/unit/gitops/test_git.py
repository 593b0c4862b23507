"""What the work is compared with."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from gitloop import git
from gitloop.errors import InputError


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_HEAD_REF", "GITHUB_REF_NAME", "GITLOOP_BASE"):
        monkeypatch.delenv(name, raising=False)
    run("init", "--quiet", "--initial-branch=main")
    commit("one")
    return tmp_path


def run(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout.strip()


def commit(text: str) -> str:
    Path("file").write_text(text)
    run("add", "file")
    run("commit", "--quiet", "--message", text)
    return run("rev-parse", "HEAD")


def test_on_main_it_is_the_commit_before(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run("rev-parse", "HEAD")
    assert git.base() is None
    second = commit("two")
    assert git.base() == first
    Path("file").write_text("being edited")
    assert git.base() == second
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_REF_NAME", "main")
    assert git.base() == first  # what a run changes is its own work


def test_on_a_branch_it_is_where_it_left_main(repository: Path) -> None:
    left = run("rev-parse", "HEAD")
    run("switch", "--quiet", "--create", "work")
    commit("mine")
    run("switch", "--quiet", "main")
    commit("theirs")
    run("switch", "--quiet", "work")
    assert git.base() == left
    run("update-ref", "refs/remotes/origin/main", "main~1")
    assert git.base() == left


def test_actions_names_the_branch_of_a_detached_head(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("checkout", "--quiet", "--detach")
    assert git.branch() is None
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_REF_NAME", "a/branch")
    assert git.branch() == "a/branch"
    monkeypatch.setenv("GITHUB_HEAD_REF", "of-the-pull-request")
    assert git.branch() == "of-the-pull-request"


def test_a_base_may_be_named(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITLOOP_BASE", "main")
    assert git.base() == run("rev-parse", "HEAD")
    monkeypatch.setenv("GITLOOP_BASE", "--upload-pack=x")
    with pytest.raises(InputError, match="GITLOOP_BASE=--upload-pack=x: is not a revision"):
        git.base()


def test_what_git_refuses_is_said_in_a_line(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^git switch: fatal: invalid reference: nowhere$"):
        git.git("switch", "nowhere")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="git: is not installed"):
        git.git("status")
    assert git.base() is None
