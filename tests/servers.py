"""Servers for tests, real ones on loopback: a web server that answers as told, and a throw-away PostgreSQL."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest


class Answer(NamedTuple):
    body: bytes = b""
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    length: int | None = None  # what Content-Length claims, where that is not the truth


class Web(NamedTuple):
    url: str
    answers: dict[str, Answer]  # by path with query
    requests: list[tuple[str, dict[str, str]]]  # path and headers of each request that came


@contextmanager
def listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """An HTTP server on loopback whose requests `handler` answers, each in a thread; yields its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def web() -> Iterator[Web]:
    """A web server; what has no answer is a 404."""
    answers: dict[str, Answer] = {}
    requests: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append((self.path, dict(self.headers)))
            answer = answers.get(self.path, Answer(b"nothing here", 404))
            self.send_response(answer.status)
            for name, value in answer.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with listening(Handler) as url:
        yield Web(url, answers, requests)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL cluster of its own; yields a SQLAlchemy URL with a password. Skips where it is not installed."""
    with cluster() as made:
        yield made.url


class Cluster:
    """A PostgreSQL that can be stopped and started."""

    def __init__(self, folder: Path, tools: Path, prefix: list[str]) -> None:
        self._folder, self._tools, self._prefix, self._port = folder, tools, prefix, free_port()
        self.url = f"postgresql+psycopg://tester:s3cret%2Fp%40ss@127.0.0.1:{self._port}/postgres"

    def make(self) -> None:
        secret = self._folder / "password"
        secret.write_text("s3cret/p@ss\n")
        secret.chmod(0o644)
        login = ["-U", "tester", "-A", "scram-sha-256", "--pwfile", str(secret)]
        self._run("initdb", *login, "-E", "UTF8", "--locale=C", "--no-sync")

    def start(self) -> None:
        where = f"-c port={self._port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._folder}"
        options = f"{where} -c fsync=off -c timezone=Asia/Tokyo"
        self._run("pg_ctl", "-w", "-l", str(self._folder / "log"), "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")

    def _run(self, tool: str, *arguments: str) -> None:
        command = [*self._prefix, str(self._tools / tool), "-D", str(self._folder / "data"), *arguments]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """A PostgreSQL cluster of its own, started. Skips where it is not installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) or [
        Path(path) for path in [shutil.which("initdb")] if path
    ]
    if not found:
        pytest.skip("PostgreSQL is not installed: `apt-get install postgresql`")
    root = os.geteuid() == 0  # PostgreSQL refuses to run as root
    if root and not shutil.which("runuser"):
        pytest.skip("PostgreSQL cannot run as root, and `runuser` is not here: run the tests as another user")
    folder = Path(tempfile.mkdtemp(prefix="gitloop-postgres-"))
    if root:
        shutil.chown(folder, "postgres")
    made = Cluster(folder, found[-1].resolve().parent, ["runuser", "-u", "postgres", "--"] if root else [])
    try:
        made.make()
        made.start()
        yield made
    finally:
        with suppress(AssertionError):  # it may be stopped already
            made.stop()
        shutil.rmtree(folder, ignore_errors=True)
