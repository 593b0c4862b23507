"""A small table is learned by one thread: two of them wait for each other longer than they work."""

from __future__ import annotations

from threadpoolctl import ThreadpoolController, threadpool_limits

from gitloop import threads


def taken() -> set[int]:
    return {one["num_threads"] for one in ThreadpoolController().info() if one["user_api"] in ("openmp", "blas")}


def test_threads_are_taken_where_they_pay() -> None:
    import sklearn.ensemble
    import sklearn.linear_model  # noqa: F401 -- both, that their libraries are loaded

    with threadpool_limits(2):
        with threads.suited(threads.ENOUGH - 1):
            assert taken() == {1}
        assert taken() == {2}
        with threads.suited(threads.ENOUGH):
            assert taken() == {2}
