"""A load for one URL, the same for every contender: `python -m benchmarks.load URL BODIES SECONDS CLIENTS [RATE]`.

Without a rate each client sends when it was answered. With one, requests start evenly spaced, whatever becomes of those
before them: a request that had to wait for a client counts from when it should have started.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from pathlib import Path

import aiohttp

TIMEOUT = 10.0  # seconds; a request that takes longer is an error


async def load(url: str, bodies: list[bytes], seconds: float, clients: int, rate: float | None) -> dict[str, float]:
    """Requests answered with 200, errors, seconds, and quantiles of the latency in milliseconds."""
    taken: list[float] = []
    errors = 0
    numbers = itertools.count()
    clock = asyncio.get_running_loop().time
    start = clock()

    async def client(session: aiohttp.ClientSession) -> None:
        nonlocal errors
        for number in numbers:
            begin = clock()
            if rate is not None:
                due = start + number / rate
                if due > begin:
                    await asyncio.sleep(due - begin)
                begin = clock() if due > begin else due
            if begin - start > seconds:
                return
            body = bodies[number % len(bodies)]
            try:
                async with session.post(url, data=body) as answer:
                    await answer.read()
                    if answer.status != 200:
                        raise aiohttp.ClientError
                taken.append(clock() - begin)
            except (aiohttp.ClientError, TimeoutError):
                errors += 1

    headers = {"Content-Type": "application/json"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    connector = aiohttp.TCPConnector(limit=clients)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
        await asyncio.gather(*(client(session) for _ in range(clients)))
    taken.sort()
    quantiles = {f"p{q}": 1000 * taken[min(len(taken) - 1, len(taken) * q // 100)] if taken else 0 for q in (50, 99)}
    return {"requests": len(taken), "errors": errors, "seconds": clock() - start, **quantiles}


if __name__ == "__main__":
    url, file, seconds, clients, *rest = sys.argv[1:]
    lines = Path(file).read_bytes().splitlines()
    rate = float(rest[0]) if rest else None
    print(json.dumps(asyncio.run(load(url, lines, float(seconds), int(clients), rate))))
