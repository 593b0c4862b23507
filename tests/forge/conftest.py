"""A repository with a branch, at the stand-in of GitHub and in a folder."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from repositories import commit, git
from standin.server import standing_in
from standin.state import State

from gitloop.gitops.forge import Forge
from gitloop.gitops.github import GitHub
from gitloop.gitops.local import Local


class Place(NamedTuple):
    """A forge, the repository that it is for, and a clone to push from."""

    forge: Forge
    origin: Path
    clone: Path


@pytest.fixture(autouse=True)
def _no_actions(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACTIONS", "API_URL", "EVENT_PATH", "HEAD_REF", "REF_NAME", "REF_TYPE", "REPOSITORY", "TOKEN"):
        monkeypatch.delenv(f"GITHUB_{name}", raising=False)


@pytest.fixture(scope="session")
def _made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repositories")
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(folder, "init", "--quiet", "--initial-branch=main", "clone")
    here = folder / "clone"
    git(here, "remote", "add", "origin", "../origin.git")
    commit(here, "first", readme="read me\n")
    git(here, "switch", "--quiet", "--create", "work")
    commit(here, "second", readme="read me again\n")
    git(here, "push", "--quiet", "origin", "main", "work")
    return folder


@pytest.fixture
def clone(_made: Path, tmp_path: Path) -> Path:
    """On branch `work`, one commit ahead of main; both are pushed to origin.git beside it."""
    shutil.copytree(_made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "clone"


@pytest.fixture
def origin(clone: Path, tmp_path: Path) -> Path:
    return tmp_path / "origin.git"


@pytest.fixture
def state(origin: Path) -> Iterator[State]:
    with standing_in(State(origin=origin)) as found:
        yield found


def github(state: State, who: str = "ghs_bot") -> GitHub:
    """Without the pauses that GitHub asks for; `who` is a token."""
    return GitHub(state.repository, who, state.base_url, pause=0.0)


@pytest.fixture(params=["github", "local"])
def place(request: pytest.FixtureRequest, origin: Path, clone: Path) -> Place:
    if request.param == "local":
        return Place(Local(origin), origin, clone)
    return Place(github(request.getfixturevalue("state")), origin, clone)
