"""The prediction log keeps what it says it kept, and no prediction waits or fails for it."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from journals import lines, log, prediction, put, truth

from gitloop.contract import Column
from gitloop.serving.journal import LONGEST, Journal, loggable, parts, position

NOW = datetime(2026, 11, 21, 7, 59, tzinfo=UTC)
Make = Callable[..., Journal]


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Make]:
    """A journal in tmp_path/log that looks after itself when it is told to only."""
    made: list[Journal] = []

    def make(
        every: float = 1000, now: Callable[[], datetime] = lambda: NOW, tick: Any = None, **values: Any
    ) -> Journal:
        made.append(Journal(log(tmp_path / "log", **values), now=now, every=every, tick=tick))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was given to write(2)."""
    seen: list[bytes] = []
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, content: (seen.append(content), real(handle, content))[1])
    return seen


def test_a_record_is_a_line(journal: Make, tmp_path: Path) -> None:
    odd = {"ü": "a\nb\u2028\u0085 \U0001f600 \"'", "huge": 1e308, "tiny": 5e-324, "zero": -0.0, "none": None}
    records = [prediction(1), prediction(2, inputs=odd)]
    one = journal()
    assert one.write("predictions", records) == 2
    assert one.write("feedback", [truth(1, "yes")]) == 1
    assert one.write("predictions", []) == 0
    assert lines(tmp_path / "log") == records
    assert lines(tmp_path / "log", "feedback") == [truth(1, "yes")]
    assert [(part.name, part.hour) for part in parts(tmp_path / "log")] == [
        (name, datetime(2026, 11, 21, 7, tzinfo=UTC)) for name in ("feedback", "predictions")
    ]
    size = sum(path.stat().st_size for path in (tmp_path / "log").iterdir())
    assert one.health == (3, 0, size, None)


def test_a_call_is_one_write_to_the_system(journal: Make, writes: list[bytes]) -> None:
    journal().write("predictions", [prediction(number) for number in range(100)])
    assert [content.count(b"\n") for content in writes] == [100]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_null(journal: Make, tmp_path: Path, number: float) -> None:
    assert journal().write("predictions", [prediction(1, probability=number, inputs={"age": [number]})]) == 1
    assert lines(tmp_path / "log") == [prediction(1, probability=None, inputs={"age": [None]})]


@pytest.mark.parametrize("wrong", [object(), "\ud800", {"\ud800": 1}, "x" * LONGEST])
def test_what_is_no_json_is_dropped_alone(journal: Make, tmp_path: Path, wrong: Any) -> None:
    one = journal()
    assert one.write("predictions", [prediction(1), prediction(2, probability=wrong), prediction(3)]) == 2
    assert lines(tmp_path / "log") == [prediction(1), prediction(3)]
    assert one.health[:2] == (2, 1)
    assert one.health.error is not None


def test_a_folder_that_cannot_be_is_no_error_of_the_prediction(journal: Make, tmp_path: Path) -> None:
    (tmp_path / "log").write_text("in the way")
    one = journal()
    assert one.write("predictions", [prediction(1)]) == 0
    assert "FileExistsError" in str(one.health.error)
    (tmp_path / "log").unlink()
    assert one.write("predictions", [prediction(2)]) == 1
    assert (lines(tmp_path / "log"), one.health[:2]) == ([prediction(2)], (1, 1))


def test_a_folder_that_is_deleted_comes_again(journal: Make, tmp_path: Path) -> None:
    one = journal()
    one.write("predictions", [prediction(1)])
    shutil.rmtree(tmp_path / "log")
    assert one.write("predictions", [prediction(2)]) == 1
    assert lines(tmp_path / "log") == [prediction(2)]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_takes_nothing_is_counted_until_it_does(
    journal: Make, tmp_path: Path, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int, content: bytes) -> int:
        raise OSError(code, os.strerror(code))

    one = journal()
    one.write("predictions", [prediction(1)])
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", full)
        assert one.write("predictions", [prediction(2), prediction(3)]) == 0
    assert one.write("predictions", [prediction(4)]) == 1
    assert lines(tmp_path / "log") == [prediction(1), prediction(4)]
    assert one.health[:2] == (2, 2)
    assert os.strerror(code) in str(one.health.error)


