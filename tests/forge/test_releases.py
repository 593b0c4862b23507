"""Releases at GitHub, where an upload may break off, and in a folder, where a run may be killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from repositories import git
from standin.state import BOT, State, error

from gitloop.errors import GitloopError, InputError, Refused
from gitloop.gitops.local import Local
from gitloop.gitops.records import Records

from .conftest import github

TAG = "model@v0.1.0"


@pytest.fixture(autouse=True)
def _tagged(origin: Path) -> None:
    git(origin, "tag", "--annotate", TAG, "work", "--message", "first")


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    made = [tmp_path / "model-v0.1.0.tar", tmp_path / "sbom.json"]
    made[0].write_bytes(b"model" * 5000)
    made[1].write_text("{}")
    return made


def held(state: State, name: str = "model-v0.1.0.tar") -> dict[str, Any]:
    """An asset, as the stand-in keeps it."""
    return state.assets(TAG)[name]


def test_nothing_is_written_where_nothing_changed(state: State, files: list[Path]) -> None:
    url = github(state).publish(TAG, "v0.1.0", "body\n", files)
    assert url == f"https://github.example/octo/late-flights/releases/tag/{TAG}"
    written = [method for method, *_ in state.writes()]
    assert written == ["POST", "POST", "POST", "PATCH"], "a draft, its assets, and then it is published"
    for _ in range(2):
        assert github(state).publish(TAG, "v0.1.0", "body", files) == url
    assert len(state.writes()) == 4
    files[1].write_text("[]")
    github(state).publish(TAG, "v0.1.0", "body", files)
    assert [method for method, *_ in state.writes()[4:]] == ["DELETE", "POST"]


def test_a_run_that_ends_anywhere_is_gone_on_with(state: State, files: list[Path]) -> None:
    """Before each request, of which none is sent any more; nobody finds a release that is not whole."""
    github(state).publish(TAG, "v0.1.0", "body", files)
    requests = len(state.requests)
    for number in range(requests):
        state.releases.clear()
        state.failures += [*[None] * number, error(400, "ends")]
        with pytest.raises(GitloopError, match="ends"):
            github(state).publish(TAG, "v0.1.0", "body", files)
        assert all(one["draft"] for one in state.releases.values())
        github(state).publish(TAG, "v0.1.0", "body", files)
        (found,) = state.releases.values()
        assert (found["draft"], found["name"], found["body"]) == (False, "v0.1.0", "body")
        assert {name: one["content"] for name, one in state.assets(TAG).items()} == {
            file.name: file.read_bytes() for file in files
        }
    assert requests > 8


@pytest.mark.parametrize("times", [1, 3])
def test_an_upload_that_breaks_off_is_done_again(state: State, files: list[Path], times: int) -> None:
    state.breaks_off = times
    if times > 1:
        with pytest.raises(InputError, match=r"release model@v0.1.0: .*; "):
            github(state).publish(TAG, "v0.1.0", "body", files)
        assert not github(state).asset(TAG, files[0].name, files[0])
    state.breaks_off = min(times, 1)
    github(state).publish(TAG, "v0.1.0", "body", files)
    assert held(state)["content"] == files[0].read_bytes()


def test_an_asset_without_a_digest_is_replaced(state: State, files: list[Path], tmp_path: Path) -> None:
    """An older server gives none: the same size says nothing of an archive."""
    state.old = True
    for _ in range(2):
        github(state).publish(TAG, "v0.1.0", "body", files)
        assert github(state).asset(TAG, files[0].name, tmp_path / "back")
    assert sum(path.endswith(f"name={files[0].name}") for _, path, _ in state.writes()) == 2


def test_drafts_of_a_race_are_folded_into_the_oldest(state: State, files: list[Path]) -> None:
    for _ in range(2):
        state.release(BOT, tag_name=TAG, name="", body="", draft=True)
    state.release(BOT, tag_name="model@v0.0.9", name="", body="", draft=True)
    github(state).publish(TAG, "v0.1.0", "body", files)
    state.release(BOT, tag_name=TAG, name="", body="", draft=True)
    github(state).publish(TAG, "v0.1.0", "body", files)
    assert {number: (one["tag_name"], one["draft"]) for number, one in state.releases.items()} == {
        1: (TAG, False),
        3: ("model@v0.0.9", True),
    }


def test_an_immutable_release(state: State, files: list[Path]) -> None:
    state.immutable = True
    for _ in range(2):
        github(state).publish(TAG, "v0.1.0", "body", files)
    files[0].write_bytes(b"other")
    with pytest.raises(Refused) as said:
        github(state).publish(TAG, "v0.1.0", "body", files)
    assert str(said.value) == (
        f"release {TAG}: it is published with other assets, and may not change (Cannot delete asset from an immutable "
        "release.); register a new version"
    )


def test_a_token_that_may_only_read(state: State, files: list[Path], tmp_path: Path) -> None:
    state.read_only = True
    with pytest.raises(Refused) as said:
        github(state).publish(TAG, "v0.1.0", "body", files)
    assert str(said.value) == (
        f"release {TAG}: the token may not (Resource not accessible by integration); grant the job `contents: write`, "
        "or the token the same; in a fork's run it can only read"
    )
    state.read_only = False
    github(state).publish(TAG, "v0.1.0", "body", files)
    state.read_only = True
    assert github(state).asset(TAG, files[0].name, tmp_path / "back")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"content": b"model" * 100}, r" does not answer \(ChunkedEncodingError\); see "),
        ({"content": b"MODEL" * 5000}, "what came is not what GitHub says that it keeps; run again"),
        ({"content": b"model" * 100, "size": 500, "digest": None}, None),
    ],
    ids=["cut off", "other bytes", "nothing to hold it to"],
)
def test_an_asset_that_came_is_the_one_that_is_kept(
    state: State, files: list[Path], tmp_path: Path, change: dict[str, Any], says: str | None
) -> None:
    github(state).publish(TAG, "v0.1.0", "body", files)
    held(state).update(change)
    back = tmp_path / "back"
    if says is None:
        assert github(state).asset(TAG, files[0].name, back)
        return
    with pytest.raises(InputError, match=f"{files[0].name}.*{says}"):
        github(state).asset(TAG, files[0].name, back)
    assert not back.exists()
    assert not list(tmp_path.glob(".*.tmp"))


def test_only_the_api_is_given_the_token(state: State, files: list[Path], tmp_path: Path) -> None:
    """GitHub keeps assets at another host."""
    github(state).publish(TAG, "v0.1.0", "body", files)
    assert github(state).asset(TAG, files[0].name, tmp_path / "back")
    assert state.faults == []
    address = f"{state.storage}/{held(state)['id']}"
    requests.get(address, headers={"Authorization": "Bearer ghs_bot"}, timeout=9)
    assert state.faults == ["the storage was given the token"]
    state.faults.clear()


def test_a_server_that_fails_once_is_asked_again(state: State, files: list[Path], tmp_path: Path) -> None:
    github(state).publish(TAG, "v0.1.0", "body", files)
    state.failures += [None, None, error(502, "Server Error")]
    assert github(state).asset(TAG, files[0].name, tmp_path / "back")
    state.failures += [None, None, error(403, "Resource not accessible by integration")]
    with pytest.raises(
        Refused, match=f"{files[0].name} of release {TAG}: the token may not .Resource not accessible.*`contents: read`"
    ):
        github(state).asset(TAG, files[0].name, tmp_path / "back")


def test_in_a_folder_a_release_changes_as_a_whole(
    origin: Path, files: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that ends before any of its calls of Git leaves the release before, and Git finds nothing wrong."""
    here, back = Local(origin), tmp_path / "back"
    here.publish(TAG, "v0.1.0", "one", files)
    before = git(origin, "rev-parse", f"refs/gitloop/releases/{TAG}")
    (tmp_path / "b").mkdir()
    other = tmp_path / "b" / files[0].name
    other.write_bytes(b"other")
    run, left = Records.git, 0

    def ends(self: Records, *arguments: str, **more: Any) -> str:
        nonlocal left
        left -= 1
        if left < 0:
            raise KeyboardInterrupt
        return run(self, *arguments, **more)

    monkeypatch.setattr(Records, "git", ends)
    for number in range(5):
        left = number
        with pytest.raises(KeyboardInterrupt):
            here.publish(TAG, "v0.1.0", "two", [other])
        assert git(origin, "rev-parse", f"refs/gitloop/releases/{TAG}") == before
    left = 99
    here.publish(TAG, "v0.1.0", "two", [other])
    assert here.asset(TAG, other.name, back)
    assert back.read_bytes() == b"other"
    assert not here.asset(TAG, "sbom.json", back)
    assert '"body": "two"' in git(origin, "show", f"refs/gitloop/releases/{TAG}:release.json")


def test_in_a_folder_clones_do_not_see_it_and_git_keeps_it(origin: Path, files: list[Path], tmp_path: Path) -> None:
    Local(origin).publish(TAG, "v0.1.0", "one", files)
    git(tmp_path, "clone", "--quiet", "--no-local", str(origin), "other")
    assert "gitloop" not in git(tmp_path / "other", "for-each-ref")
    assert "error" not in git(origin, "fsck", "--strict")
    git(origin, "gc", "--quiet", "--prune=now")
    assert Local(origin).asset(TAG, files[0].name, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == files[0].read_bytes()
