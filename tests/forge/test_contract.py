"""What both forges do alike."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from repositories import commit, git

from gitloop.errors import InputError
from gitloop.gitops.forge import Forge, Pull

from .conftest import Place


def branch(place: Place, name: str) -> str:
    """Push a new branch with a commit of its own; its hash."""
    git(place.clone, "switch", "--quiet", "--create", name, "main")
    sha = commit(place.clone, name, readme=f"{name}\n")
    git(place.clone, "push", "--quiet", "origin", name)
    return sha


def at_once(forge: Forge, number: int = 6) -> list[Pull]:
    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(lambda _: forge.propose("work", "main", "Change", "why", ["a"]), range(number)))


def test_a_pull_request_is_opened_and_found(place: Place) -> None:
    made = place.forge.propose("work", "main", "Retrain", "Because.\n\nOf this.", ["retrain", "bot"])
    sha = git(place.origin, "rev-parse", "work")
    assert made == Pull(
        1, "work", "main", sha, "Retrain", "Because.\n\nOf this.", ("bot", "retrain"), "open", None, made.url
    )
    assert place.forge.pulls() == [made]


def test_one_head_has_one_open_pull_request_and_it_is_updated(place: Place) -> None:
    first = place.forge.propose("work", "main", "Retrain", "for May", ["retrain"])
    place.forge.label(first.number, add=["urgent"])
    second = place.forge.propose("work", "main", "Retrain again", "for June", ["retrain"])
    assert (second.number, second.title, second.body) == (first.number, "Retrain again", "for June")
    assert place.forge.pulls() == [second]
    assert second.labels == ("retrain", "urgent")


def test_pull_requests_are_asked_for_by_what_they_are(place: Place) -> None:
    branch(place, "other")
    place.forge.propose("work", "main", "one", "", ["retrain"])
    place.forge.propose("other", "main", "two", "", ["promote"])
    asked = place.forge.pulls
    assert [one.title for one in asked()] == ["one", "two"]
    assert [one.title for one in asked(head="other")] == ["two"]
    assert [one.title for one in asked(label="retrain")] == ["one"]
    assert asked(base="release") == asked(head="nowhere") == asked(state="closed") == asked(state="merged") == []
    assert len(asked(state="all")) == 2


def test_the_commit_is_the_one_that_the_branch_is_at(place: Place) -> None:
    place.forge.propose("work", "main", "one", "", [])
    newer = commit(place.clone, "third", readme="and again\n")
    git(place.clone, "push", "--quiet", "origin", "work")
    assert [one.sha for one in place.forge.pulls()] == [newer]


def test_a_branch_without_a_commit_of_its_own_is_refused(place: Place) -> None:
    git(place.clone, "push", "--quiet", "origin", "main:same")
    with pytest.raises(InputError, match="pull request of same: .*(commit that main lacks|No commits between)"):
        place.forge.propose("same", "main", "nothing", "", [])
    assert place.forge.pulls(state="all") == []


@pytest.mark.parametrize(("head", "base"), [("nowhere", "main"), ("work", "nowhere")])
def test_a_branch_that_is_not_there_is_refused(place: Place, head: str, base: str) -> None:
    with pytest.raises(InputError, match=f"pull request of {head}: .*nowhere is not a branch.*; "):
        place.forge.propose(head, base, "nothing", "", [])


def test_runs_at_the_same_time_open_one(place: Place) -> None:
    assert {one.number for one in at_once(place.forge)} == {1}
    assert len(place.forge.pulls(state="all")) == 1


def test_labels(place: Place) -> None:
    number = place.forge.propose("work", "main", "one", "", ["a"]).number
    place.forge.label(number, add=["b", "a"], remove=["nothing"])
    assert place.forge.pulls()[0].labels == ("a", "b")
    place.forge.label(number, remove=["a"])
    assert place.forge.pulls()[0].labels == ("b",)


def test_text_comes_back_as_it_was_sent(place: Place) -> None:
    text = "ünïcode — 漢字 🟢\n\n| `|<img src=x>|` | `$(id)` |\n```mermaid\nxychart-beta\n```"
    assert place.forge.propose("work", "main", "a `$(id)` | ü", text, ["größe"]).body == text
    (found,) = place.forge.pulls()
    assert (found.title, found.body, found.labels) == ("a `$(id)` | ü", text, ("größe",))


def test_what_is_not_there_is_said(place: Place) -> None:
    with pytest.raises(InputError, match="#9.*is not in .*; check the number|#9: is not in .*; check the name"):
        place.forge.comment(9, "report", "hello")
    with pytest.raises(InputError, match="workflow train.yml at nowhere: .*; "):
        place.forge.dispatch("train.yml", "nowhere", {})


def test_an_issue_is_opened_once_updated_and_closed(place: Place) -> None:
    first = place.forge.issue("deploy:production", "Deploy failed", "log 1", ["incident"])
    assert place.forge.issue("deploy:production", "Deploy failed again", "log 2", ["incident"]) == first
    other = place.forge.issue("deploy:staging", "Deploy failed", "log 3")
    assert other != first
    place.forge.close_issue("deploy:production", "It runs.")
    place.forge.close_issue("deploy:production", "It runs.")
    place.forge.close_issue("never:was", "It runs.")
    assert place.forge.issue("deploy:production", "Deploy failed", "log 4") not in (first, other)


def test_pull_requests_and_issues_share_their_numbers(place: Place) -> None:
    assert place.forge.issue("a", "one", "") == 1
    assert place.forge.propose("work", "main", "two", "").number == 2
    assert place.forge.issue("b", "three", "") == 3


TAG = "model@v0.1.0"


@pytest.fixture
def tagged(place: Place) -> Forge:
    git(place.clone, "tag", "--annotate", TAG, "--message", "first")
    git(place.clone, "push", "--quiet", "origin", TAG)
    return place.forge


def files(folder: Path, **contents: bytes) -> list[Path]:
    folder.mkdir(exist_ok=True)
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def kept(forge: Forge, folder: Path, *names: str) -> dict[str, bytes | None]:
    """What assets hold; None for one that is not there."""
    found: dict[str, bytes | None] = {}
    for name in names:
        target = folder / f"{name}.back"
        assert forge.asset(TAG, name, target) == target.exists()
        found[name] = target.read_bytes() if target.exists() else None
        target.unlink(missing_ok=True)
    return found


def test_a_release_has_the_assets_that_it_was_given_last(tagged: Forge, tmp_path: Path) -> None:
    big = bytes(range(256)) * 20_000
    url = tagged.publish(TAG, "v0.1.0", "first", files(tmp_path / "a", model=big, sbom=b"{}", notes=b"\r\n"))
    assert kept(tagged, tmp_path, "model", "sbom", "notes") == {"model": big, "sbom": b"{}", "notes": b"\r\n"}
    given = files(tmp_path / "b", model=big[::-1], sbom=b"{}", more=b"")
    for _ in range(2):
        assert tagged.publish(TAG, "v0.1.0", "second", given) == url
    expected = {"model": big[::-1], "sbom": b"{}", "notes": None, "more": b""}
    assert kept(tagged, tmp_path, *expected) == expected


def test_there_is_no_asset_without_a_release(tagged: Forge, tmp_path: Path) -> None:
    assert kept(tagged, tmp_path, "model") == {"model": None}
    tagged.publish(TAG, "v0.1.0", "", [])
    assert kept(tagged, tmp_path, "model") == {"model": None}


def test_a_release_of_a_tag_that_is_not_there_is_refused(place: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{TAG}: .*is not (in octo/late-flights|a tag of origin).*; "):
        place.forge.publish(TAG, "v0.1.0", "", files(tmp_path / "a", model=b"1"))
    assert git(place.origin, "tag") == ""
    assert kept(place.forge, tmp_path, "model") == {"model": None}


def test_runs_at_the_same_time_publish_one(tagged: Forge, tmp_path: Path) -> None:
    given = files(tmp_path / "a", model=b"1" * 10_000, sbom=b"{}")
    with ThreadPoolExecutor(4) as threads:
        urls = set(threads.map(lambda _: tagged.publish(TAG, "v0.1.0", "", given), range(4)))
    assert len(urls) == 1
    assert kept(tagged, tmp_path, "model", "sbom") == {"model": b"1" * 10_000, "sbom": b"{}"}


def test_what_may_be_done_is_known_without_trying(place: Place) -> None:
    place.forge.may("propose")
    place.forge.may("issue")
    assert place.forge.pulls(state="all") == []
