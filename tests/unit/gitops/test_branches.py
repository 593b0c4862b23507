"""Branch env/NAME: one commit for each change, none without, and the later commit of main wins."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from repositories import commit, git

from gitloop.errors import InputError, Refused
from gitloop.gitops import branches

FILES = {"service.yaml": "a: 1\n", "examples/argocd.yaml": "b: 'ü'\r\n", ".gitignore": "*\n"}


@pytest.fixture
def clone(origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Clones of main, each the working directory from when it is made or named again."""

    def at(name: str) -> Path:
        if not (tmp_path / name).exists():
            git(tmp_path, "clone", "--quiet", str(origin), str(tmp_path / name))
        monkeypatch.chdir(tmp_path / name)
        return tmp_path / name

    return at


def there(origin: Path) -> dict[str, bytes]:
    names = git(origin, "ls-tree", "-r", "--name-only", "env/production").splitlines()
    shown = {
        name: subprocess.run(["git", "show", f"env/production:{name}"], cwd=origin, capture_output=True, check=True)
        for name in names
    }
    return {name: done.stdout for name, done in shown.items()}


def log(origin: Path) -> list[str]:
    return git(origin, "log", "--reverse", "--format=%s", "env/production").splitlines()


def test_a_commit_for_each_change_and_none_without(origin: Path, clone: Callable[[str], Path]) -> None:
    here = clone("here")
    git(here, "config", "core.autocrlf", "true")
    made = branches.deliver("production", FILES, "production: v1.0.0", public=True)
    assert made == git(origin, "rev-parse", "env/production")
    assert there(origin) == {name: text.encode() for name, text in FILES.items()}
    assert branches.deliver("production", FILES, "again", public=True) is None
    assert log(origin) == ["production: v1.0.0"]
    clone("another")
    assert branches.deliver("production", FILES, "again, elsewhere", public=True) is None
    less = {"service.yaml": "a: 2\n"}
    branches.deliver("production", less, "production: v1.1.0", public=True)
    assert log(origin) == ["production: v1.0.0", "production: v1.1.0"]
    assert there(origin) == {"service.yaml": b"a: 2\n"}  # what is no longer rendered goes
    assert git(here, "status", "--porcelain") == git(here, "diff", "--cached", "--name-only") == ""
    source = git(here, "rev-parse", "HEAD")
    assert git(origin, "log", "-1", "--format=%(trailers:key=Rendered-from,valueonly)", "env/production") == source


def test_without_push_it_stays_here(origin: Path, clone: Callable[[str], Path]) -> None:
    here = clone("here")
    assert branches.deliver("production", FILES, "one", public=False)
    assert branches.deliver("production", FILES, "one", public=False) is None
    assert branches.deliver("production", {"a": "b"}, "two", public=False)
    assert log(here) == ["one", "two"]
    assert git(origin, "branch", "--list", "env/*") == ""


def test_the_later_commit_of_main_wins(origin: Path, clone: Callable[[str], Path]) -> None:
    clone("early")
    later = clone("later")
    commit(later, "the later merge", conf__config="a: 3\n")
    git(later, "push", "--quiet", "origin", "main")
    branches.deliver("production", {"a": "later"}, "later", public=True)
    early = clone("early")
    git(early, "fetch", "--quiet", "origin")
    with pytest.raises(Refused) as caught:
        branches.deliver("production", {"a": "early"}, "early", public=True)
    assert caught.value.exit_code == 1
    assert "env/production: comes from " in str(caught.value)
    assert "nothing is delivered: deploy from the newest commit of main" in str(caught.value)
    assert there(origin) == {"a": b"later"}
    git(early, "merge", "--quiet", "--ff-only", "origin/main")
    assert branches.deliver("production", {"a": "later"}, "again", public=True) is None


def test_an_early_clone_that_does_not_know_the_later_commit(origin: Path, clone: Callable[[str], Path]) -> None:
    """A run of the earlier merge has not fetched the later one; origin has it all the same."""
    clone("early")
    later = clone("later")
    commit(later, "the later merge", conf__config="a: 3\n")
    git(later, "push", "--quiet", "origin", "main")
    branches.deliver("production", {"a": "later"}, "later", public=True)
    clone("early")
    with pytest.raises(Refused, match="deploy from the newest commit of main"):
        branches.deliver("production", {"a": "early"}, "early", public=True)
    assert there(origin) == {"a": b"later"}


def test_a_race_is_settled(origin: Path, clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Between this run's look and its push another one was sooner."""
    clone("other")
    here = clone("here")
    real, times = branches.origin.push, []

    def late(refspec: str) -> bool:
        if not times:
            times.append(refspec)
            clone("other")
            monkeypatch.setattr(branches.origin, "push", real)
            branches.deliver("production", {"a": "other"}, "other", public=True)
            monkeypatch.chdir(here)
            assert not real(refspec)
            return False
        return real(refspec)

    monkeypatch.setattr(branches.origin, "push", late)
    branches.deliver("production", {"a": "here"}, "here", public=True)
    assert log(origin) == ["other", "here"]
    assert there(origin) == {"a": b"here"}


def test_it_gives_up_where_others_are_always_sooner(
    clone: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    clone("here")
    monkeypatch.setattr(branches.origin, "push", lambda _: False)
    with pytest.raises(Refused, match="env/production: at each of 5 tries another run was sooner; run it again"):
        branches.deliver("production", FILES, "one", public=True)


def test_origin_that_is_gone(origin: Path, clone: Callable[[str], Path]) -> None:
    clone("here")
    origin.rename(origin.with_name("gone.git"))
    with pytest.raises(InputError, match="git ls-remote: "):
        branches.deliver("production", FILES, "one", public=True)


@pytest.mark.parametrize("name", ["../out", "/etc/out", "a/../../out"])
def test_files_stay_in_the_branch(name: str, clone: Callable[[str], Path]) -> None:
    clone("here")
    with pytest.raises(ValueError, match="leads out of the branch"):
        branches.written({name: "x"})


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://x-token:secret@github.com/team/late.git", "https://github.com/team/late.git"),
        ("https://github.com/team/late.git", "https://github.com/team/late.git"),
        ("git@github.com:team/late.git", "git@github.com:team/late.git"),
        ("ssh://git@github.com/team/late.git", "ssh://git@github.com/team/late.git"),
        ("/srv/late.git", "/srv/late.git"),
    ],
)
def test_the_address_has_no_credentials(url: str, shown: str, clone: Callable[[str], Path]) -> None:
    git(clone("here"), "remote", "set-url", "origin", url)
    assert branches.repository() == shown


def test_no_origin(clone: Callable[[str], Path]) -> None:
    git(clone("here"), "remote", "remove", "origin")
    with pytest.raises(InputError, match="git remote add origin URL"):
        branches.repository()
