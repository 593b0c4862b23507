"""Processes that outlive who started them are found, and end, by their mark."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gitloop.gitops import processes

# A process with a child; neither ends when asked to.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1:] != ["child"]:
    subprocess.Popen([sys.executable, "-c", os.environ["CODE"], "child"], start_new_session=True)
print(sorted(name for name in os.environ if "RUN" in name), flush=True)
time.sleep(60)
"""


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[str]:
    mark = f"{tmp_path}:service:1"
    environment = {"CODE": STUBBORN, "RUNNER_TRACKING_ID": "x", "GITHUB_TOKEN": "x", "RUN": "x"}
    processes.start(mark, [sys.executable, "-c", STUBBORN], tmp_path, tmp_path / "log", environment)
    yield mark
    processes.stop(mark, 0)


def test_children_are_found_and_what_does_not_end_is_killed(mark: str, tmp_path: Path) -> None:
    until = time.monotonic() + 20
    while len(processes.last(tmp_path / "log", 10)) < 2:
        assert time.monotonic() < until, processes.last(tmp_path / "log", 10)
        time.sleep(0.05)
    assert processes.last(tmp_path / "log", 10) == ["['RUN']", "['RUN']"]
    assert len(processes.marks(f"{tmp_path}:")[mark]) == 2
    assert not processes.alive(f"{tmp_path}:service:2")
    processes.stop(mark, 0.2)
    assert not processes.alive(mark)
