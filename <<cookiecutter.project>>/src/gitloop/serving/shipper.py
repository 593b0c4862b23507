"""From the prediction log's files to a database: in batches, each line once, whenever the database is there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DataError, SQLAlchemyError

from gitloop.data.places import redact
from gitloop.errors import InputError
from gitloop.files import write_text
from gitloop.serving.journal import Part, parts, position, sent, unsent
from gitloop.settings import Log

BATCH = 1000  # lines in one transaction
BYTES = 4_000_000  # of a file read at a time
EVERY = 1.0  # seconds between looks at the files
SLOWEST = 60.0  # seconds between tries while the database is gone
OVER = timedelta(hours=2)  # after the hour of its name nobody writes to a file any more

TABLES = sqlalchemy.MetaData()
PREDICTIONS = sqlalchemy.Table(
    "predictions",
    TABLES,
    sqlalchemy.Column("id", sqlalchemy.String(64), primary_key=True),
    sqlalchemy.Column("time", sqlalchemy.DateTime, nullable=False, index=True),  # UTC
    sqlalchemy.Column("version", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("inputs", sqlalchemy.Text, nullable=False),  # JSON: column → value
    sqlalchemy.Column("prediction", sqlalchemy.Text),  # JSON: true, "label" or a number
    sqlalchemy.Column("probability", sqlalchemy.Double),
    sqlalchemy.Column("probabilities", sqlalchemy.Text),  # JSON: class → probability
    sqlalchemy.Column("latency_ms", sqlalchemy.Double),
)
FEEDBACK = sqlalchemy.Table(
    "feedback",
    TABLES,
    sqlalchemy.Column("id", sqlalchemy.String(64), primary_key=True),
    sqlalchemy.Column("time", sqlalchemy.DateTime, primary_key=True),
    sqlalchemy.Column("truth", sqlalchemy.Text),  # JSON
)
TABLE = {"predictions": PREDICTIONS, "feedback": FEEDBACK}
JSON = ("inputs", "prediction", "probabilities", "truth")
INSERT: dict[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}


class Health(NamedTuple):
    """What a metric shows of sending. Only one of the processes that share a folder sends."""

    sent: int  # lines, by this process
    broken: int  # lines that are torn, or that the database does not take: passed over
    unsent_bytes: int  # in all files
    error: str | None  # of the last try, where it failed; without passwords


def engine(log: Log) -> sqlalchemy.Engine:
    """Raises `InputError` where the URL is missing, wrong, or of a database that is not supported."""
    given = log.url or os.environ.get(str(log.url_env))
    where = "conf/serving/: log.url" if log.url else f"conf/serving/: log.url_env: {log.url_env}"
    if not given:
        raise InputError(
            f"{where}: this environment variable is not set; set it to postgresql+psycopg://… or sqlite:///…"
        )
    try:
        url = sqlalchemy.make_url(given)
        if url.get_backend_name() not in INSERT:
            raise InputError(f"{where}: {url.get_backend_name()} is not supported; use {' or '.join(INSERT)}")
        wait = {"connect_timeout": 5} if url.get_backend_name() == "postgresql" else {"timeout": 5}
        return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool, connect_args=wait)
    except (SQLAlchemyError, ImportError) as error:
        raise InputError(f"{where}: cannot be used ({type(error).__name__}); mend it, or install its driver") from error


class Shipper:
    """Sends what stands in the folder, of whatever process, until closed."""

    def __init__(self, log: Log, every: float = EVERY) -> None:
        self._folder, self._every = Path(log.folder).absolute(), every
        self._engine = engine(log)
        self._ready = False
        self._sent = self._broken = self._unsent = 0
        self._error: str | None = None
        self._until = float("inf")
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gitloop-shipper", daemon=True)
        self._thread.start()

    @property
    def health(self) -> Health:
        return Health(self._sent, self._broken, self._unsent, self._error)

    def close(self, within: float = 5.0) -> None:
        """Send what is left, if the database takes it within so many seconds; the rest is sent by the next process."""
        self._until = time.monotonic() + within
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
            except (SQLAlchemyError, OSError, InputError) as error:
                reason = str(getattr(error, "orig", None) or error).splitlines()[0]
                self._error, pause = f"{type(error).__name__}: {redact(reason)}", min(2 * pause, SLOWEST)
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
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(handle)

    def _all(self) -> None:
        if not self._ready:
            TABLES.create_all(self._engine)
            self._ready = True
        for part in parts(self._folder):
            while time.monotonic() < self._until and self._some(part, TABLE[part.name]):
                pass

    def _some(self, part: Part, table: sqlalchemy.Table) -> bool:
        """Send the next whole lines of a file; False where there are none."""
        path, start = part.path, sent(part.path)
        with path.open("rb") as file:
            file.seek(start)
            content = file.read(BYTES)
        lines = content.split(b"\n")[:-1][:BATCH]
        if not lines and content and datetime.now(UTC) - part.hour > OVER:
            lines = [content[:-1]]  # torn when the machine crashed; nobody will end it
        if not lines:
            return False
        rows = [row for row in map(_row, lines) if row is not None]
        taken = self._insert(table, rows)
        write_text(position(path), str(start + sum(len(line) + 1 for line in lines)))
        self._sent += taken
        self._broken += len(lines) - taken
        return True

    def _insert(self, table: sqlalchemy.Table, rows: list[dict[str, Any]]) -> int:
        """How many rows the database took, or had already. One that it does not take must not hold up the others."""
        insert = INSERT[self._engine.dialect.name](table).on_conflict_do_nothing()
        try:
            if rows:
                with self._engine.begin() as connection:
                    connection.execute(insert, rows)
            return len(rows)
        except DataError:
            return 0 if len(rows) == 1 else sum(self._insert(table, [row]) for row in rows)

    def _count(self) -> None:
        total = 0
        for part in parts(self._folder):
            with contextlib.suppress(OSError):
                total += unsent(part.path)
        self._unsent = total


def _row(line: bytes) -> dict[str, Any] | None:
    """A line as a row of its table; None where it is torn."""
    try:
        record = json.loads(line)
        record["time"] = datetime.fromisoformat(record["time"]).astimezone(UTC).replace(tzinfo=None)
        for name in JSON:
            if name in record:
                record[name] = json.dumps(record[name], ensure_ascii=False)
    except (ValueError, KeyError, TypeError):
        return None
    return record if "truth" in record else {"probability": None, "probabilities": None, **record}
