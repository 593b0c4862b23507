"""Requests are counted by the minute and by what became of them, and nothing that was sent is kept."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from journals import lines, log, put

from gitloop.serving.journal import Journal
from gitloop.serving.shipper import Shipper
from gitloop.serving.tallied import Requests, read
from gitloop.serving.tally import NAME, OTHER, REASONS, Counting, Tally, refused

BEGIN = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)
SINCE, UNTIL = datetime(2026, 11, 21), datetime(2026, 11, 22)


class Clock:
    def __init__(self) -> None:
        self.time = BEGIN

    def __call__(self) -> float:
        return self.time.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def told(tally: Tally, whole: bool = False) -> list[tuple[str, str, int, str, int]]:
    keys = ("time", "endpoint", "status", "reason", "count")
    return [tuple(one[key] for key in keys) for one in tally.lines("v1.0.0", whole)]


def test_a_minute_is_told_once_when_it_is_over(clock: Clock) -> None:
    tally = Tally(clock)
    for _ in range(3):
        tally.add("predict", 200)
    tally.add("predict", 400, "age: is missing; give a value")
    assert told(tally) == []
    clock.time += timedelta(minutes=1)
    tally.add("predict", 200)
    time = BEGIN.isoformat()
    assert told(tally) == [
        (time, "predict", 200, "", 3),
        (time, "predict", 400, "age: is missing; give a value", 1),
    ]
    assert told(tally) == []
    assert told(tally, whole=True) == [((BEGIN + timedelta(minutes=1)).isoformat(), "predict", 200, "", 1)]


def test_reasons_are_few(clock: Clock) -> None:
    tally = Tally(clock)
    for number in range(3 * REASONS):
        tally.add("predict", 400, f"column {number}: is missing")
    found = told(tally, whole=True)
    assert len(found) == REASONS + 1
    assert [one[4] for one in found if one[3] == OTHER] == [2 * REASONS]


def test_threads_lose_no_count() -> None:
    tally, counted, stop = Tally(), [0], threading.Event()

    def collect() -> None:
        while not stop.is_set():
            counted[0] += sum(one["count"] for one in tally.lines("v1.0.0", whole=True))

    def add() -> None:
        for _ in range(5000):
            tally.add("predict", 200)

    reader, writers = threading.Thread(target=collect), [threading.Thread(target=add) for _ in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    reader.join()
    assert counted[0] + sum(one["count"] for one in tally.lines("v1.0.0", whole=True)) == 20_000


Answer = Callable[[Any], Any]


def asked(tally: Tally, answer: Answer, path: str = "/predict", kind: str = "http") -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await answer(send)

    async def nothing(*_: Any) -> Any:
        return {}

    asyncio.run(Counting(app, tally)({"type": kind, "path": path}, nothing, nothing))


def status(code: int, *problems: dict[str, str]) -> Answer:
    async def answer(send: Any) -> None:
        # As a service does it: in a task of its own.
        await asyncio.create_task(_refuse(list(problems)))
        await send({"type": "http.response.start", "status": code, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return answer


async def _refuse(problems: list[dict[str, str]]) -> None:
    if problems:
        refused(problems, {"age", "town"})


def test_what_was_sent_is_in_no_reason(clock: Clock) -> None:
    tally = Tally(clock)
    asked(tally, status(200))
    asked(tally, status(400, {"field": "age", "problem": "is missing; give a value"}))
    asked(tally, status(400, {"field": "rows.17.town", "problem": "is missing; give a value"}))
    asked(tally, status(400, {"field": "SECRET", "problem": "is not a field; did you mean 'age'?"}))
    asked(tally, status(400, {"field": "request", "problem": "is 'text/SECRET'; send application/json"}))
    asked(tally, status(413))
    asked(tally, status(200), path="/feedback")
    for path in ("/metrics", "/SECRET", "/predict/SECRET"):
        asked(tally, status(404), path=path)
    asked(tally, status(200), kind="lifespan")
    found = [(endpoint, code, reason) for _, endpoint, code, reason, _ in told(tally, whole=True)]
    assert found == [
        ("feedback", 200, ""),
        ("predict", 200, ""),
        ("predict", 400, "a field that is not in the contract"),
        ("predict", 400, "age: is missing; give a value"),
        ("predict", 400, "the body as a whole"),
        ("predict", 400, "town: is missing; give a value"),
        ("predict", 413, "is too long"),
    ]


def test_errors_and_timeouts_are_counted_and_go_on(clock: Clock) -> None:
    tally = Tally(clock)

    async def fails(_: Any) -> None:
        raise ZeroDivisionError

    async def cancelled(_: Any) -> None:
        raise asyncio.CancelledError

    async def gone(_: Any) -> None:
        return

    with pytest.raises(ZeroDivisionError):
        asked(tally, fails)
    with pytest.raises(asyncio.CancelledError):
        asked(tally, cancelled)
    asked(tally, gone)
    assert [(code, reason) for _, _, code, reason, _ in told(tally, whole=True)] == [
        (500, "an error in the service"),
        (504, "took too long to be answered"),
    ]


def record(number: int, status: int, count: int, reason: str = "", minute: datetime = BEGIN) -> dict[str, Any]:
    return {
        "id": f"{number:032x}",
        "time": minute.isoformat(),
        "version": "v1.0.0",
        "endpoint": "predict",
        "status": status,
        "reason": reason,
        "count": count,
    }


COUNTS = [
    record(1, 200, 90),
    record(2, 400, 6, "age: is missing; give a value"),
    record(3, 400, 3, "town: is missing; give a value"),
    record(4, 500, 1, "an error in the service"),
    record(5, 200, 1000, minute=BEGIN - timedelta(days=1)),
]
FOUND = Requests(100, 9, 1, "400 age: is missing; give a value", "500 an error in the service")


def test_a_window_is_read_from_files(tmp_path: Path) -> None:
    """Lines that are there twice count once; torn ones, and those of another window, do not."""
    folder = tmp_path / "predictions"
    put(folder, NAME, *COUNTS)
    put(folder, NAME, COUNTS[0], b'{"id": "a', b"[1]\n", {"id": "b", "time": "soon"}, of="there-2")
    assert read(log(folder), SINCE, UNTIL) == FOUND
    assert read(log(tmp_path / "none"), SINCE, UNTIL) == Requests()


def test_a_window_is_read_from_a_database(tmp_path: Path) -> None:
    folder = tmp_path / "predictions"
    url = f"sqlite:///{tmp_path / 'log.db'}"
    put(folder, NAME, *COUNTS)
    Shipper(log(folder, url=url), every=0.01).close()
    assert read(log(folder, url=url), SINCE, UNTIL) == FOUND


def test_they_lie_beside_the_predictions(tmp_path: Path, clock: Clock) -> None:
    journal = Journal(log(tmp_path / "predictions"), now=lambda: clock.time)
    tally = Tally(clock)
    tally.add("predict", 400, "age: is missing; give a value")
    assert journal.write(NAME, tally.lines("v1.0.0", whole=True)) == 1
    journal.close()
    (line,) = lines(tmp_path / "predictions", NAME)
    assert json.dumps({**line, "id": ""}) == json.dumps(
        {
            "id": "",
            "time": BEGIN.isoformat(),
            "version": "v1.0.0",
            "endpoint": "predict",
            "status": 400,
            "reason": "age: is missing; give a value",
            "count": 1,
        }
    )
