"""What the benchmarks share: generated projects, timed commands, tables."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from project import cold, edit, generate, template

__all__ = ["Cost", "alternate", "edit", "measure", "project", "run", "say", "template"]


class Cost(NamedTuple):
    seconds: float
    megabytes: float  # peak resident memory of the process, its children not counted
    cpu: float  # seconds of all cores, its children counted: what else runs on the machine hardly shows in it


@contextmanager
def project() -> Iterator[Path]:
    """A generated flights project in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        yield generate(Path(folder))


def run(where: Path, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, started as people start it; its output. Raises where it fails but should not."""
    done = subprocess.run(command, cwd=where, env=cold(where), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done


def measure(where: Path, *command: str) -> Cost:
    """Run a command to its end; wall time and peak memory. Raises where it fails."""
    env = cold(where) if (where / "src").exists() else dict(os.environ)
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=where, env=env, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {output.read().decode()}")
    return Cost(seconds, usage.ru_maxrss / 1024, usage.ru_utime + usage.ru_stime)


def alternate(commands: Sequence[tuple[Path, Sequence[str]]], times: int) -> list[float]:
    """Median seconds of commands run by turns, so that noise of the machine falls on all of them."""
    taken: list[list[float]] = [[] for _ in commands]
    for turn in range(times + 1):
        for seconds, (where, command) in zip(taken, commands, strict=True):
            cost = measure(where, *command)
            if turn:  # the first turn warms the file cache
                seconds.append(cost.seconds)
    return [statistics.median(seconds) for seconds in taken]


def say(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    from gitloop import ui

    ui.table(title, columns, rows)
