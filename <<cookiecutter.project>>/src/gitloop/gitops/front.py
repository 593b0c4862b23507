"""What callers of an environment on this machine talk to: it passes each request on to the version that runs.

A process of its own that outlives deploys. Which version that is, it reads from state.json at each request, so that
writing the file is the swap: `python -m gitloop.gitops.front FOLDER PORT`.

Where a canary runs beside it, the front gives it its share of the POSTs: predictions and feedback. What it fails to
answer is asked of the version that runs, so that no caller has the failure; when it fails too often it gets no
requests any more, at once, and canary.json says why.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from gitloop.files import write_json
from gitloop.gitops.canary import Canary, Share

STATE, TOKEN, STOPPED = "state.json", "front.token", "canary.json"  # in the environment's folder
ASK = "x-gitloop-front"  # the header by which a deploy asks, with the token
HOST = "127.0.0.1"
LONGEST = 64 * 1024 * 1024  # bytes of a body; the service has its own limit
SECONDS = 60.0  # for an answer
IDLE = 2.0  # seconds that a connection is kept: less than the service does, which would close it under a request
# Of one connection, not of what is passed on: https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1
HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer"),
    *("transfer-encoding", "upgrade", "host", "content-length", "expect"),
}
TRIES = 3


class State(NamedTuple):
    """What runs. `upstream` is None where nothing does, and `notice` says why."""

    version: str | None = None
    commit: str | None = None
    upstream: str | None = None
    notice: str = "nothing is deployed yet"
    says: str = ""  # how the version did when it was tried
    canary: Canary | None = None
    refused: tuple[Canary, str] | None = None  # the canary that was stopped last, and why

    def raw(self) -> dict[str, Any]:
        """As JSON."""
        refused = self.refused and [self.refused[0]._asdict(), self.refused[1]]
        return self._asdict() | {"canary": self.canary and self.canary._asdict(), "refused": refused}


def read(folder: Path) -> State:
    """What state.json says; that nothing is deployed where there is none."""
    try:
        raw = json.loads((folder / STATE).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return State()
    canary, refused = raw.get("canary"), raw.get("refused")
    read = {"canary": canary and Canary(**canary), "refused": refused and (Canary(**refused[0]), refused[1])}
    return State(**raw | read)


def stopped(folder: Path, canary: Canary) -> str:
    """Why the front gives this canary no requests any more; empty where it does."""
    try:
        said = json.loads((folder / STOPPED).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ""
    return str(said["why"]) if said["upstream"] == canary.upstream else ""


class Front:
    """The reverse proxy of one environment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._token = (folder / TOKEN).read_text(encoding="utf-8").strip()
        self._seen: tuple[int, int] | None = None
        self._state = State()
        self._share: Share | None = None
        self._flying: Counter[str] = Counter()  # requests in flight, by upstream
        self._session: aiohttp.ClientSession | None = None

    def app(self) -> web.Application:
        app = web.Application(client_max_size=LONGEST)
        app.router.add_route("*", "/{path:.*}", self.answer)
        app.cleanup_ctx.append(self._connected)
        return app

    async def _connected(self, _: web.Application) -> Any:
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE)
        timeout = aiohttp.ClientTimeout(total=SECONDS)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            self._session = session
            yield

    async def answer(self, request: web.Request) -> web.Response:
        if ASK in request.headers and hmac.compare_digest(request.headers[ASK].encode(), self._token.encode()):
            return web.json_response(self._told())
        body = await request.read()
        self._now()
        if request.method == "POST" and (share := self._share) and share.takes():
            answer = await self._shared(share, request, body)
            if answer is not None:
                return answer
        for left in reversed(range(TRIES)):
            state = self._now()
            if state.upstream is None:
                return _unavailable(state.notice)
            try:
                return await self._passed(state.upstream, request, body)
            except TimeoutError:
                return _problem(504, "timeout", f"{state.version} did not answer within {SECONDS:g} s")
            except aiohttp.ClientConnectionError:
                # Its connection was closed before it answered, or it has gone: ask again, whoever runs now.
                if left:
                    await asyncio.sleep(0.05)
        return _unavailable(f"{state.version} does not answer")

    async def _shared(self, share: Share, request: web.Request, body: bytes) -> web.Response | None:
        """The canary's answer; None where it failed, and the version that runs is to be asked."""
        try:
            answer = await self._passed(share.canary.upstream, request, body)
        except (TimeoutError, aiohttp.ClientConnectionError):
            answer = None
        failed = answer is None or answer.status >= 500
        if share.heard(failed):
            write_json(self._folder / STOPPED, {"upstream": share.canary.upstream, "why": share.why})
        return None if failed else answer

    def _told(self) -> dict[str, Any]:
        """What a deploy wants to know."""
        self._now()
        told: dict[str, Any] = {"in_flight": {name: count for name, count in self._flying.items() if count}}
        if share := self._share:
            told["canary"] = {"upstream": share.canary.upstream, "asked": share.asked, "failed": share.failed}
        return told

    async def _passed(self, upstream: str, request: web.Request, body: bytes) -> web.Response:
        assert self._session is not None  # noqa: S101 -- set before the first request, see `_connected`
        headers = [(name, value) for name, value in request.headers.items() if name.lower() not in HOP]
        url = URL(upstream + request.rel_url.raw_path_qs, encoded=True)
        self._flying[upstream] += 1
        try:
            async with self._session.request(
                request.method,
                url,
                headers=headers,
                data=body if request.body_exists else None,
                allow_redirects=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            ) as answer:
                content = await answer.read()
                kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP]
                return web.Response(status=answer.status, reason=answer.reason, headers=CIMultiDict(kept), body=content)
        finally:
            self._flying[upstream] -= 1

    def _now(self) -> State:
        """The state, read again where the file is another one."""
        try:
            there = (self._folder / STATE).stat()
        except FileNotFoundError:
            return State()
        seen = (there.st_ino, there.st_mtime_ns)
        if seen != self._seen:
            self._state, self._seen = read(self._folder), seen
            canary = self._state.canary
            if canary is None:
                self._share = None
            elif self._share is None or self._share.canary.upstream != canary.upstream:
                self._share = Share(canary, stopped(self._folder, canary))
        return self._state


def _unavailable(notice: str) -> web.Response:
    return _problem(503, "unavailable", notice)


def _problem(status: int, error: str, notice: str) -> web.Response:
    return web.json_response({"error": error, "notice": notice}, status=status)


def main(folder: str, port: str) -> None:
    web.run_app(
        Front(Path(folder)).app(), host=HOST, port=int(port), access_log=None, print=lambda _: None, shutdown_timeout=5
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
