"""What the stand-in keeps, and the switches that a test turns."""

from __future__ import annotations

import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

BOT = "github-actions[bot]"


class Answer(NamedTuple):
    status: int
    body: Any
    headers: dict[str, str]


def error(status: int, message: str, headers: dict[str, str] | None = None, **more: Any) -> Answer:
    body = {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status), **more}
    return Answer(status, body, headers or {})


@dataclass
class State:
    """A repository at GitHub. `branches` has commits by `branch`, and by `owner:branch` for those of forks."""

    base_url: str = ""
    repository: str = "octo/late-flights"
    origin: Path | None = None  # a bare repository, whose branches are then those of this one
    branches: dict[str, str] = field(default_factory=dict)
    workflows: set[str] = field(default_factory=lambda: {"ci.yml", "train.yml", "report.yml"})
    tokens: dict[str, str] = field(default_factory=lambda: {"ghs_bot": BOT, "ghp_person": "octocat"})
    # Switches.
    may_propose: bool = True  # the setting "Allow GitHub Actions to create and approve pull requests"
    administrator: bool = False  # whether tokens may read the settings of Actions
    read_only: bool = False  # as the token of a fork's run is
    archived: bool = False
    has_issues: bool = True
    deleted: set[str] = field(default_factory=set)  # forks, `owner/name`, whose pull requests are still there
    # Each is the answer to one request, which then does nothing; a None lets one through.
    failures: list[Answer | None] = field(default_factory=list)
    breaks_off: int = 0  # uploads that leave a half
    immutable: bool = False  # the setting "Enable release immutability"
    old: bool = False  # a server that keeps no digests of assets
    # What happened.
    threads: dict[int, dict[str, Any]] = field(default_factory=dict)  # pull requests and issues
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    releases: dict[int, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, str, int]] = field(default_factory=list)  # method, path with query, status
    faults: list[str] = field(default_factory=list)  # where a request or an answer is not as GitHub publishes
    last: int = 0  # number of a release or an asset
    lock: threading.RLock = field(default_factory=threading.RLock)

    def pulls(self, state: str = "open") -> list[dict[str, Any]]:
        return [one for one in self.threads.values() if one["pull"] and one["state"] == state]

    def issues(self, state: str = "open") -> list[dict[str, Any]]:
        return [one for one in self.threads.values() if not one["pull"] and one["state"] == state]

    def said(self, number: int) -> list[str]:
        """The comments on a pull request or an issue."""
        return [one["body"] for one in self.comments.values() if one["number"] == number]

    def writes(self) -> list[tuple[str, str, int]]:
        return [one for one in self.requests if one[0] != "GET"]

    @property
    def storage(self) -> str:
        """Where the content of assets lies: another host."""
        return f"http://localhost:{urlsplit(self.base_url).port}/storage"

    def assets(self, tag: str) -> dict[str, dict[str, Any]]:
        """Those of the release of a tag, by name."""
        (found,) = [one for one in self.releases.values() if one["tag_name"] == tag and not one["draft"]]
        return {one["name"]: one for one in found["assets"].values()}

    def sha(self, name: str, kind: str = "refs/heads") -> str | None:
        if self.origin is None or ":" in name:
            return self.branches.get(name)
        command = ["git", "show-ref", "--verify", "--hash", f"{kind}/{name}"]
        done = subprocess.run(command, cwd=self.origin, capture_output=True, text=True, check=False)
        return done.stdout.strip() or None

    def propose(self, head: str, base: str = "main", login: str = "octocat", body: str = "") -> int:
        """As a person does it in the browser; `head` is `branch`, or `owner:branch` of a fork."""
        return self.add(login, pull=True, head=head, base=base, title=f"Change of {head}", body=body)

    def add(self, login: str, **thread: Any) -> int:
        with self.lock:
            number = len(self.threads) + 1
            fresh = {"number": number, "state": "open", "merged": False, "labels": [], "reason": None, "login": login}
            self.threads[number] = {**fresh, **thread}
            return number

    def release(self, login: str, **words: Any) -> int:
        with self.lock:
            identity = self.next()
            self.releases[identity] = {"id": identity, "login": login, "assets": {}, **words}
            return identity

    def next(self) -> int:
        """A number that no release and no asset has."""
        self.last += 1
        return self.last

    def say(self, number: int, login: str, body: str) -> int:
        with self.lock:
            identity = max(self.comments, default=1000) + 1
            self.comments[identity] = {"id": identity, "number": number, "login": login, "body": body}
            return identity
