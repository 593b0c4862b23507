"""Iterators that are worked on in threads: what they call lets others run meanwhile (DuckDB, Arrow, ONNX Runtime)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2  # items that are made before they are asked for


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, made in a thread of their own while the former are used."""
    end = object()
    with ThreadPoolExecutor(1) as pool:
        made = deque(pool.submit(next, items, end) for _ in range(AHEAD))
        while (item := made.popleft().result()) is not end:
            made.append(pool.submit(next, items, end))
            yield item  # type: ignore[misc]


def mapped(function: Callable[[Item], Result], items: Iterator[Item], workers: int) -> Iterator[Result]:
    """What the function makes of each item, in their order, so many at a time."""
    with ThreadPoolExecutor(workers) as pool:
        made: deque[Future[Result]] = deque()
        for item in items:
            made.append(pool.submit(function, item))
            if len(made) > workers:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()