@pytest.mark.parametrize("stuck", [False, True], ids=["taken back", "left torn"])
def test_a_disk_that_is_full_within_a_write_spoils_no_line(
    journal: Make, tmp_path: Path, stuck: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the write stops, the whole lines before it are kept, and the next is whole again."""
    real = os.write
    three = [prediction(number) for number in (1, 2, 3)]
    lengths = [len(json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()) + 1 for record in three]
    ends = [sum(lengths[:count]) for count in range(4)]

    def refuse(handle: int, length: int) -> None:
        raise OSError(errno.EIO, "no")

    for cut in sorted(
        {*range(0, ends[3], 29), *(end + near for end in ends[:3] for near in (-1, 0, 1)), ends[3] - 1} - {-1}
    ):
        shutil.rmtree(tmp_path / "log", ignore_errors=True)
        one = journal()
        one.write("predictions", [prediction(0)])
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", lambda handle, content, cut=cut: real(handle, content[:cut]))
            if stuck:
                patched.setattr(os, "ftruncate", refuse)
            kept = one.write("predictions", three)
        assert kept == max(count for count in range(4) if ends[count] <= cut)
        assert one.health.dropped == 3 - kept
        assert one.write("predictions", [prediction(9)]) == 1
        one.close()
        [file] = (tmp_path / "log").iterdir()
        rows = [row for row in map(_whole, file.read_bytes().split(b"\n")) if row]
        # What the disk took up to the end of its JSON is whole, though its end was not acknowledged.
        also = stuck and cut + 1 in ends
        assert rows == [prediction(0), *three[: kept + also], prediction(9)]


def _whole(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None


def test_what_was_kept_after_a_torn_line_is_never_taken_back(
    journal: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def refuse(handle: int, length: int) -> None:
        raise OSError(errno.EIO, "no")

    one = journal()
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda handle, content: real(handle, content[:-9]))
        patched.setattr(os, "ftruncate", refuse)
        assert one.write("predictions", [prediction(1)]) == 0
    assert one.write("predictions", [prediction(2)]) == 1
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda handle, content: real(handle, content[:-9]))
        assert one.write("predictions", [prediction(3)]) == 0
    assert one.write("predictions", [prediction(4)]) == 1
    [file] = (tmp_path / "log").iterdir()
    assert [row for row in map(_whole, file.read_bytes().split(b"\n")) if row] == [prediction(2), prediction(4)]


def test_a_signal_may_close_the_journal_within_a_write(journal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one, kept = journal(), []
    one.write("predictions", [prediction(1)])
    real = os.write

    def interrupted(handle: int, content: bytes) -> int:
        one.close()  # as a handler does, in the same thread
        return real(handle, content)

    monkeypatch.setattr(os, "write", interrupted)
    thread = threading.Thread(target=lambda: kept.append(one.write("predictions", [prediction(2)])), daemon=True)
    thread.start()
    thread.join(5)
    assert kept == [0]
    assert one.health[:2] == (1, 1)


LIMITED = """
import resource, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from journals import log, prediction
from gitloop.serving.journal import Journal

hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))  # the system takes what fits, and then nothing
journal = Journal(log(Path(sys.argv[1])))
kept = 0
for number in range(30):
    kept += journal.write("predictions", [prediction(3 * number + place) for place in range(3)])
assert 20 < kept < 90, kept
assert journal.health.kept == kept and journal.health.dropped == 90 - kept
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
assert journal.write("predictions", [prediction(100)]) == 1
journal.close()
print(kept, journal.health.error)
"""


def test_a_real_limit_of_the_system_spoils_no_line(tmp_path: Path) -> None:
    done = _run(LIMITED, tmp_path / "log")
    kept, error = done.split(" ", 1)
    expected = [prediction(number) for number in [*range(int(kept)), 100]]
    assert lines(tmp_path / "log") == expected
    assert "File too large" in error or "full" in error


WRITER = """
import signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from journals import log, prediction
from gitloop.serving.journal import Journal

journal = Journal(log(Path(sys.argv[1])))
def stop(*_):
    journal.close()
    sys.exit()
