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
import functools
import os
import re
import socket
import threading
import time
import weakref
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pydantic_core import to_json

from gitloop.contract import Column
from gitloop.serving.appending import Appending
from gitloop.settings import Log

NAMES = ("predictions", "feedback", "requests")
EVERY = 1.0  # seconds between syncs: what a crash of the machine may lose
COUNTED = 60.0  # seconds between looks at the whole folder
HOUR = timedelta(hours=1)
OVER = 2 * HOUR  # after the hour of its name began nobody writes to a file any more
LONGEST = 16_000_000  # bytes of a line, which readers must hold
FULL = 0.9  # share of `max_megabytes` from which files go early that a database has
FORM = "%Y-%m-%dT%H"
FILE = re.compile(rf"({'|'.join(NAMES)})-(\d{{4}}-\d\d-\d\dT\d\d)-.+\.jsonl")

Now = Callable[[], datetime]


class Health(NamedTuple):
    """What a metric shows of the log."""

    kept: int  # lines, by this process
    dropped: int
    bytes_on_disk: int  # of all processes: their lines as last counted, within a minute
    error: str | None  # the last: of lines that were dropped, or of the disk


class Part(NamedTuple):
    """One file of the log."""

    path: Path
    name: str
    hour: datetime  # UTC


def loggable(columns: Mapping[str, Column]) -> list[str]:
    """The columns whose values may be logged: never personal data, nor what says `logged: false`."""
    return [name for name, column in columns.items() if column.logged and not column.has("pii", "ignored")]


def parts(folder: Path, but: Container[str] = ()) -> list[Part]:
    """The log's files, in order of time, without those of the names `but`."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):  # noqa: PTH208 there may be ten thousand, each second
            if name not in but and (match := FILE.fullmatch(name)):
                with contextlib.suppress(ValueError):  # there is no such hour: it is not ours
                    hour = datetime.fromisoformat(match.group(2)).replace(tzinfo=UTC)
                    found.append(Part(folder / name, match.group(1), hour))
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
    return max(0, path.stat().st_size - sent(path))


def _now() -> datetime:
    return datetime.now(UTC)


class Journal:
    """This process's end of the log. Safe for threads; what is forked off writes to files of its own."""

    def __init__(self, log: Log, now: Now = _now, every: float = EVERY, tick: Callable[[], None] | None = None) -> None:
        """`tick` is called after each sync, `every` so many seconds."""
        self._folder, self._now, self._every, self._tick = Path(log.folder).absolute(), now, every, tick
        self._most, self._days = log.max_megabytes * 1_000_000, log.keep_days
        self._sends = log.url is not None or log.url_env is not None
        self._closed = threading.Event()
        self._files: dict[str, Appending] = {}
        self._start()
        os.register_at_fork(after_in_child=functools.partial(_forked, weakref.ref(self)))

    def _start(self) -> None:
        self._own = f"{socket.gethostname()}-{os.getpid()}-{time.time_ns():x}"
        self._lock = threading.RLock()  # a signal's handler may close what it interrupts
        self._old: list[Appending] = []  # of hours that are over, to be closed off the path of a request
        self._kept = self._dropped = self._on_disk = 0
        self._error: str | None = None
        self.tidy()
        self._keeper = threading.Thread(target=self._keep, name="gitloop-journal", daemon=True)
        self._keeper.start()

    def write(self, name: str, records: Sequence[Mapping[str, Any]]) -> int:
        """Append records to the log `name`, one line each; how many were kept. Never raises."""
        lines: list[bytes] = []
        error: Exception | None = None
        for record in records:
            try:
                lines.append(line(record))
            except Exception as wrong:  # of whatever kind: a prediction does not fail for its log
                error = wrong
        with self._lock:
            kept = 0
            try:
                kept, full = self._append(name, lines)
                error = full or error
            except Exception as wrong:
                error = wrong
            self._kept += kept
            self._dropped += len(records) - kept
            if error is not None:
                self._error = f"{type(error).__name__}: {error}"
        return kept

    @property
    def health(self) -> Health:
        return Health(self._kept, self._dropped, self._on_disk, self._error)

    def tidy(self) -> None:
        """Delete what may go, and count what is left.

        That is what is older than `keep_days` and, when there is no more room, the oldest that a database has. What
        it does not have yet stays.
        """
        now, held = self._now(), []
        for part in parts(self._folder):
            with contextlib.suppress(OSError):
                held.append((part, part.path.stat().st_size))
        size = sum(length for _, length in held)
        for part, length in held:
            old = now - part.hour > timedelta(days=self._days) + HOUR
            early = self._sends and size > FULL * self._most and now - part.hour > OVER
            with contextlib.suppress(OSError):
                if (old or early) and not (self._sends and unsent(part.path)):
                    part.path.unlink()
                    position(part.path).unlink(missing_ok=True)
                    size -= length
        self._on_disk = size

    def sync(self) -> None:
        """Have the system put on the disk what was written."""
        with self._lock:
            old, self._old = self._old, []
            files = [*self._files.values(), *old]
        for file in files:
            try:
                file.sync()
            except OSError as error:
                self._error = f"{type(error).__name__}: {error}"
        for file in old:
            file.close()

    def close(self) -> None:
        """Put everything on the disk; what is written later is dropped. May be called again."""
        self._closed.set()
        if self._keeper.is_alive() and self._keeper is not threading.current_thread():
            self._keeper.join(timeout=10)
        with self._lock:
            self._old += self._files.values()
            self._files.clear()
        self.sync()

    def _append(self, name: str, lines: list[bytes]) -> tuple[int, Exception | None]:
        """How many lines were kept, and what became of the others."""
        content = b"".join(lines)
        if self._closed.is_set():
            return 0, ValueError("the journal is closed")
        if self._on_disk + len(content) > self._most:
            return 0, OSError(f"the log holds {self._most // 1_000_000} MB, all it may")
        if not content:
            return 0, None
        size, error = self._file(name).append(content)
        self._on_disk += size
        return len(lines) if error is None else content[:size].count(b"\n"), error

    def _file(self, name: str) -> Appending:
        """The open file of this hour."""
        now = self._now()
        file = self._files.get(name)
        if file is not None and file.since <= now < file.until and not file.gone:
            return file
        if file is not None:
            self._old.append(self._files.pop(name))
        hour = now.replace(minute=0, second=0, microsecond=0)
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / f"{name}-{hour.strftime(FORM)}-{self._own}.jsonl"
        file = self._files[name] = Appending(path, hour, hour + HOUR)
        return file

    def _keep(self) -> None:
        counted = time.monotonic()
        while not self._closed.wait(self._every):
            self.sync()
            try:
                if time.monotonic() - counted > COUNTED:
                    self.tidy()
                    counted = time.monotonic()
                if self._tick is not None:
                    self._tick()
            except Exception as error:  # what comes after must be put on the disk all the same
                self._error = f"{type(error).__name__}: {error}"


def _forked(journal: weakref.ref[Journal]) -> None:
    """In the child: its own files, lock and thread."""
    mine = journal()
    if mine is not None and not mine._closed.is_set():
        for file in mine._files.values():
            file.close()
        mine._files.clear()
        mine._closed = threading.Event()
        mine._start()


def line(record: Mapping[str, Any]) -> bytes:
    """As JSON; what is no number is null. Raises `ValueError` where there is no JSON of it, or too much."""
    line = to_json(record, inf_nan_mode="null") + b"\n"
    if len(line) > LONGEST:
        raise ValueError(f"the line would have {len(line):,} bytes, more than {LONGEST:,}")
    return line
