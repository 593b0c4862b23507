"""Rows that wait while others are computed are computed together: for models that take milliseconds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np

from gitloop.arrays import Array, Columns

MOST = 256  # rows put together

Score = Callable[[Columns], Array]


class Batcher:
    """Calls `score` in a thread, one batch after the other; nobody waits for a batch to fill."""

    def __init__(self, score: Score) -> None:
        self._score = score
        self._waiting: list[tuple[Columns, asyncio.Future[Array]]] = []
        self._worker: asyncio.Task[None] | None = None

    def __call__(self, columns: Columns) -> Awaitable[Array]:
        """The scores of the rows, computed with whatever else waits."""
        answer: asyncio.Future[Array] = asyncio.get_running_loop().create_future()
        self._waiting.append((columns, answer))
        if self._worker is None or self._worker.done():
            self._worker = asyncio.create_task(self._work())
        return answer

    async def _work(self) -> None:
        while self._waiting:
            batch = self._take()
            sizes = [_rows(columns) for columns, _ in batch]
            together = {name: np.concatenate([columns[name] for columns, _ in batch]) for name in batch[0][0]}
            try:
                scores = await asyncio.to_thread(self._score, together)
                parts = np.split(scores, np.cumsum(sizes)[:-1])
            except Exception as error:
                await self._alone(batch, error)
                continue
            for (_, answer), part in zip(batch, parts, strict=True):
                if not answer.done():  # its caller may have gone
                    answer.set_result(part)

    async def _alone(self, batch: list[tuple[Columns, asyncio.Future[Array]]], error: Exception) -> None:
        """One row that cannot be scored must not spoil the others."""
        for columns, answer in batch:
            try:
                if len(batch) == 1:
                    raise error
                scores = await asyncio.to_thread(self._score, columns)
            except Exception as own:
                if not answer.done():
                    answer.set_exception(own)
                continue
            if not answer.done():
                answer.set_result(scores)

    def _take(self) -> list[tuple[Columns, asyncio.Future[Array]]]:
        taken, rows = 0, 0
        for columns, _ in self._waiting:
            rows += _rows(columns)
            if taken and rows > MOST:
                break
            taken += 1
        batch, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return batch


def _rows(columns: Columns) -> int:
    return len(next(iter(columns.values())))
