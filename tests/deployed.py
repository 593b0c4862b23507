"""An environment on this machine, the verb that deploys to it, and callers that remember what they were answered."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import httpx
import psutil
import warm
from project import edit
from repositories import git
from service import SOURCE, free_port

from gitloop.gitops import processes

SECONDS = 60.0
PAUSE = 0.05  # between a caller's requests: a deploy is watched, not the machine worn out


def _command(*arguments: str) -> list[str]:
    return [str(warm.commands() / "gitloop"), *arguments]


@dataclass
class Callers:
    """Clients that ask one row after the other until told to stop, and remember what they were answered."""

    url: str
    row: dict[str, Any]
    seen: list[str] = field(default_factory=list)  # the version of each answer, or what went wrong

    def ask(self, stop: threading.Event) -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            while not stop.is_set():
                try:
                    answer = client.post(f"{self.url}/predict", json=self.row)
                    self.seen.append(answer.json()["version"] if answer.status_code == 200 else answer.text)
                except httpx.TransportError as error:
                    self.seen.append(repr(error))
                stop.wait(PAUSE)

    @property
    def counts(self) -> Counter[str]:
        return Counter(self.seen)


@dataclass
class Site:
    """A clone, and its environment production."""

    root: Path
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def folder(self) -> Path:
        return self.root / ".deploy/production"

    def wants(self, version: str, **changes: Any) -> None:
        edit(self.root / "environments/production.yaml", version=version, **changes)

    def deploy(self, *options: str, code: str | None = None) -> subprocess.CompletedProcess[str]:
        """`gitloop deploy production`; `code` is run before, in the same process."""
        command = _command("deploy", "production", *options)
        if code is not None:
            call = "from gitloop.cli import main; import sys; sys.exit(main(sys.argv[1:]))"
            command = [sys.executable, "-c", f"{code}\n{call}", "deploy", "production", *options]
        with TemporaryFile("w+") as out, TemporaryFile("w+") as err:  # what stays behind would hold a pipe open
            done = subprocess.run(command, cwd=self.root, env=environment(), stdout=out, stderr=err, check=False)
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(command, done.returncode, out.read(), err.read())

    def verb(self, *command: str) -> subprocess.CompletedProcess[str]:
        more = {"COLUMNS": "200"}
        return subprocess.run(
            _command(*command), cwd=self.root, env=environment() | more, capture_output=True, text=True, check=False
        )

    def becomes(self, version: str, *options: str) -> str:
        """Deploy a version, which goes well; what it says."""
        self.wants(version)
        done = self.deploy(*options)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", timeout=30, trust_env=False)

    def version(self) -> str:
        """The version that answers."""
        return str(self.get("/model").json()["version"])

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "state.json").read_text())
        return found

    def services(self) -> list[str]:
        return sorted(processes.marks(f"{self.folder}:service:"))

    def pids(self) -> set[int]:
        return {one.pid for found in processes.marks(f"{self.folder}:").values() for one in found}

    def stages(self, where: str = "../origin.git") -> list[tuple[str, str]]:
        """Stage tags at origin, and the version that each names."""
        form = "--format=%(refname:short) %(contents:subject)"
        lines = git(self.root / where, "for-each-ref", form, "--sort=version:refname", "refs/tags/model#*").splitlines()
        return [(line.split()[0], line.split()[1]) for line in lines]

    def issues(self) -> list[dict[str, Any]]:
        """What the forge in the bare repository holds."""
        said = git(self.root / "../origin.git", "cat-file", "blob", "refs/gitloop/forge", check=False)
        return [one for one in json.loads(said)["threads"] if one["kind"] == "issue"] if said else []

    @contextmanager
    def load(self, clients: int = 3) -> Iterator[Callers]:
        """Callers, from before the block to after it."""
        expected = json.loads((self.root / "model/expected.json").read_text())
        callers, stop = Callers(self.url, expected["rows"][0]), threading.Event()
        threads = [threading.Thread(target=callers.ask, args=(stop,)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            self._answered(callers)
            yield callers
            self._answered(callers)
        finally:
            stop.set()
            for thread in threads:
                thread.join(timeout=SECONDS)

    def _answered(self, callers: Callers, more: int = 30) -> None:
        until, before = time.monotonic() + SECONDS, len(callers.seen)
        while len(callers.seen) < before + more:
            assert time.monotonic() < until, callers.counts
            time.sleep(0.01)

    def end(self) -> None:
        for found in processes.marks(f"{self.folder}:").values():
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


def environment() -> dict[str, str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    return {**outside, "PYTHONPATH": str(SOURCE), "DVC_SITE_CACHE_DIR": ""} | {"BENTOML_DO_NOT_TRACK": "True"}


@contextmanager
def opened(root: Path) -> Iterator[Site]:
    """A clone whose production has a port of its own; nothing of it runs at the end."""
    made = Site(root, free_port())
    edit(made.root / "environments/production.yaml", local__port=made.port)
    try:
        yield made
    finally:
        made.end()