signal.signal(signal.SIGTERM, stop)
number = 0
while True:
    records = [prediction(number, version=sys.argv[3]), prediction(number + 1, version=sys.argv[3])]
    assert journal.write("predictions", records) == 2
    sys.stdout.write(f"{number}\\n{number + 1}\\n")
    sys.stdout.flush()
    number += 2
"""


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM])
def test_what_was_acknowledged_survives_the_process(tmp_path: Path, stop: signal.Signals) -> None:
    """Two processes that share a folder."""
    writers = [
        subprocess.Popen([*_command(WRITER, tmp_path / "log"), name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    said: dict[str, list[str]] = {}
    threads = [
        threading.Thread(target=lambda writer=writer, name=name: said.update({name: list(writer.stdout)}))
        for writer, name in zip(writers, "ab", strict=True)
    ]
    for thread in threads:
        thread.start()
    while len(list((tmp_path / "log").glob("*"))) < 2:
        time.sleep(0.01)
    time.sleep(0.3)
    for writer in writers:
        writer.send_signal(stop)
        writer.wait(20)
    for thread, writer in zip(threads, writers, strict=True):
        thread.join(20)
        writer.stdout.close()  # type: ignore[union-attr]
    # The system may stop a write(2) between two pages: the last line, which was not acknowledged, may be torn.
    found = lines(tmp_path / "log", killed=stop == signal.SIGKILL)
    for name in "ab":
        kept = [int(row["id"], 16) for row in found if row["version"] == name]
        acknowledged = [int(line) for line in said[name] if line.endswith("\n")]
        assert len(acknowledged) > 100
        assert kept[: len(acknowledged)] == acknowledged
        assert len(kept) <= len(acknowledged) + 2
    assert len({path.name for path in (tmp_path / "log").glob("*.jsonl")}) >= 2


FORKER = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from journals import log, prediction
from gitloop.serving.journal import Journal

journal = Journal(log(Path(sys.argv[1])), every=0.01)
journal.write("predictions", [prediction(1)])
journal._lock.acquire()  # as another thread might hold it in this moment
child = os.fork()
if child == 0:
    assert journal.write("predictions", [prediction(2)]) == 1
    assert journal.health.kept == 1
    journal.close()
    os._exit(0)
journal._lock.release()
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert journal.write("predictions", [prediction(3)]) == 1
journal.close()
"""


def test_a_forked_process_writes_to_a_file_of_its_own(tmp_path: Path) -> None:
    _run(FORKER, tmp_path / "log")
    held = {
        tuple(int(row["id"], 16) for row in map(json.loads, path.read_text().splitlines()))
        for path in (tmp_path / "log").iterdir()
    }
    assert held == {(1, 3), (2,)}


