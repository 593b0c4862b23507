"""How many requests there were, and what became of them: counted by the minute, kept in the prediction log.

A line is `{"id", "time", "version", "endpoint", "status", "reason", "count"}`: nothing of a row. A reason names a rule
and, at most, a column of the contract. One dictionary is written to in the path of a request; a minute's lines are
written after it is over, or when the service stops.
"""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, MutableMapping, Sequence, Set
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

from gitloop.serving.failing import Trial
from gitloop.serving.limits import App, Message, Receive, Send

NAME = "requests"  # of the log
ENDPOINTS = {f"/{name}": name for name in ("predict", "predict_batch", "feedback")}
MINUTE = 60
REASONS = 50  # that are told apart in one minute
OTHER = "other"
WORDS = {
    401: "the token is missing or wrong",
    408: "took too long to arrive",
    413: "is too long",
    429: "too many requests",
    500: "an error in the service",
    503: "the service is not ready",
    504: "took too long to be answered",
}

Key = tuple[int, str, int, str]  # minute, endpoint, status, reason
_why: ContextVar[list[str] | None] = ContextVar("gitloop-refused", default=None)


def refused(problems: Sequence[Mapping[str, str]], known: Set[str]) -> None:
    """Note why the request that is being answered is refused: the first of its problems, without what was sent."""
    reasons = _why.get()
    if reasons is None or not problems:
        return
    first = problems[0]
    place = next((part for part in first["field"].split(".") if part in known), None)
    if first["problem"].startswith("is not a field"):
        reasons.append("a field that is not in the contract")
    elif place is not None:
        reasons.append(f"{place}: {first['problem']}")
    else:
        reasons.append("the body as a whole")


class Tally:
    """The counts of one process. Safe for threads."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self._now = now
        self._counts: Counter[Key] = Counter()
        self._lock = threading.Lock()

    def add(self, endpoint: str, status: int, reason: str = "") -> None:
        minute = int(self._now()) // MINUTE
        with self._lock:
            key = (minute, endpoint, status, reason)
            if key not in self._counts and len(self._counts) >= REASONS:
                key = (minute, endpoint, status, OTHER)
            self._counts[key] += 1

    def lines(self, version: str, whole: bool = False) -> list[dict[str, Any]]:
        """Of the minutes that are over, or with `whole` of all; each is given once."""
        minute = int(self._now()) // MINUTE
        with self._lock:
            over = {key: count for key, count in self._counts.items() if whole or key[0] < minute}
            for key in over:
                del self._counts[key]
        return [
            {
                "id": uuid.uuid4().hex,
                "time": datetime.fromtimestamp(of * MINUTE, UTC).isoformat(),
                "version": version,
                "endpoint": endpoint,
                "status": status,
                "reason": reason,
                "count": count,
            }
            for (of, endpoint, status, reason), count in sorted(over.items())
        ]


class Counting:
    """Counts what the endpoints answer, whoever answers. An ASGI middleware, before all others."""

    def __init__(self, app: App, tally: Tally | None, trial: Trial | None = None) -> None:
        self._app, self._tally, self._trial = app, tally, trial

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        endpoint = ENDPOINTS.get(scope.get("path", "")) if scope["type"] == "http" else None
        if endpoint is None:
            await self._app(scope, receive, send)
            return
        reasons: list[str] = []
        status = 0
        token = _why.set(reasons)

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        except asyncio.CancelledError:
            status = status or 504
            raise
        except Exception:
            status = 500
            raise
        finally:
            _why.reset(token)
            if status and self._tally:  # without a status the caller has gone
                reason = "" if status < 400 else reasons[0] if reasons else WORDS.get(status, "")
                self._tally.add(endpoint, status, reason)
            if status and self._trial:
                self._trial.heard(status >= 500)
