"""From the prediction log's files to a database: in batches, each line once, whenever the database is there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy.exc import DataError

from gitloop.files import write_text
from gitloop.serving import database
from gitloop.serving.journal import OVER, Part, parts, position, sent, unsent
from gitloop.settings import Log

BATCH = 1000  # lines in one transaction
BYTES = 4_000_000  # read at a time, or one line where that is longer
EVERY = 1.0  # seconds between looks at the files
SLOWEST = 60.0  # seconds between tries while the database is gone


class Health(NamedTuple):
    """What a metric shows of sending. Of the processes that share a folder one at a time sends."""

    sent: int  # lines, by this process
    broken: int  # lines that are torn, or that the database does not take: passed over
    unsent_bytes: int  # in all files
    behind: float  # seconds since the oldest line that the database does not have; 0 where there is none
    error: str | None  # of the last try, where it failed; without passwords


class Shipper:
    """Sends what stands in the folder, of whatever process, until closed."""

    def __init__(self, log: Log, every: float = EVERY, slowest: float = SLOWEST) -> None:
        """Raises `InputError` where the database's URL is missing or wrong. A database that is gone is no error."""
        self._folder, self._every, self._slowest = Path(log.folder).absolute(), every, slowest
        self._engine = database.engine(log)
        self._ready = False
        self._done: set[str] = set()  # files to which nobody writes any more, and that the database has
        self._sent = self._broken = self._unsent = 0
        self._oldest: datetime | None = None
        self._error: str | None = None
        self._until = math.inf
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gitloop-shipper", daemon=True)
        self._thread.start()

    @property
    def health(self) -> Health:
        oldest = self._oldest
        behind = 0.0 if oldest is None else max(0.0, (datetime.now(UTC) - oldest).total_seconds())
        return Health(self._sent, self._broken, self._unsent, behind, self._error)

    def close(self, within: float = 5.0) -> None:
        """Send what is left, if the database takes it within so many seconds; the rest is sent by the next process."""
        self._until = min(self._until, time.monotonic() + within)
        self._closed.set()
        self._thread.join(timeout=within)

    def _run(self) -> None:
        pause = self._every
        while True:
            last = self._closed.is_set()
            try:
                with self._alone() as alone:
                    if alone:
                        self._all()
                self._error, pause = None, self._every
            except Exception as error:  # whatever it is, it may be mended while the lines wait
                self._ready = False
                self._error, pause = database.reason(error, self._engine.url), min(2 * pause, self._slowest)
            self._count()
            if last:
                break
            self._closed.wait(pause)
        self._engine.dispose()

    @contextlib.contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether this is the one process that sends; the system gives the lock free when a process dies."""
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._folder / ".sending.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(handle)

    def _all(self) -> None:
        if not self._ready:
            database.TABLES.create_all(self._engine)
            self._ready = True
        for part in parts(self._folder, self._done):
            while time.monotonic() < self._until and self._some(part):
                pass

    def _some(self, part: Part) -> bool:
        """Send the next lines of a file; False where there are none."""
        try:
            lines, end = _lines(part, sent(part.path))
        except FileNotFoundError:  # it was old, and another process deleted it
            return False
        if not lines:
            return False
        rows = [row for line in lines if (row := database.row(part.name, line)) is not None]
        taken = self._insert(part.name, rows)
        write_text(position(part.path), str(end))
        self._sent += taken
        self._broken += sum(not line.isspace() for line in lines) - taken
        return True

    def _insert(self, name: str, rows: list[dict[str, Any]]) -> int:
        """How many rows the database took, or had already. One that it does not take must not hold up the others."""
        try:
            if rows:
                with self._engine.begin() as connection:
                    connection.execute(database.insert(self._engine, name), rows)
            return len(rows)
        except DataError:
            half = len(rows) // 2
            return self._insert(name, rows[:half]) + self._insert(name, rows[half:]) if half else 0

    def _count(self) -> None:
        total, oldest = 0, None
        for part in parts(self._folder, self._done):
            with contextlib.suppress(OSError):
                if length := unsent(part.path):
                    total += length
                    oldest = oldest or _time(part)
                elif datetime.now(UTC) - part.hour > OVER:
                    self._done.add(part.path.name)
        self._unsent, self._oldest = total, oldest


def _lines(part: Part, start: int) -> tuple[list[bytes], int]:
    """The next whole lines of a file, and where they end."""
    lines, end = [], start
    with part.path.open("rb") as file:
        file.seek(start)
        for line in file:
            # What was torn by a crash of the machine nobody will end any more.
            if not line.endswith(b"\n") and datetime.now(UTC) - part.hour <= OVER:
                break
            lines.append(line)
            end += len(line)
            if len(lines) == BATCH or end - start >= BYTES:
                break
    return lines, end


def _time(part: Part) -> datetime:
    """Of the first line that was not sent."""
    with part.path.open("rb") as file:
        file.seek(sent(part.path))
        try:
            time = datetime.fromisoformat(json.loads(file.readline())["time"])
        except (ValueError, KeyError, TypeError):
            return part.hour
    return time if time.tzinfo else time.replace(tzinfo=UTC)