def test_threads_share_a_journal(journal: Make, tmp_path: Path) -> None:
    one = journal()

    def write(first: int) -> None:
        for number in range(first, first + 200, 2):
            assert one.write("predictions", [prediction(number), prediction(number + 1)]) == 2

    threads = [threading.Thread(target=write, args=(1000 * index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({row["id"] for row in lines(tmp_path / "log")}) == one.health.kept == 1600


def test_lines_are_put_on_the_disk_within_a_moment(journal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    one = journal(every=0.01, tick=lambda: 1 / 0)  # what is called in between must not end it
    for expected in (1, 2):
        one.write("predictions", [prediction(1)])
        _until(lambda expected=expected: len(synced) == expected)
        time.sleep(0.05)
        assert len(synced) == expected  # nothing new, nothing done
    assert "ZeroDivisionError" in str(one.health.error)


def test_closing_puts_all_on_the_disk(journal: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    one = journal()
    one.write("predictions", [prediction(1)])
    one.write("feedback", [truth(1, True)])
    one.close()
    one.close()
    assert len(synced) == 2
    assert one.write("predictions", [prediction(2)]) == 0
    assert one.health[:2] == (2, 1)
    assert one.health.error == "ValueError: the journal is closed"
    assert lines(tmp_path / "log") == [prediction(1)]


def test_a_disk_that_fails_to_sync_is_told(journal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    one = journal()
    one.write("predictions", [prediction(1)])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        one.sync()
    assert "Input/output error" in str(one.health.error)


def test_each_hour_has_its_file(journal: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    clock = Clock()
    one = journal(now=clock)
    one.write("predictions", [prediction(1)])
    clock.now += timedelta(minutes=1)
    one.write("predictions", [prediction(2)])
    assert [part.hour.hour for part in parts(tmp_path / "log")] == [7, 8]
    assert not synced  # the old file is not closed on the path of a request
    one.sync()
    assert len(synced) == 2
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(synced[1])


def test_old_files_are_deleted_but_not_before_a_database_has_them(journal: Make, tmp_path: Path) -> None:
    def fill() -> list[Path]:
        old = put(tmp_path / "log", "predictions", prediction(1), hour="2026-11-11T06")
        half = put(tmp_path / "log", "feedback", truth(1, True), hour="2026-11-11T06")
        young = put(tmp_path / "log", "predictions", prediction(1), hour="2026-11-11T07")
        (tmp_path / "log" / "predictions-2026-99-11T07-x.jsonl").write_text("not ours")
        position(old).write_text(str(old.stat().st_size))
        position(half).write_text(str(half.stat().st_size - 1))
        return [old, half, young]

    clock = Clock()
    old, half, young = fill()
    one = journal(now=clock, keep_days=10, url="sqlite:///some.db")
    assert [path.exists() for path in (old, position(old), half, young)] == [False, False, True, True]
    assert one.health.bytes_on_disk == half.stat().st_size + young.stat().st_size
    clock.now += timedelta(hours=1)
    one.tidy()
    assert young.exists()  # nothing of it was sent

    fill()
    journal(now=Clock(), keep_days=10)
    assert [path.exists() for path in (old, half, young)] == [False, False, True]
    assert (tmp_path / "log" / "predictions-2026-99-11T07-x.jsonl").exists()


def test_the_log_is_bounded(journal: Make, tmp_path: Path) -> None:
    other = put(tmp_path / "log", "predictions", b"x" * 999_000 + b"\n", hour="2026-11-20T07", of="there-1")
    one = journal(max_megabytes=1)
    sizes = [one.write("predictions", [prediction(number)]) for number in range(20)]
    kept = sum(sizes)
    assert 0 < kept < 20
    assert sizes == [1] * kept + [0] * (20 - kept)
    assert one.health == (kept, 20 - kept, one.health.bytes_on_disk, "OSError: the log holds 1 MB, all it may")
    assert one.health.bytes_on_disk <= 1_000_000
    one.tidy()
    assert other.exists()  # it is the only copy
    other.unlink()
    one.tidy()
    assert one.write("predictions", [prediction(30)]) == 1


def test_room_is_made_by_what_a_database_has(journal: Make, tmp_path: Path) -> None:
    lengths = {"2026-11-18T07": 300_000, "2026-11-19T07": 300_000, "2026-11-20T07": 300_000, "2026-11-21T07": 50_000}
    files = [put(tmp_path / "log", "predictions", b"x" * length, hour=hour) for hour, length in lengths.items()]
    for file in files[1:]:
        position(file).write_text(str(file.stat().st_size))
    one = journal(max_megabytes=1, url="sqlite:///some.db")
    assert [file.exists() for file in files] == [True, False, True, True]
    assert one.health.bytes_on_disk == 650_000


def test_personal_data_and_what_is_not_to_be_logged_is_named_nowhere() -> None:
    columns = {
        "age": Column(type="numeric"),
        "diagnosis": Column(type="text", logged=False),
        "sex": Column(type="categorical", role=("sensitive",)),
        "mail": Column(type="text", role=("pii",)),
        "customer": Column(type="text", role=("key", "pii"), pii="hash"),
        "note": Column(type="text", role=("ignored",)),
    }
    assert loggable(columns) == ["age", "sex"]


def test_the_journal_loads_little() -> None:
    code = "import sys, gitloop.serving.journal; print(*{m.split('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "pandas", "pyarrow", "sqlalchemy", "duckdb", "sklearn"}
    assert not heavy & set(done.stdout.split())


def _command(code: str, folder: Path) -> list[str]:
    return [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code, str(folder), str(Path(__file__).parents[2])]


def _run(code: str, folder: Path) -> str:
    done = subprocess.run(_command(code, folder), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _until(true: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)
