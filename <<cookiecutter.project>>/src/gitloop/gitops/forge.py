"""What is asked of the place that keeps pull requests: GitHub, or a folder (a bare repository) without an account."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, urlsplit

from gitloop import git
from gitloop.errors import InputError

State = Literal["open", "closed", "merged"]
LIMIT = 65_536  # characters of a body or a comment, at GitHub


@dataclass(frozen=True)
class Pull:
    """A pull request."""

    number: int
    head: str  # the branch's name
    base: str
    sha: str  # the commit that `head` is at
    title: str
    body: str
    labels: tuple[str, ...]  # in alphabetical order
    state: State
    fork: str | None  # the repository that `head` lies in, `owner/name`; None: this one
    url: str  # for a browser; empty where there is no page
    merged: str | None = None  # the commit on `base` that holds it


class Forge(Protocol):
    """One repository at a forge.

    Every method raises `Refused` where something may not be done, and `InputError` where it cannot be done as asked or
    the forge does not answer; both name the mend. Every method may be repeated: the state at the end is the same.
    """

    def pulls(
        self, head: str | None = None, base: str | None = None, label: str | None = None, state: str = "open"
    ) -> list[Pull]:
        """Pull requests, oldest first. `head` is a branch here, or `owner:branch` in a fork; `state` may be `all`."""

    def propose(self, head: str, base: str, title: str, body: str, labels: Iterable[str] = ()) -> Pull:
        """Open the one open pull request of branch `head`, or bring it up to date; labels are only added."""

    def comment(self, number: int, mark: str, body: str) -> None:
        """Make the one comment with this mark, or bring it up to date; it is left alone where it says that already."""

    def label(self, number: int, add: Iterable[str] = (), remove: Iterable[str] = ()) -> None:
        """Change the labels of a pull request or an issue."""

    def dispatch(self, workflow: str, ref: str, inputs: Mapping[str, str]) -> None:
        """Start a workflow (the name of its file) at a branch."""

    def issue(self, mark: str, title: str, body: str, labels: Iterable[str] = ()) -> int:
        """Open the one open issue with this mark, or bring it up to date; its number."""

    def close_issue(self, mark: str, why: str) -> None:
        """Close the open issue with this mark, with a comment that says why; nothing where there is none."""

    def publish(self, tag: str, title: str, body: str, files: Iterable[Path]) -> str:
        """Make the release of a tag, or bring it up to date, with these files as its assets and no others.

        Its URL for a browser; empty where there is no page.
        """

    def asset(self, tag: str, name: str, to: Path) -> bool:
        """Write an asset of a tag's release to a file, whole or not at all; False where there is none."""

    def may(self, what: Literal["propose", "issue"]) -> None:
        """Raise `Refused` where it is known without trying that this may not be done."""


def here() -> Forge:
    """GitHub where `$GITHUB_REPOSITORY` names a repository, else the folder that the remote origin is.

    Raises `InputError` where it is neither, and without `$GITHUB_TOKEN` for GitHub.
    """
    if repository := os.environ.get("GITHUB_REPOSITORY"):
        token = os.environ.get("GITHUB_TOKEN")
        if not token:
            raise InputError(
                "GITHUB_TOKEN: is not set; in a workflow give it to the step (`GITHUB_TOKEN: ${{ github.token }}`), on "
                "a laptop `export GITHUB_TOKEN=$(gh auth token)`"
            )
        from gitloop.gitops.github import GitHub

        return GitHub(repository, token, os.environ.get("GITHUB_API_URL") or "https://api.github.com")
    url = git.asked("remote", "get-url", "origin")
    folder = None if url is None else _folder(url)
    if folder is None:
        raise InputError(
            f"origin: {'is not set' if url is None else 'is not a folder'}; for GitHub run `export "
            "GITHUB_REPOSITORY=owner/name GITHUB_TOKEN=$(gh auth token)`, without an account `git init --bare FOLDER "
            "&& git remote add origin FOLDER`"
        )
    from gitloop.gitops.local import Local

    return Local(folder)


def marked(mark: str, body: str) -> str:
    """A body that is found again by its first line."""
    return f"{line(mark)}\n{body}"


def line(mark: str) -> str:
    return f"<!-- gitloop:{mark} -->"


def bears(text: str | None, mark: str) -> bool:
    return bool(text) and str(text).partition("\n")[0].strip() == line(mark)


def sent(body: str | None) -> str:
    """As it was sent: GitHub may give back other ends of lines."""
    return (body or "").replace("\r\n", "\n").rstrip()


def _folder(url: str) -> Path | None:
    path = Path(unquote(urlsplit(url).path)) if url.startswith("file://") else Path(url)
    return path.resolve() if path.is_dir() else None
