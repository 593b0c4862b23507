"""The real service for tests, started by `gitloop serve`, and callers that remember what they were answered."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "<<cookiecutter.project>>/src"
SECONDS = 60.0  # to start
Packaged = Callable[..., Path]  # makes a folder with a packaged model


class Server(NamedTuple):
    url: str
    port: int
    process: subprocess.Popen[bytes]
    folder: Path

    def lines(self, name: str = "predictions") -> list[dict[str, Any]]:
        """What the prediction log holds."""
        files = sorted((self.folder / "predictions").glob(f"{name}-*.jsonl"))
        return [json.loads(line) for file in files for line in file.read_text().splitlines()]

    def end(self) -> int:
        """As a container's runtime asks for it; the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=SECONDS)

    def kill(self) -> None:
        """SIGKILL to every process of it: BentoML gives each worker a session of its own."""
        with contextlib.suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            for one in [*first.children(recursive=True), first]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    one.kill()
        self.process.wait(timeout=SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def start(folder: Path, *options: str, **env: str) -> tuple[int, subprocess.Popen[bytes]]:
    """`gitloop serve` in the folder; its output goes to server.log there."""
    port = free_port()
    command = [sys.executable, "-m", "gitloop", "serve", "--port", str(port), *options]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{SOURCE}{os.pathsep}{folder / 'src'}", **env},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    return port, process


@contextmanager
def serving(folder: Path, *options: str, **env: str) -> Iterator[Server]:
    """A server that is ready; gone at the end, whatever became of it."""
    port, process = start(folder, *options, **env)
    server = Server(f"http://127.0.0.1:{port}", port, process, folder)
    try:
        wait(server.url, process, folder / "server.log")
        yield server
    finally:
        server.kill()


def wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until it is ready."""
    until = time.monotonic() + SECONDS
    with httpx.Client(timeout=5) as client:  # to make one costs more than to ask
        while time.monotonic() < until:
            assert process.poll() is None, log.read_text()
            with contextlib.suppress(httpx.TransportError):
                if client.get(f"{url}/readyz").status_code == 200:
                    return
            time.sleep(0.1)
    raise AssertionError(f"not ready after {SECONDS} s: {log.read_text()}")


class Load:
    """Clients that ask one row after the other until told to stop; `answered` are ids of whole answers with 200."""

    def __init__(self, server: Server, row: dict[str, Any], clients: int = 4) -> None:
        self.answered: list[str] = []
        self.statuses: list[int] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(server.url, row)) for _ in range(clients)]
        for thread in self._threads:
            thread.start()

    def _ask(self, url: str, row: dict[str, Any]) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stop.is_set():
                try:
                    answer = client.post(f"{url}/predict", json=row)
                except httpx.TransportError:  # the server has gone
                    return
                self.statuses.append(answer.status_code)
                if answer.status_code == 200:
                    self.answered.append(answer.json()["id"])

    def wait_for(self, answers: int) -> None:
        until = time.monotonic() + SECONDS
        while len(self.answered) < answers:
            assert time.monotonic() < until, f"{len(self.answered)} answers of {answers}: {self.statuses[-5:]}"
            time.sleep(0.01)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=SECONDS)
