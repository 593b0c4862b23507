"""What the prediction log holds reaches the database: all of it, once, whenever the database is there."""

from __future__ import annotations

import fcntl
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from journals import START, log, prediction, put, truth
from servers import Cluster, cluster

from gitloop.errors import InputError
from gitloop.serving import database
from gitloop.serving.journal import Journal, position, unsent
from gitloop.serving.shipper import Shipper
from gitloop.settings import Log

PASSWORD = "s3cret"


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'log.db'}"
    made: Cluster = request.getfixturevalue("server")
    source = sqlalchemy.create_engine(made.url)
    database.TABLES.drop_all(source)
    source.dispose()
    return made.url


@contextmanager
def shipping(to: Log, **values: Any) -> Iterator[Shipper]:
    shipper = Shipper(to, **{"every": 0.02, "slowest": 0.05, **values})
    try:
        yield shipper
    finally:
        shipper.close()


def send(to: Log) -> Shipper:
    """What a process sends that is closed at once."""
    shipper = Shipper(to, every=1000)
    shipper.close(30)
    assert shipper.health.error is None
    return shipper


def rows(url: str, name: str = "predictions") -> list[dict[str, Any]]:
    source = sqlalchemy.create_engine(url)
    try:
        with source.connect() as connection:
            table = database.TABLES.tables[name]
            found = connection.execute(sqlalchemy.select(table).order_by(table.c.time, table.c.id))
            return [dict(row) for row in found.mappings()]
    finally:
        source.dispose()


