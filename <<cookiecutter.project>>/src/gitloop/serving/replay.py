"""Ask a running service what it says of a window of the source, row by row, as callers do: to see, try or load it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np

from gitloop import layout, settings, ui
from gitloop.data import ingest
from gitloop.data.protocol import Request
from gitloop.errors import InputError, Refused
from gitloop.serving import local, signature
from gitloop.serving.intake import Wanted, taken, window
from gitloop.serving.journal import parts
from gitloop.serving.rows import ASIDE, KEPT, Rows
from gitloop.settings import Data, Settings

TIMEOUT = aiohttp.ClientTimeout(total=60)
AT_ONCE = 500  # rows made ready at a time: requests wait meanwhile
GIVE_UP = 100  # failures one after the other
Row = dict[str, Any]


@dataclass
class Seen:
    """What came of the requests."""

    seconds: list[float] = field(default_factory=list)  # of each answer with 200
    last: str | None = None  # the id of an answer
    told: int = 0  # truths that were kept
    failed: int = 0
    why: str = ""  # the first failure
    streak: int = 0  # failures since the last answer


def run(arguments: argparse.Namespace) -> None:
    """`gitloop replay`."""
    if arguments.clients < 1 or (arguments.rate is not None and not arguments.rate > 0):
        raise InputError("--clients and --rate: must be above zero")
    loaded = settings.load()
    token = settings.secret(loaded.serving.token_env, "conf/serving/: token_env")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    seen = Seen()
    there = (arguments.url or f"http://127.0.0.1:{loaded.serving.port}").rstrip("/")
    with (
        taken(_wanted(loaded, arguments)) as rows,
        local.running() if arguments.serve else contextlib.nullcontext(there) as url,
    ):
        began = time.perf_counter()
        asyncio.run(_replay(url, headers, rows, seen, loaded.data, arguments))
        seconds = time.perf_counter() - began
    if not seen.seconds and not seen.failed:
        raise InputError(f"{layout.data_conf(loaded.data.name)}: source: has no row in the window; widen it")
    _show(url, seen, rows.count(ASIDE), seconds)
    if loaded.serving.log is not None and seen.last and (line := _line(Path(loaded.serving.log.folder), seen.last)):
        ui.say(f"A line of the prediction log in {loaded.serving.log.folder}/:\n{line}")
    if seen.failed:
        over = ", then it was given up" if seen.streak >= GIVE_UP else ""
        asked = seen.failed + len(seen.seconds) + seen.told
        raise Refused(f"{url}: {seen.failed:,} of {asked:,} requests failed{over}: {seen.why}")


def _wanted(loaded: Settings, arguments: argparse.Namespace) -> Wanted:
    """The truth is needed for feedback alone, and may be missing."""
    data, inputs = loaded.data, signature.read(layout.MODEL).inputs
    inside = window(arguments, data)
    place = f"{layout.data_conf(data.name)}: source"
    target = {"nullable": True} if arguments.feedback else {"role": ("ignored",)}
    columns = {**data.columns, data.target: data.columns[data.target].model_copy(update=target)}
    request = Request(columns, data.timestamp, inside.since, inside.until)
    needed = (*inputs, *([data.target] if arguments.feedback else []))
    return Wanted(data, ingest.create(data.source, place), request, needed, place)


def _bodies(rows: Rows) -> Iterator[Row]:
    """The rows that keep the contract as JSON, with the target where it is there."""
    known = signature.read(layout.MODEL)
    names = [name for name in rows.columns if name in known.inputs | known.passengers or name == known.contract.target]
    for part in rows.tables(names):
        for start in range(0, part.num_rows, AT_ONCE):
            for row in part.select(names).slice(start, AT_ONCE).to_pylist():
                yield {name: _json(value) for name, value in row.items() if value is not None}


def _json(value: Any) -> Any:
    return value.replace(tzinfo=UTC).isoformat() if isinstance(value, datetime) else value


async def _replay(
    url: str, headers: dict[str, str], rows: Rows, seen: Seen, data: Data, arguments: argparse.Namespace
) -> None:
    bodies = enumerate(_bodies(rows))
    connector = aiohttp.TCPConnector(limit=arguments.clients)
    with ui.progress("rows replayed", rows.count(KEPT)) as advance:
        async with aiohttp.ClientSession(connector=connector, timeout=TIMEOUT, headers=headers) as session:
            began = time.perf_counter()

            async def caller() -> None:
                for number, row in bodies:
                    if seen.streak >= GIVE_UP:
                        return
                    if arguments.rate:
                        await asyncio.sleep(began + number / arguments.rate - time.perf_counter())
                    truth = row.pop(data.target, None)
                    id = await _ask(session, url, row, seen)
                    if id is not None and truth is not None:
                        await _tell(session, url, id, truth, seen)
                    advance(1, f"{len(seen.seconds) / (time.perf_counter() - began):,.0f} rows/s")

            await asyncio.gather(*(caller() for _ in range(arguments.clients)))


async def _ask(session: aiohttp.ClientSession, url: str, row: Row, seen: Seen) -> str | None:
    """The id of the prediction; None where it failed."""
    began = time.perf_counter()
    told = await _post(session, f"{url}/predict", row, seen)
    if told is None:
        return None
    seen.seconds.append(time.perf_counter() - began)
    seen.last = str(told["id"])
    return seen.last


async def _tell(session: aiohttp.ClientSession, url: str, id: str, truth: Any, seen: Seen) -> None:
    if await _post(session, f"{url}/feedback", {"id": id, "truth": truth}, seen) is not None:
        seen.told += 1


async def _post(session: aiohttp.ClientSession, url: str, body: Row, seen: Seen) -> Any:
    try:
        async with session.post(url, json=body) as answer:
            text = await answer.text()
            if answer.status == 200:
                seen.streak = 0
                return json.loads(text)
            problem = f"{answer.status} {' '.join(text.split())[:300]}"
    except aiohttp.InvalidURL as error:
        raise InputError(f"--url: {url.rpartition('/')[0]!r} is no address; write http://127.0.0.1:3000") from error
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        if isinstance(error, aiohttp.ClientConnectorError) and not seen.seconds:
            raise InputError(f"{url}: no service answers ({error.strerror}); start it with `gitloop serve`") from error
        problem = " ".join(f"{type(error).__name__}: {error}".split())
    seen.failed += 1
    seen.streak += 1
    seen.why = seen.why or problem
    return None


def _show(url: str, seen: Seen, aside: int, seconds: float) -> None:
    p50, p90, p99 = np.quantile(seen.seconds, [0.5, 0.9, 0.99]) * 1000 if seen.seconds else [None] * 3
    count = len(seen.seconds)
    ui.table(
        f"{url}/predict, one row a request",
        ["answers", "failures", "answers/s", "p50, ms", "p90, ms", "p99, ms", "truths told", "rows set aside"],
        [
            [
                count,
                seen.failed,
                round(count / seconds),
                *(one and round(float(one), 2) for one in (p50, p90, p99)),
                seen.told,
                aside,
            ]
        ],
    )


def _line(folder: Path, id: str) -> str | None:
    """The line with this id, where the log is on this machine."""
    for part in reversed(parts(folder)):
        if part.name == "predictions":
            for line in part.path.read_text(encoding="utf-8").splitlines():
                if f'"{id}"' in line:
                    return line
    return None
