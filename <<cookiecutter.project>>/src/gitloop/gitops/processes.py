"""Processes that outlive the verb that started them, found again by a mark in their environment.

Children inherit the mark. So whatever was killed in between, nothing that runs is ever out of sight.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # it has no types

MARK = "GITLOOP_DEPLOYED"
# Of a run of Actions: tokens, and the mark by which its runner ends at the end of a job what was started in it.
OF_A_RUN = ("GITHUB_", "ACTIONS_", "RUNNER_")
LOOKS = 4


def start(mark: str, command: Sequence[str], folder: Path, log: Path, environment: Mapping[str, str]) -> None:
    """Start a command in a folder, in a session of its own; what it says goes to `log`."""
    kept = {name: value for name, value in environment.items() if not name.startswith(OF_A_RUN)}
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as said:
        subprocess.Popen(
            command,
            cwd=folder,
            env={**kept, MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )


def marks(prefix: str) -> dict[str, list[psutil.Process]]:
    """What runs under marks that begin like this, by mark."""
    found: dict[str, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        if (mark := _mark(process)).startswith(prefix):
            found.setdefault(mark, []).append(process)
    return found


def alive(mark: str) -> bool:
    return mark in marks(mark)


def _mark(process: psutil.Process) -> str:
    if process.pid == os.getpid():
        return ""
    for _ in range(LOOKS):
        try:
            if found := process.environ():
                return str(found.get(MARK, ""))
            if process.status() == psutil.STATUS_ZOMBIE or 2 in (process.pid, process.ppid()):
                break  # the kernel's own threads have none
        except (psutil.Error, OSError):  # somebody else's, or gone
            break
        time.sleep(0.005)  # it is becoming another program, and shows nothing meanwhile
    return ""


def stop(mark: str, seconds: float = 60) -> None:
    """Ask the first of the processes to end; what is left after so many seconds is killed."""
    running = marks(mark).get(mark, [])
    pids = {process.pid for process in running}
    for process in running:
        try:
            if process.ppid() not in pids:
                process.terminate()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(running, timeout=seconds)
    left = marks(mark).get(mark, [])
    for process in left:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(left, timeout=seconds)


def last(log: Path, lines: int = 1) -> list[str]:
    """The last lines that a process said."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return []
    return [line.rstrip() for line in text.splitlines() if line.strip()][-lines:]
