"""What is refused in front of the service, before anything reads it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest

from gitloop.serving.limits import Limits, Message, Receive, Send

MOST = 10
Part = tuple[bytes, bool]  # of a body; whether more comes


class App:
    """Answers 200, and remembers the bodies that reached it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        message = await receive() if scope["type"] == "http" else {}
        self.bodies.append(message.get("body", b""))
        await send({"type": "http.response.start", "status": 200, "headers": []})


def asked(
    app: App,
    parts: Sequence[Part] = ((b"{}", False),),
    headers: dict[bytes, bytes] | None = None,
    path: str = "/predict",
    method: str = "POST",
    then: str = "http.disconnect",
    **limits: Any,
) -> list[Message]:
    """What is sent to a caller whose body comes in these parts; `then`: what comes when they are over, or silence."""

    async def run() -> list[Message]:
        left = [{"type": "http.request", "body": body, "more_body": more} for body, more in parts]
        sent: list[Message] = []

        async def receive() -> Message:
            if not left and then == "silence":
                await asyncio.sleep(60)
            return left.pop(0) if left else {"type": then}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "http", "path": path, "method": method, "headers": list((headers or {}).items())}
        await asyncio.wait_for(Limits(app, MOST, **limits)(scope, receive, send), timeout=5)
        return sent

    return asyncio.run(run())


@pytest.mark.parametrize("parts", [((b"x" * 10, False),), ((b"x" * 5, True), (b"x" * 5, True), (b"", False))])
def test_what_is_short_enough_arrives_whole(parts: Sequence[Part]) -> None:
    app = App()
    assert asked(app, parts)[0]["status"] == 200
    assert app.bodies == [b"x" * 10]


@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        (((b"x" * 11, False),), {}),
        (((b"x" * 5, True), (b"x" * 6, True), (b"x", False)), {}),
        (((b"x" * 11, False),), {b"content-length": b"3"}),  # what it says of itself is not believed
        ((), {b"content-length": b"11"}),  # nor waited for
    ],
)
def test_what_is_too_long_is_refused(parts: Sequence[Part], headers: dict[bytes, bytes]) -> None:
    app = App()
    start, body = asked(app, parts, headers)
    assert (start["status"], app.bodies) == (413, [])
    assert "longer than 10 bytes" in json.loads(body["body"])["problems"][0]["problem"]
    assert dict(start["headers"])[b"connection"] == b"close"


def test_what_does_not_arrive_is_given_up() -> None:
    app = App()
    start, body = asked(app, ((b"{", True),), then="silence", seconds=0.05)
    assert (start["status"], app.bodies) == (408, [])
    assert "took more than 0.05 seconds to arrive" in json.loads(body["body"])["problems"][0]["problem"]
    assert dict(start["headers"])[b"connection"] == b"close"


def test_the_time_is_of_the_body_alone() -> None:
    """A model may take longer than a body may."""

    class Slow(App):
        async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
            await asyncio.sleep(0.2)
            await super().__call__(scope, receive, send)

    assert asked(Slow(), seconds=0.05)[0]["status"] == 200


def test_nobody_is_answered_who_has_gone() -> None:
    app = App()
    assert asked(app, ((b"{", True),)) == []
    assert app.bodies == []


@pytest.mark.parametrize(
    ("given", "path", "status"),
    [
        (b"Bearer s\xc3\xa9cret", "/predict", 200),
        (b"Bearer s\xc3\xa9cre", "/predict", 401),
        (b"Bearer s\xc3\xa9cret ", "/predict", 401),
        (b"s\xc3\xa9cret", "/predict", 401),
        (b"Bearer ", "/predict", 401),
        (b"\xff", "/predict", 401),
        (None, "/predict", 401),
        (None, "/metrics", 401),
        (None, "/model", 401),
        (None, "/livez", 200),
        (None, "/readyz", 200),
        (None, "/livez/../predict", 401),
        (None, "/livez/", 401),
    ],
)
def test_the_token(given: bytes | None, path: str, status: int) -> None:
    headers = {} if given is None else {b"authorization": given}
    start = asked(App(), headers=headers, path=path, token="sécret")[0]
    assert start["status"] == status
    assert (dict(start["headers"]).get(b"www-authenticate") == b"Bearer") == (status == 401)


def test_who_lacks_the_token_is_not_listened_to() -> None:
    """The refusal comes without a byte of the body."""
    assert asked(App(), (), then="silence", token="secret")[0]["status"] == 401


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_has_no_body_is_not_waited_for(method: str) -> None:
    app = App()
    assert asked(app, method=method, path="/model")[0]["status"] == 200


def test_what_is_not_http_goes_through() -> None:
    app = App()

    async def send(message: Message) -> None:
        pass

    async def receive() -> Message:
        raise AssertionError

    asyncio.run(Limits(app, MOST, "secret")({"type": "lifespan"}, receive, send))
    assert app.bodies == [b""]
