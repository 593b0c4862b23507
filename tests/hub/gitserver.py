"""Private repositories over HTTP, as GitHub serves them: without a token nothing is read, and not all may push."""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, NamedTuple

from repositories import git
from servers import listening

# main changes only by merge: what comes over HTTP is refused, as a rule of GitHub's would. GITHUB_TOKEN brings no
# workflow that neither main nor the branch has.
PROTECT = """#!/bin/sh
if [ "$REMOTE_USER" = ghs_bot ] && [ "${1#refs/heads/}" != "$1" ]; then
  for name in $(git diff --name-only --diff-filter=AM refs/heads/main "$3" -- .github/workflows 2> /dev/null); do
    if [ "$(git rev-parse --quiet --verify "$2:$name")" != "$(git rev-parse "$3:$name")" ]; then
      echo "refusing to allow a GitHub App to create or update workflow \\`$name\\` without \\`workflows\\`" >&2
      exit 1
    fi
  done
fi
if [ "$1" = refs/heads/main ] && [ -n "$REMOTE_USER" ]; then
  echo 'GH013: Repository rule violations found for refs/heads/main: changes must be made through a pull request' >&2
  exit 1
fi
"""


class Push(NamedTuple):
    """One branch that came over HTTP: with which token, and its commit."""

    token: str
    branch: str
    commit: str


@dataclass
class Server:
    """Bare repositories below `root`; `tokens` says of each whether it may write."""

    root: Path
    tokens: dict[str, bool]
    url: str = ""
    pushes: list[Push] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # the tokens of pushes that may not
    before: list[Callable[[], None]] = field(default_factory=list)  # each is done once, right before a push comes in

    def make(self, name: str) -> Path:
        """A new, empty repository."""
        folder = self.root / name
        git(self.root, "init", "--quiet", "--bare", "--initial-branch=main", str(folder))
        git(folder, "config", "uploadpack.allowAnySHA1InWant", "true")
        hook = folder / "hooks" / "update"
        hook.write_text(PROTECT)
        hook.chmod(0o755)
        return folder


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    with listening(type("Handler", (_Handler,), {"server_": server})) as server.url:
        yield server


def branches(repository: Path) -> dict[str, str]:
    """Commits by branch."""
    lines = git(repository, "for-each-ref", "--format=%(refname:lstrip=2) %(objectname)", "refs/heads").splitlines()
    return {name: sha for name, _, sha in (line.partition(" ") for line in lines)}


class _Handler(BaseHTTPRequestHandler):
    """Between HTTP and the CGI program that Git brings."""

    server_: Server

    def _answer(self) -> None:
        path, _, query = self.path.partition("?")
        token = self._token()
        writes = path.endswith("/git-receive-pack") or "service=git-receive-pack" in query
        if token not in self.server_.tokens:
            self._say(401, "Authentication required", {"WWW-Authenticate": 'Basic realm="GitHub"'})
            return
        if writes and not self.server_.tokens[token]:
            self.server_.refused.append(token)
            self._say(403, "Permission to the repository denied to github-actions[bot].", {})
            return
        if writes and self.server_.before:
            self.server_.before.pop(0)()
        if not path.endswith("/git-receive-pack"):
            self._run(path, query, token if writes else "")
            return
        repository = self.server_.root / path.strip("/").rpartition("/")[0]
        before = branches(repository)
        self._run(path, query, token)
        changed = {name: sha for name, sha in branches(repository).items() if before.get(name) != sha}
        self.server_.pushes += [Push(token, name, sha) for name, sha in changed.items()]

    def _run(self, path: str, query: str, user: str) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.server_.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": user,
        }
        body = self._body()
        done = subprocess.run(
            ["git", "http-backend"],
            input=body,
            capture_output=True,
            check=True,
            env={**environment, "CONTENT_LENGTH": str(len(body))},
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
        status = int(headers.pop("Status", "200").split()[0])
        self._send(status, content, headers)

    def _token(self) -> str:
        scheme, _, encoded = (self.headers.get("Authorization") or "").partition(" ")
        if scheme.lower() != "basic":
            return ""
        return base64.b64decode(encoded).decode().partition(":")[2]

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _say(self, status: int, text: str, headers: dict[str, str]) -> None:
        self._body()
        self._send(status, text.encode(), {"Content-Type": "text/plain", **headers})

    def _send(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _answer  # noqa: N815 -- http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing: `pushes` and `refused` have it."""
