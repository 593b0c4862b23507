"""A repository at the hub whose model was trained by its own workflows, once; each test gets a copy."""

from __future__ import annotations

import fcntl
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub import act, hub, seeds
from project import edit, run
from repositories import git


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


@pytest.fixture
def changed(here: hub.Hub) -> Callable[..., Path]:
    """A clone with a branch on which files were written or edited, and committed."""

    def change(branch: str, edits: dict[str, dict[str, Any]] | None = None, **files: str) -> Path:
        clone = here.clone(f"work-{branch.replace('/', '-')}")
        git(clone, "switch", "--quiet", "--create", branch)
        for name, changes in (edits or {}).items():
            edit(clone / name, **changes)
        run(clone, "gitloop", "params")
        for name, text in files.items():
            path = clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        git(clone, "add", "--all")
        git(clone, "commit", "--quiet", "--message", f"Work of {branch}")
        return clone

    return change
