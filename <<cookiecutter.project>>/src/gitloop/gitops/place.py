"""What runs of an environment on this machine: a front, which callers talk to, and the service behind it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

import gitloop
from gitloop import layout
from gitloop.errors import InputError, Refused
from gitloop.files import write_text
from gitloop.gitops import front, packages, processes
from gitloop.gitops.front import HOST, State

SECONDS = 60.0  # to start
DRAIN = 70.0  # for requests in flight: more than the front waits for an answer


class Failed(Refused):
    """A version does not start, or not as it should; what ran before runs again."""

    def __init__(self, problems: list[str], log: list[str], serves: str | None = None) -> None:
        super().__init__("\n".join(problems))
        self.log = log
        self.serves = serves  # the version that serves instead, where another one is on record


@dataclass(frozen=True)
class Place:
    """An environment on this machine."""

    name: str
    port: int
    root: Path  # of the repository, absolute

    @property
    def folder(self) -> Path:
        return self.root / layout.DEPLOYED / self.name

    @property
    def fronts(self) -> str:
        """What the marks of its fronts begin with."""
        return f"{self.folder}:front:"

    @property
    def services(self) -> str:
        return f"{self.folder}:service:"

    def log(self, upstream: str) -> Path:
        return self.folder / "services" / upstream.rpartition(":")[2] / "log"

    def mark(self, upstream: str) -> str:
        return f"{self.services}{upstream.rpartition(':')[2]}"


def start(place: Place, folder: Path) -> str:
    """Start the service of a version's folder; its URL when it is ready.

    Raises `Failed` where it does not start, and `InputError` where the packages that it locks cannot be had.
    """
    python = packages.interpreter(folder, place.root / layout.DEPLOYED)
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port = probe.getsockname()[1]
    url = f"http://{HOST}:{port}"
    log = place.log(url)
    environment = os.environ | {"PYTHONPATH": str(folder / "src")}
    shutil.rmtree(log.parent, ignore_errors=True)
    log.parent.mkdir(parents=True)
    command = [python, "-m", "gitloop", "serve", "--host", HOST, "--port", str(port)]
    processes.start(place.mark(url), command, folder, log, environment)
    if not _waited(lambda: _get(f"{url}/readyz"), lambda: processes.alive(place.mark(url))):
        said = processes.last(log, 40)
        processes.stop(place.mark(url))
        raise Failed([f"{folder.name}: its service does not start: {said[-1] if said else 'it says nothing'}"], said)
    return url


def see_to_front(place: Place) -> bool:
    """See that the front runs at the environment's port; whether it had to be started."""
    if told(place) is not None:
        return False
    for mark in processes.marks(place.fronts):
        processes.stop(mark)
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, place.port))
        except OSError as error:
            raise InputError(
                f"{layout.environment(place.name)}: local.port: {HOST}:{place.port} cannot be used ({error.strerror}); "
                "stop what uses it, or name another"
            ) from error
    token = place.folder / front.TOKEN
    if not token.exists():
        write_text(token, secrets.token_hex(16))
        token.chmod(0o600)
    log = place.folder / "front.log"
    command = [sys.executable, "-m", "gitloop.gitops.front", str(place.folder), str(place.port)]
    ours = os.environ | {"PYTHONPATH": str(Path(gitloop.__file__).parents[1])}
    processes.start(f"{place.fronts}{place.port}", command, place.folder, log, ours)
    if not _waited(lambda: told(place) is not None, lambda: processes.alive(f"{place.fronts}{place.port}")):
        said = processes.last(log)
        raise InputError(f"{HOST}:{place.port}: the front does not start: {said[0] if said else 'it says nothing'}")
    return True


def end(place: Place, upstream: str | None) -> None:
    """Let a service that gets no requests any more answer those it has, then stop it."""
    if upstream is None:
        return
    until = time.monotonic() + DRAIN
    while ((told(place) or {}).get("in_flight") or {}).get(upstream) and time.monotonic() < until:
        time.sleep(0.05)
    processes.stop(place.mark(upstream))
    shutil.rmtree(place.log(upstream).parent, ignore_errors=True)


def stop_others(place: Place, state: State) -> None:
    """Stop services that nobody is sent to: what a deploy that was killed has left."""
    upstreams = (state.upstream, state.canary.upstream if state.canary else None)
    ours = [place.mark(upstream) for upstream in upstreams if upstream]
    for mark in processes.marks(place.services):
        if mark not in ours:
            end(place, f"http://{HOST}:{mark.rpartition(':')[2]}")


def told(place: Place) -> dict[str, Any] | None:
    """What the front tells a deploy: `in_flight`, requests by upstream, and of a canary how it does.

    None where no front of ours answers.
    """
    try:
        headers = {front.ASK: (place.folder / front.TOKEN).read_text(encoding="utf-8").strip()}
        answer = _session().get(f"http://{HOST}:{place.port}/", headers=headers, timeout=5)
        found: dict[str, Any] = answer.json()
    except (requests.RequestException, ValueError, FileNotFoundError):
        return None
    return found if "in_flight" in found else None


def _waited(done: Callable[[], bool], alive: Callable[[], bool]) -> bool:
    until = time.monotonic() + SECONDS
    while time.monotonic() < until and alive():
        if done():
            return True
        time.sleep(0.1)
    return False


def _get(url: str) -> bool:
    try:
        return _session().get(url, timeout=5).ok
    except requests.RequestException:
        return False


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy between this machine and itself
    return session
