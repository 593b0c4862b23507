"""In front of the service: who may ask, and how much they may send. An ASGI middleware."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

SECONDS = 10.0  # for a body to arrive: it holds up a stop for as long
PROBES = frozenset({"/livez", "/readyz", "/healthz"})  # answered without a token: they tell nothing


class Limits:
    """Refuses what lacks the token (401), is too long (413) or too slow (408) before anything reads it."""

    def __init__(self, app: App, most: int, token: str | None = None, seconds: float = SECONDS) -> None:
        self._app, self._most, self._seconds = app, most, seconds
        self._token = None if token is None else b"Bearer " + token.encode()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        if self._token is not None and scope["path"] not in PROBES:
            given = headers.get(b"authorization", b"")
            if not hmac.compare_digest(given, self._token):
                await _refuse(send, 401, "needs the header `Authorization: Bearer <token>` with the service's token")
                return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        length = headers.get(b"content-length", b"0")
        try:
            async with asyncio.timeout(self._seconds):
                body = None if length.isdigit() and int(length) > self._most else await _read(receive, self._most)
        except TimeoutError:
            await _refuse(send, 408, f"took more than {self._seconds:g} seconds to arrive; send it faster, or less")
            return
        if body is None:
            await _refuse(send, 413, f"is longer than {self._most:,} bytes; send less at a time")
        elif body.get("type") != "http.disconnect":
            await self._app(scope, _again(body, receive), send)


async def _read(receive: Receive, most: int) -> Message | None:
    """The whole body as one message, or that the caller has gone; None where it is too long."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return message
        part = message.get("body", b"")
        size += len(part)
        if size > most:
            return None
        parts.append(part)
        if not message.get("more_body", False):
            return {"type": "http.request", "body": b"".join(parts), "more_body": False}


def _again(body: Message, receive: Receive) -> Receive:
    first = [body]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


async def _refuse(send: Send, status: int, problem: str) -> None:
    content = json.dumps({"error": "refused", "problems": [{"field": "request", "problem": problem}]}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
    if status in (408, 413):  # what is still on its way is not read
        headers.append((b"connection", b"close"))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content})
