"""The service on this machine for as long as it is needed."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import IO

from gitloop.errors import InputError

SECONDS = 60.0  # to start, and to stop


@contextlib.contextmanager
def running() -> Iterator[str]:
    """Start `gitloop serve` on a free port, yield its URL when it is ready, and stop it at the end.

    Raises `InputError` with what it said where it does not start.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as said:
        command = [sys.executable, "-m", "gitloop", "serve", "--port", str(port)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        try:
            _wait(process, url, said)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait(process: subprocess.Popen[bytes], url: str, said: IO[bytes]) -> None:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and process.poll() is None:
        with (
            contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError),
            urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer,  # noqa: S310 http, and our own
        ):
            if answer.status == 200:
                return
        time.sleep(0.1)
    said.seek(0)
    lines = [line for line in said.read().decode(errors="replace").splitlines() if line.strip()]
    raise InputError(f"{url}: the service does not start: {lines[-1] if lines else 'it says nothing'}")
