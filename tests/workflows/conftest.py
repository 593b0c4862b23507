"""A repository at the hub whose model was trained by its own workflows, once; each test gets a copy."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from hub import act, hub, seeds
from hub.work import branched

TRAIN = {"push": "train", "workflow_dispatch": "train"}


@pytest.fixture(scope="session")
def seed(tmp_path_factory: pytest.TempPathFactory) -> seeds.Seed:
    """Made by the first of the workers that asks for it."""
    act.binary()
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "seed"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        there = shared / "seed.pickle"
        if not there.exists():
            there.write_bytes(pickle.dumps(seeds.grow(shared)))
        found: seeds.Seed = pickle.loads(there.read_bytes())  # noqa: S301 -- our own
        return found


@pytest.fixture
def here(seed: seeds.Seed, tmp_path: Path) -> Iterator[hub.Hub]:
    with hub.opened(tmp_path / "hub", seed.origin, seed.store, seed.home) as opened:
        yield opened


@pytest.fixture(scope="module")
def shared(seed: seeds.Seed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[hub.Hub]:
    """For what several tests of a module look at; of train.yml its job `train` alone is run."""
    with hub.opened(tmp_path_factory.mktemp("shared") / "hub", seed.origin, seed.store, seed.home) as opened:
        opened.jobs = TRAIN
        yield opened


@pytest.fixture
def lean(here: hub.Hub) -> hub.Hub:
    """The hub, where of train.yml its job `train` alone is run."""
    here.jobs = TRAIN
    return here


@pytest.fixture
def changed(here: hub.Hub) -> Callable[..., Path]:
    return partial(branched, here)
