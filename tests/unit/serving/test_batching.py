"""Rows that wait are computed together, each gets its own scores, and what one breaks only that one feels."""

from __future__ import annotations

import asyncio
import time

import numpy as np
import pytest

from gitloop.arrays import Array, Columns
from gitloop.serving.batching import MOST, Batcher


def rows(*values: float) -> Columns:
    return {"x": np.array(values)}


def test_what_waits_is_computed_together() -> None:
    sizes: list[int] = []

    def slow(columns: Columns) -> Array:
        sizes.append(len(columns["x"]))
        time.sleep(0.05)
        return columns["x"] * 2

    async def ask() -> list[Array]:
        batcher = Batcher(slow)
        return list(await asyncio.gather(*(batcher(rows(float(index))) for index in range(40))))

    assert [scores.tolist() for scores in asyncio.run(ask())] == [[2.0 * index] for index in range(40)]
    assert sum(sizes) == 40
    assert len(sizes) <= 3  # the first alone, or all at once, and the rest


def test_batches_have_a_bound_and_rows_of_one_caller_stay_together() -> None:
    sizes: list[int] = []

    def score(columns: Columns) -> Array:
        sizes.append(len(columns["x"]))
        return columns["x"]

    async def ask() -> list[Array]:
        batcher = Batcher(score)
        return list(await asyncio.gather(*(batcher(rows(*range(100))) for _ in range(8)), batcher(rows(*range(500)))))

    assert [len(scores) for scores in asyncio.run(ask())] == [100] * 8 + [500]
    assert max(sizes[:-1]) <= MOST
    assert sizes[-1] == 500


def test_one_that_cannot_be_scored_spoils_no_other() -> None:
    def strict(columns: Columns) -> Array:
        if (columns["x"] < 0).any():
            raise ValueError("below zero")
        return columns["x"]

    async def ask() -> list[Array | BaseException]:
        batcher = Batcher(strict)
        asked = (batcher(rows(value)) for value in (1.0, -1.0, 2.0, -2.0, 3.0))
        return list(await asyncio.gather(*asked, return_exceptions=True))

    told = asyncio.run(ask())
    assert [one.tolist() for one in told if isinstance(one, np.ndarray)] == [[1.0], [2.0], [3.0]]
    assert [str(one) for one in told if isinstance(one, BaseException)] == ["below zero"] * 2


def test_a_caller_who_gives_up_is_left_out() -> None:
    async def ask() -> float:
        batcher = Batcher(lambda columns: columns["x"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(batcher(rows(1.0)), timeout=0)
        return float((await batcher(rows(2.0)))[0])

    assert asyncio.run(ask()) == 2.0
