"""How many threads the libraries below scikit-learn take: OpenMP in gradient boosting, BLAS in linear models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from threadpoolctl import ThreadpoolController

ENOUGH = 5_000_000  # values from which threads pay


@contextmanager
def suited(values: int) -> Iterator[None]:
    """One thread for a table of fewer than `ENOUGH` values (rows × columns), as many as there are cores for a larger.

    Threads meet at every node of every tree. Two of them boost 16,000 × 266 values in two thirds of one's time where
    both cores are free, and in three times as long beside another busy process; 2,000 × 15 in forty times as long.
    They may also sum up in another order: one gives the same bytes on a machine of any number of cores.
    """
    with _libraries().limit(limits=1 if values < ENOUGH else None):
        yield


@cache
def _libraries() -> ThreadpoolController:
    """What is loaded. To look takes milliseconds, so it is looked once: scikit-learn has loaded its own by then."""
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401 -- both, that their libraries are there

    return ThreadpoolController()
