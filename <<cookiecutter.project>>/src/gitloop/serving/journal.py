"""The prediction log: lines of JSON in files, each written before its prediction is answered.

A call of `write` is one `write(2)` to a file opened for appending: microseconds, into the system's page cache. What it
reported as kept survives the death of the process, SIGKILL too. A thread has the system put it on the disk once a
second, so that a crash of the machine loses that second at most. Where the disk is full or the folder gone the lines
are dropped and counted; a prediction never waits and never fails for its log. A database that is named is sent the
lines by another thread (gitloop.serving.shipper); until it has them they stay here.

Files are named `<name>-<hour>-<host>-<process>.jsonl`: one a process and hour, so that nothing is shared.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from gitloop.contract import Column
from gitloop.settings import Log

NAMES = ("predictions", "feedback")
EVERY = 1.0  # seconds between syncs: what a crash of the machine may lose
HOUR = "%Y-%m-%dT%H"
FILE = re.compile(rf"({'|'.join(NAMES)})-(\d{{4}}-\d\d-\d\dT\d\d)-.+\.jsonl")

Now = Callable[[], datetime]


class Health(NamedTuple):
    """What a metric shows of the log."""

    kept: int  # lines, by this process
    dropped: int
    bytes_on_disk: int  # of all processes, as last counted
    error: str | None  # of the last line that was dropped


class Part(NamedTuple):
    """One file of the log."""

    path: Path
    name: str
    hour: datetime  # UTC


def loggable(columns: Mapping[str, Column]) -> list[str]:
    """The columns whose values may be logged: never personal data, nor what says `logged: false`."""
    return [name for name, column in columns.items() if column.logged and not column.has("pii", "ignored")]


def parts(folder: Path) -> list[Part]:
    """The log's files, in order of time."""
    found = []
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if match := FILE.fullmatch(path.name):
                hour = datetime.strptime(match.group(2), HOUR).replace(tzinfo=UTC)
                found.append(Part(path, match.group(1), hour))
    return sorted(found, key=lambda part: (part.hour, part.path.name))


def position(path: Path) -> Path:
    """The file that holds how many bytes of a log file a database has."""
    return path.with_name(f".{path.name}.sent")


def sent(path: Path) -> int:
    try:
        return int(position(path).read_text())
    except (OSError, ValueError):
        return 0


def unsent(path: Path) -> int:
    """Bytes of a log file that the database does not have yet."""
    return path.stat().st_size - sent(path)


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """This process's end of the log. Safe for threads; to be made after a fork, not before."""

    def __init__(self, log: Log, now: Now = _now, every: float = EVERY, tick: Callable[[], None] | None = None) -> None:
        """`tick` is called after each sync, `every` so many seconds."""
        self._folder, self._now, self._every, self._tick = Path(log.folder).absolute(), now, every, tick
        self._most, self._days = log.max_megabytes * 1_000_000, log.keep_days
        self._sends = log.url is not None or log.url_env is not None
        self._own = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns():x}"
        self._files: dict[str, _File] = {}
        self._lock = threading.Lock()
        self._kept = self._dropped = self._on_disk = 0
        self._error: str | None = None
        self._closed = threading.Event()
        self.tidy()
        self._keeper = threading.Thread(target=self._keep, name="gitloop-journal", daemon=True)
        self._keeper.start()

    def write(self, name: str, records: Sequence[Mapping[str, Any]]) -> int:
        """Append records to the log `name`, one line each; how many were kept, all or none. Never raises."""
        try:
            lines = b"".join(_encoded(record) for record in records)
        except (TypeError, ValueError) as error:
            return self._drop(len(records), error)
        with self._lock:
            if self._closed.is_set():
                return self._drop(len(records), ValueError("the journal is closed"))
            if self._on_disk + len(lines) > self._most:
                return self._drop(len(records), OSError(f"the log holds {self._most // 1_000_000} MB, all it may"))
            try:
                self._file(name).append(lines)
            except OSError as error:
                return self._drop(len(records), error)
            self._on_disk += len(lines)
            self._kept += len(records)
        return len(records)

    @property
    def health(self) -> Health:
        return Health(self._kept, self._dropped, self._on_disk, self._error)

    def tidy(self) -> None:
        """Delete what is older than `keep_days`, and count what is left."""
        oldest = self._now() - timedelta(days=self._days, hours=1)
        size = 0
        for part in parts(self._folder):
            with contextlib.suppress(OSError):
                if part.hour < oldest and not (self._sends and unsent(part.path)):
                    part.path.unlink()
                    position(part.path).unlink(missing_ok=True)
                else:
                    size += part.path.stat().st_size
        self._on_disk = size

    def sync(self) -> None:
        """Have the system put on the disk what was written."""
        with self._lock:
            files = list(self._files.values())
        for file in files:
            file.sync()

    def close(self) -> None:
        """Put everything on the disk; what is written later is dropped. May be called again."""
        self._closed.set()
        if self._keeper.is_alive() and self._keeper is not threading.current_thread():
            self._keeper.join(timeout=10)
        with self._lock:
            for file in self._files.values():
                file.close()
            self._files.clear()

    def _keep(self) -> None:
        tidied = time.monotonic()
        while not self._closed.wait(self._every):
            self.sync()
            if self._tick is not None:
                self._tick()
            if time.monotonic() - tidied > 60:
                self.tidy()
                tidied = time.monotonic()

    def _drop(self, count: int, error: Exception) -> int:
        self._dropped += count
        self._error = f"{type(error).__name__}: {error}"
        return 0

    def _file(self, name: str) -> _File:
        """The open file of this hour."""
        hour = self._now().strftime(HOUR)
        file = self._files.get(name)
        if file is None or file.hour != hour:
            if file is not None:
                file.close()
                del self._files[name]
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._files[name] = _File(self._folder / f"{name}-{hour}-{self._own}.jsonl", hour)
        return file


class _File:
    """One file, opened for appending."""

    def __init__(self, path: Path, hour: str) -> None:
        self.hour = hour
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size, self._synced = os.fstat(self._handle).st_size, 0

    def append(self, lines: bytes) -> None:
        """All or nothing: what a full disk took in part is taken back."""
        written = -1
        try:
            written = os.write(self._handle, lines)
        finally:
            if written != len(lines):
                with contextlib.suppress(OSError):
                    os.ftruncate(self._handle, self._size)
        if written != len(lines):
            raise OSError("the disk is full")
        self._size += written

    def sync(self) -> None:
        if self._synced != self._size:
            size = self._size
            with contextlib.suppress(OSError):
                os.fsync(self._handle)
                self._synced = size

    def close(self) -> None:
        self.sync()
        with contextlib.suppress(OSError):
            os.close(self._handle)


def _encoded(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode() + b"\n"