def until(true: Callable[[], Any], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def hour() -> str:
    """Of which a file is still written."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H")


def number(row: dict[str, Any]) -> int:
    return int(row["id"], 16)


def test_lines_become_typed_rows(tmp_path: Path, url: str) -> None:
    odd = {"ü": "a\nb\u2028\U0001f600 'x'", "huge": 1e308, "tiny": 5e-324, "yes": True, "none": None}
    classes = {"A": 0.25, "B": 0.75}
    put(
        tmp_path / "log",
        "predictions",
        prediction(1),
        prediction(2, inputs=odd, prediction="ü", probability=None, probabilities=classes),
        prediction(3, prediction=1e308, time="2026-11-21T09:30:03.000001+02:00"),
    )
    put(tmp_path / "log", "feedback", truth(1, False), truth(1, True, after=61), truth(2, "ü"), truth(3, 0.1))
    shipper = send(log(tmp_path / "log", url=url))
    assert shipper.health == (7, 0, 0, 0.0, None)
    first, second, third = rows(url)
    start = START.replace(tzinfo=None)
    assert first == {
        "id": f"{1:032x}",
        "time": start + timedelta(seconds=1),
        "version": "0123456789ab",
        "prediction": "false",
        "probability": 0.25,
        "probabilities": None,
        "latency_ms": 0.5,
        "inputs": {"age": 1.0, "town": "Ávila"},
    }
    assert (second["inputs"], second["prediction"], second["probabilities"]) == (odd, "ü", classes)
    assert (third["prediction"], third["time"]) == ("1e+308", start + timedelta(seconds=3, microseconds=1))
    said = [(number(row), row["truth"]) for row in rows(url, "feedback")]
    assert said == [(1, "false"), (1, "true"), (2, "ü"), (3, "0.1")]


def test_a_crash_before_the_position_is_kept_repeats_without_harm(tmp_path: Path, url: str) -> None:
    path = put(tmp_path / "log", "predictions", *(prediction(one) for one in range(2500)))
    to = log(tmp_path / "log", url=url)
    assert send(to).health.sent == 2500
    assert position(path).read_text() == str(path.stat().st_size)
    assert send(to).health.sent == 0
    for left in ("", "12x", None):  # as a crash of the machine may leave it
        position(path).unlink() if left is None else position(path).write_text(left)
        put(tmp_path / "log", "predictions", prediction(3000))
        send(to)
    assert list(map(number, rows(url))) == [*range(2500), 3000]
    position(path).write_text(str(path.stat().st_size + 1))  # the disk lost what the database has
    assert unsent(path) == 0
    assert send(to).health.unsent_bytes == 0


def test_what_the_database_does_not_take_holds_up_nothing(tmp_path: Path, url: str) -> None:
    wrong = [
        b'{"id": "torn\n',
        b"\xff\x00\n",
        b"[1]\n",
        b"\n",  # nothing
        prediction(50, id=7),
        prediction(51, version=None),
        prediction(52, time="yesterday"),
        prediction(53, inputs=3),
        prediction(54, probability="much"),
        prediction(55, probability=10**400),
        {"id": "x"},
    ]
    put(tmp_path / "log", "predictions", *(prediction(one) for one in range(5)), *wrong, prediction(99))
    put(tmp_path / "log", "feedback", truth(1, True), {"id": "x", "time": "2026-11-21T07:30:00+00:00"})
    long, nul = prediction(60, id="x" * 65), prediction(61, prediction="a\0b")
    put(tmp_path / "log", "predictions", long, nul, prediction(100))
    health = send(log(tmp_path / "log", url=url)).health
    taken = [row["id"] for row in rows(url)]
    assert [one for one in taken if one not in (long["id"], nul["id"])] == [
        f"{one:032x}" for one in (0, 1, 2, 3, 4, 99, 100)
    ]
    refused = 2 if url.startswith("postgresql") else 0  # SQLite knows no lengths
    assert health[:3] == (10 - refused, 11 + refused, 0)


def test_a_torn_end_waits_while_somebody_may_end_it(tmp_path: Path) -> None:
    to, begun = log(tmp_path / "log", url=f"sqlite:///{tmp_path / 'log.db'}"), json.dumps(prediction(2)).encode()
    now = hour()
    young = put(tmp_path / "log", "predictions", prediction(1), begun[:50], hour=now)
    health = send(to).health
    assert (health.sent, health.broken, health.unsent_bytes) == (1, 0, 50)
    assert health.behind >= 0
    put(tmp_path / "log", "predictions", begun[50:] + b"\n", hour=now)
    assert send(to).health.sent == 1
    # Two hours on nobody will: it is passed over, or taken where only the end of the line is missing.
    put(tmp_path / "log", "predictions", prediction(3), begun[:50], hour="2020-11-20T07")
    put(tmp_path / "log", "predictions", json.dumps(prediction(4)).encode(), hour="2020-11-20T08")
    assert send(to).health[:3] == (2, 1, 0)
    assert sorted(map(number, rows(str(to.url)))) == [1, 2, 3, 4]
    assert unsent(young) == 0


def test_two_processes_send_what_they_write_once(tmp_path: Path, url: str) -> None:
    """One sends while the other waits; when it is gone the other goes on."""
    to = log(tmp_path / "log", url=url)
    journals = [Journal(to), Journal(to)]
    with shipping(to) as first, shipping(to) as second:
        for one in range(300):
            assert journals[one % 2].write("predictions", [prediction(one)]) == 1
        until(lambda: first.health.sent + second.health.sent == 300)
        first.close()
        journals[0].write("predictions", [prediction(300)])
        until(lambda: first.health.sent + second.health.sent == 301)
        until(lambda: second.health.unsent_bytes == 0)
    for journal in journals:
        journal.close()
    assert list(map(number, rows(url))) == list(range(301))


def test_one_process_sends_at_a_time(tmp_path: Path) -> None:
    to = log(tmp_path / "log", url=f"sqlite:///{tmp_path / 'log.db'}")
    put(tmp_path / "log", "predictions", prediction(1))
    with (tmp_path / "log" / ".sending.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with shipping(to) as shipper:
            until(lambda: shipper.health.unsent_bytes > 0)
            time.sleep(0.1)
            assert shipper.health.sent == 0
            fcntl.flock(other, fcntl.LOCK_UN)
            until(lambda: shipper.health.sent == 1)


def test_files_that_are_done_are_left_alone(tmp_path: Path) -> None:
    to = log(tmp_path / "log", url=f"sqlite:///{tmp_path / 'log.db'}")
    path = put(tmp_path / "log", "predictions", prediction(1), hour="2020-11-20T07")
    with shipping(to) as shipper:
        until(lambda: path.name in shipper._done)
        position(path).unlink()
        time.sleep(0.1)
        assert shipper.health.sent == 1


def test_a_database_that_is_started_anew_while_nothing_is_sent_is_no_error(
    tmp_path: Path, server: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors: list[BaseException] = []
    monkeypatch.setattr(database, "reason", lambda error, url: errors.append(error))
    put(tmp_path / "log", "predictions", prediction(1), hour=hour())
    with shipping(log(tmp_path / "log", url=server.url)) as shipper:
        until(lambda: shipper.health.sent == 1)
        server.stop()
        server.start()
        put(tmp_path / "log", "predictions", prediction(2), hour=hour())
        until(lambda: shipper.health.sent == 2)
    assert not errors


def test_what_is_not_sent_in_time_is_sent_by_the_next(tmp_path: Path) -> None:
    to = log(tmp_path / "log", url=f"sqlite:///{tmp_path / 'log.db'}")
    put(tmp_path / "log", "predictions", *(prediction(one) for one in range(20_000)))
    shipper = Shipper(to)
    shipper.close(0.05)
    first = shipper.health.sent
    until(lambda: not shipper._thread.is_alive(), 5)  # with what it had begun
    assert shipper.health.sent < min(first + 2001, 20_000)
    send(to)
    assert list(map(number, rows(str(to.url)))) == list(range(20_000))


def test_a_password_is_shown_in_no_form() -> None:
    url = sqlalchemy.make_url("postgresql://u:s3cret%2Fp%40ss@host/x")
    error = ValueError("s3cret/p@ss, s3cret%2Fp%40ss\nand more")
    assert database.reason(error, url) == "ValueError: ***, ***"


def test_a_database_that_goes_and_comes_back_has_all(tmp_path: Path, server: Cluster) -> None:
    """The journal is never slower for it; the numbers say what waits."""
    source = sqlalchemy.create_engine(server.url, poolclass=sqlalchemy.NullPool)
    database.TABLES.drop_all(source)
    to = log(tmp_path / "log", url=server.url)
    journal = Journal(to)
    with shipping(to) as shipper:
        journal.write("predictions", [prediction(0, time=datetime.now(UTC).isoformat())])
        until(lambda: shipper.health.sent == 1)
        until(lambda: shipper.health[2:] == (0, 0.0, None))
        server.stop()
        try:
            for one in range(1, 2001):
                assert journal.write("predictions", [prediction(one, time=datetime.now(UTC).isoformat())]) == 1
            until(lambda: shipper.health.error is not None and shipper.health.unsent_bytes > 2000 * 200)
            assert PASSWORD not in str(shipper.health.error)
            before = shipper.health.behind
            time.sleep(0.05)
            assert shipper.health.behind >= before + 0.05
        finally:
            server.start()
        until(lambda: shipper.health.sent == 2001)
        until(lambda: shipper.health[1:] == (0, 0, 0.0, None))
        # A database that was set up anew gets its tables again.
        database.TABLES.drop_all(source)
        journal.write("predictions", [prediction(3000)])
        until(lambda: shipper.health.sent == 2002)
    journal.close()
    assert list(map(number, rows(server.url))) == [3000]


def test_a_locked_sqlite_database_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "WAIT", 0.05)
    to = log(tmp_path / "log", url=f"sqlite:///{tmp_path / 'log.db'}")
    put(tmp_path / "log", "predictions", prediction(1))
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with shipping(to) as shipper:
            until(lambda: "locked" in str(shipper.health.error))
            assert shipper.health.unsent_bytes > 0
            other.execute("ROLLBACK")
            until(lambda: shipper.health.sent == 1)


def test_the_time_between_tries_doubles_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    class Hasty(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return super().wait(0.001)

    to = log(tmp_path / "log", url=f"sqlite:///{tmp_path / 'no' / 'folder' / 'log.db'}")
    with monkeypatch.context() as patched:
        patched.setattr("gitloop.serving.shipper.threading.Event", Hasty)
        shipper = Shipper(to, every=1, slowest=10)
    until(lambda: len(waits) > 5)
    (tmp_path / "no" / "folder").mkdir(parents=True)
    until(lambda: shipper.health.error is None)
    shipper.close()
    # A thread's own start waits too.
    slow = [wait for wait in waits if wait]
    assert slow[:5] == [2, 4, 8, 10, 10]
    assert slow[-1] == 1


def test_closing_waits_for_no_database_that_hangs(tmp_path: Path) -> None:
    put(tmp_path / "log", "predictions", prediction(1))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql+psycopg://tester:{PASSWORD}@127.0.0.1:{silent.getsockname()[1]}/x"
        shipper = Shipper(log(tmp_path / "log", url=url), every=0.01)
        began = time.monotonic()
        shipper.close(0.3)
        shipper.close(0.3)
        assert time.monotonic() - began < 1.5


def test_a_refused_password_is_not_repeated(tmp_path: Path, server: Cluster) -> None:
    wrong = server.url.replace("s3cret%2Fp%40ss", "wr%40ng-Secret")
    with shipping(log(tmp_path / "log", url=wrong)) as shipper:
        until(lambda: shipper.health.error is not None)
        assert "password authentication failed" in str(shipper.health.error)
        assert "Secret" not in str(shipper.health.error)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"url_env": "LOG_URL"}, "log.url_env: the environment variable LOG_URL is not set; set it to postgresql"),
        ({"url": "not a url"}, "log.url: holds no database URL; it has the form postgresql"),
        ({"url": f"postgresql://u:{PASSWORD}@host:port/x"}, "log.url: holds no database URL; it has the form"),
        ({"url": f"mysql://u:{PASSWORD}@h/x"}, "log.url: mysql is not supported; use postgresql"),
        ({"url": f"postgresql+nodriver://u:{PASSWORD}@h/x"}, "log.url: holds no database URL"),
        ({"url": f"postgresql+pg8000://u:{PASSWORD}@h/x"}, "its driver 'pg8000' is not installed; add it to"),
    ],
)
def test_a_wrong_url_is_said_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, str], message: str
) -> None:
    monkeypatch.delenv("LOG_URL", raising=False)
    with pytest.raises(InputError, match=message) as told:
        Shipper(log(tmp_path / "log", **values))
    assert PASSWORD not in str(told.value)
    assert "\n" not in str(told.value)


def test_the_url_may_stand_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_URL", f"sqlite:///{tmp_path / 'log.db'}")
    put(tmp_path / "log", "predictions", prediction(1))
    assert send(log(tmp_path / "log", url_env="LOG_URL")).health.sent == 1
