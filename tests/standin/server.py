"""The stand-in on loopback. Each request and each answer is held to what GitHub publishes.

with standing_in(State(branches={"main": "0" * 40})) as state:
    ...  # $GITHUB_API_URL is state.base_url, $GITHUB_REPOSITORY state.repository, $GITHUB_TOKEN "ghs_bot"
# leaving it fails where a request or an answer was not as published
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from servers import listening

from standin.operations import handle
from standin.published import Operation, description
from standin.state import State

PREFIX, UPLOADS, STORAGE = "/api/v3", "/api/uploads", "/storage/"  # as an Enterprise Server has


@contextmanager
def standing_in(state: State) -> Iterator[State]:
    """Serve `state`, whose `base_url` is set. Skips where GitHub's description cannot be had."""
    description()
    with listening(type("Handler", (_Handler,), {"state": state})) as url:
        state.base_url = f"{url}{PREFIX}"
        yield state
    assert state.faults == []


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    state: State

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        text = self.rfile.read(length)
        body = text if self.path.startswith(UPLOADS) else json.loads(text) if text else None
        scheme, _, token = (self.headers.get("Authorization") or "").partition(" ")
        path = self.path.removeprefix(PREFIX).removeprefix(UPLOADS)
        with self.state.lock:
            answer = handle(
                self.state, self.command, path, body, token if scheme.lower() in ("token", "bearer") else ""
            )
            self.state.requests.append((self.command, path, answer.status))
        operation = Operation(self.command, urlsplit(path).path)
        self.state.faults += operation.request(path, _asked(body)) + operation.answer(
            answer.status, _shown(answer.body)
        )
        self._send(answer.status, answer.body, answer.headers)

    def _send(self, status: int, body: Any, headers: dict[str, str]) -> None:
        text = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **headers}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _store(self) -> None:
        """An asset, which is cut off where less is there than its size says."""
        if "Authorization" in self.headers:
            self.state.faults.append("the storage was given the token")
        number = int(self.path.removeprefix(STORAGE))
        (one,) = [release["assets"][number] for release in self.state.releases.values() if number in release["assets"]]
        self.send_response(200)
        self.send_header("Content-Length", str(one["size"]))
        self.end_headers()
        self.wfile.write(one["content"])
        self.close_connection = True

    def do_GET(self) -> None:
        if self.path.startswith(STORAGE):
            self._store()
        else:
            self._answer()

    do_POST = do_PATCH = do_DELETE = _answer  # noqa: N815 -- http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing: `state.requests` has it."""


def _asked(body: Any) -> Any:
    """Labels may be sent as an array, says the description in words, and its schema does not."""
    return {"labels": body} if isinstance(body, list) else body


def _shown(body: Any) -> Any:
    """The description does not say that the repository of a deleted fork is null, which it is."""
    if isinstance(body, list):
        return [_shown(one) for one in body]
    if isinstance(body, dict) and isinstance(head := body.get("head"), dict) and head.get("repo") is None:
        return {**body, "head": {**head, "repo": body["base"]["repo"]}}
    return body
