"""What is asked of an operation, and what is common to the answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from standin.state import Answer, State, error

LIMIT = 65_536  # characters of a body


class Asked(NamedTuple):
    path: str  # without the prefix
    query: dict[str, str]
    body: Any
    login: str


class Refusal(Exception):
    def __init__(self, status: int, message: str, **more: Any) -> None:
        self.answer = error(status, message, **more)


def done(status: int, body: Any) -> Answer:
    return Answer(status, body, {})


def paged(state: State, asked: Asked, found: list[Any], show: Callable[[Any], Any]) -> Answer:
    size, page = int(asked.query.get("per_page", 30)), int(asked.query.get("page", 1))
    ordered = found[::-1] if asked.query.get("direction") == "desc" else found
    headers = {}
    if page * size < len(ordered):
        rest = "".join(f"{key}={value}&" for key, value in asked.query.items() if key != "page")
        headers["Link"] = f'<{state.base_url}{asked.path}?{rest}page={page + 1}>; rel="next"'
    return Answer(200, [show(one) for one in ordered[(page - 1) * size : page * size]], headers)


def limited(asked: Asked) -> None:
    if len(asked.body.get("body") or "") > LIMIT:
        invalid(f"body is too long (maximum is {LIMIT} characters)")


def invalid(message: str) -> None:
    raise Refusal(422, "Validation Failed", errors=[{"resource": "Issue", "code": "custom", "message": message}])
