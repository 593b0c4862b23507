"""What the stand-in keeps, and what each operation does to it."""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from standin.published import example

WHEN = "2026-11-21T12:00:00Z"
BOT = "github-actions[bot]"
LIMIT = 65_536


class Answer(NamedTuple):
    status: int
    body: Any = None
    headers: dict[str, str] = {}  # noqa: RUF012 -- never written to


class Asked(NamedTuple):
    method: str
    path: str  # without the prefix
    query: dict[str, str]
    body: Any
    login: str


class Refusal(Exception):
    def __init__(self, status: int, message: str, **more: Any) -> None:
        self.answer = error(status, message, **more)


def error(status: int, message: str, **more: Any) -> Answer:
    headers = more.pop("headers", {})
    return Answer(
        status,
        {"message": message, "documentation_url": "https://docs.github.com/rest", "status": str(status), **more},
        headers,
    )


@dataclass
class State:
    """A repository at GitHub. `branches` has commits by `branch`, and by `owner:branch` for forks."""

    base_url: str = ""
    repository: str = "octo/late-flights"
    origin: Path | None = None  # a bare repository whose branches are those of this one
    branches: dict[str, str] = field(default_factory=dict)
    workflows: set[str] = field(default_factory=lambda: {"ci.yml", "train.yml", "report.yml"})
    tokens: dict[str, str] = field(default_factory=lambda: {"ghs_bot": BOT, "ghp_person": "octocat"})
    # Switches.
    may_propose: bool = True  # Settings → Actions → … → Allow GitHub Actions to create and approve pull requests
    administrator: bool = False  # whether tokens may read the settings of Actions
    read_only: bool = False  # as the token of a fork's run is
    archived: bool = False
    has_issues: bool = True
    deleted: set[str] = field(default_factory=set)  # forks, `owner/name`, whose pull requests are still there
    failures: list[Answer] = field(default_factory=list)  # each answers one request, before it does anything
    # What happened.
    threads: dict[int, dict[str, Any]] = field(default_factory=dict)
    comments: dict[int, dict[str, Any]] = field(default_factory=dict)
    dispatches: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, str, int]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)  # where a request or an answer is not as GitHub publishes
    lock: threading.RLock = field(default_factory=threading.RLock)

    def pulls(self, state: str = "open") -> list[dict[str, Any]]:
        return [one for one in self.threads.values() if one["pull"] and one["state"] == state]

    def issues(self, state: str = "open") -> list[dict[str, Any]]:
        return [one for one in self.threads.values() if not one["pull"] and one["state"] == state]

    def said(self, number: int) -> list[str]:
        """The comments on a pull request or an issue."""
        return [one["body"] for one in self.comments.values() if one["number"] == number]

    def sha(self, name: str) -> str | None:
        if self.origin is not None and ":" not in name:
            done = subprocess.run(
                ["git", "show-ref", "--verify", "--hash", f"refs/heads/{name}"],
                cwd=self.origin,
                capture_output=True,
                text=True,
                check=False,
            )
            return done.stdout.strip() or None
        return self.branches.get(name)

    def open_pull(self, head: str, base: str = "main", login: str = "octocat", **more: Any) -> int:
        """As a person does it in the browser; `head` is `branch`, or `owner:branch` of a fork."""
        return self.add(login, pull=True, head=head, base=base, title=f"Change of {head}", body="", **more)

    def add(self, login: str, **thread: Any) -> int:
        with self.lock:
            number = len(self.threads) + 1
            fresh = {"number": number, "state": "open", "merged": False, "labels": [], "reason": None, "login": login}
            self.threads[number] = {**fresh, **thread}
            return number

    def say(self, number: int, login: str, body: str) -> int:
        with self.lock:
            identity = max(self.comments, default=1000) + 1
            self.comments[identity] = {"id": identity, "number": number, "login": login, "body": body}
            return identity

    def handle(self, method: str, path: str, body: Any, token: str) -> Answer:
        """Do what is asked; what stands in a switch first."""
        if self.failures:
            return self.failures.pop(0)
        login = self.tokens.get(token)
        if login is None:
            return error(401, "Bad credentials")
        address = urlsplit(path)
        route = f"/repos/{self.repository}"
        asked = Asked(method, address.path, dict(parse_qsl(address.query)), body, login)
        for verb, pattern, do in ROUTES:
            found = re.fullmatch(pattern.replace("REPO", re.escape(route)), address.path)
            if found and verb == method:
                if method != "GET" and self.read_only:
                    return error(403, "Resource not accessible by integration")
                try:
                    return do(self, asked, *map(unquote, found.groups()))
                except Refusal as refusal:
                    return refusal.answer
        return error(404, "Not Found")

    def thread(self, number: str, pull: bool = False) -> dict[str, Any]:
        found = self.threads.get(int(number))
        if found is None or (pull and not found["pull"]):
            raise Refusal(404, "Not Found")
        return found

    def bodies(self, asked: Asked) -> None:
        if len((asked.body or {}).get("body") or "") > LIMIT:
            why = {
                "resource": "IssueComment",
                "code": "unprocessable",
                "field": "data",
                "message": f"Body is too long ({LIMIT})",
            }
            raise Refusal(422, "Validation Failed", errors=[why])


def _paged(state: State, asked: Asked, found: list[Any]) -> Answer:
    size, page = int(asked.query.get("per_page", 30)), int(asked.query.get("page", 1))
    headers = {}
    if page * size < len(found):
        rest = "&".join(f"{key}={value}" for key, value in asked.query.items() if key != "page")
        headers["Link"] = f'<{state.base_url}{asked.path}?{rest}&page={page + 1}>; rel="next"'
    return Answer(200, found[(page - 1) * size : page * size], headers)


def _list_pulls(state: State, asked: Asked) -> Answer:
    from standin.shown import pull

    owner = state.repository.partition("/")[0]
    wanted = asked.query
    found = [
        one
        for one in state.threads.values()
        if one["pull"]
        and wanted.get("state", "open") in ("all", one["state"])
        and wanted.get("base", one["base"]) == one["base"]
        and wanted.get("head") in (None, one["head"] if ":" in one["head"] else f"{owner}:{one['head']}")
    ]
    newest_first = wanted.get("direction", "desc") == "desc"
    return _paged(state, asked, [pull(state, one, whole=False) for one in (found[::-1] if newest_first else found)])
