"""`gitloop ingest`: the window, the order, the fingerprint, and what is refused."""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gitloop import layout
from gitloop.cli import main
from gitloop.data import table

CSV = "gitloop.data.sources.CSV"
PARQUET = "gitloop.data.sources.Parquet"
SQL = "gitloop.data.sources.SQL"
COLUMNS = {
    "at": {"type": "datetime", "role": ["timestamp", "key"]},
    "id": {"type": "numeric", "role": "key"},
    "x": {"type": "numeric"},
    "who": {"type": "text", "role": "pii"},
    "note": {"type": "text", "role": "ignored"},
    "late": {"type": "boolean", "role": "target"},
}
FEBRUARY = {"since": "2024-02-01", "until": "2024-03-01"}
HEAD = "at,id,x,who,note,late\n"

Configure = Callable[..., Path]


@pytest.fixture
def configure(params: dict[str, Any], root: Callable[[dict[str, Any]], Path]) -> Configure:
    """A repository root whose data are as told."""

    def make(
        source: dict[str, Any], window: dict[str, str] | None = None, columns: dict[str, Any] | None = None
    ) -> Path:
        params["data"] |= {"name": "mine", "source": source, "window": window or {}, "columns": columns or COLUMNS}
        params["data"]["slices"] = []
        return root(params)

    return make


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which ingest ends, its prefix removed."""
    capsys.readouterr()
    assert main(["ingest"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert not list(Path().rglob(".*.tmp"))
    return lines[0].removeprefix("gitloop ingest: ")


def raw() -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for row in pq.read_table(layout.RAW).to_pylist()]


def ids() -> list[Any]:
    return [row["id"] for row in pq.read_table(layout.RAW).to_pylist()]


def fingerprint() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(layout.SOURCE.read_text())
    return found


def test_csv_window_order_and_fingerprint(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    text = HEAD + (
        "2024-02-29T23:59:59Z,5,1.50,Eve,n,no\n"
        "2024-03-01,6,1,Ann,n,no\n"
        "soon,7,1,Ann,n,no\n"
        "2024-02-01,2,abc,Ann,n,no\n"
        "2024-02-01,1,,Ann,n,no\n"
        "2024-01-31 23:59:59,0,1,Ann,n,no\n"
        ",8,1,Ann,n,no\n"
        "2024-02-01T00:30:00+01:00,9,1,Ann,n,no\n"
    )
    here = configure({"_target_": CSV, "path": "in.csv"}, FEBRUARY)
    (here / "in.csv").write_text(text)
    assert main(["ingest"]) == 0
    assert capsys.readouterr().out == (
        "data/raw.parquet: 5 rows, 4 columns, 2024-02-01 00:00:00 <= at < 2024-03-01 00:00:00 (UTC)\n"
    )
    assert raw() == [
        ("2024-02-01", "1", None, "no"),
        ("2024-02-01", "2", "abc", "no"),
        ("2024-02-29T23:59:59Z", "5", "1.50", "no"),
        ("soon", "7", "1", "no"),  # validate says why it is set aside
        (None, "8", "1", "no"),
    ]
    assert fingerprint() == {
        "source": {"kind": "CSV", "path": "in.csv", "files": {"in.csv": hashlib.sha256(text.encode()).hexdigest()}},
        "window": {"since": "2024-02-01T00:00:00", "until": "2024-03-01T00:00:00"},
        "rows": 5,
        "columns": dict.fromkeys(["at", "id", "x", "late"], "string"),
        "sha256": hashlib.sha256(layout.RAW.read_bytes()).hexdigest(),
    }
    assert pq.ParquetFile(layout.RAW).metadata.row_group(0).column(0).compression == "ZSTD"


def test_two_runs_in_two_folders_give_the_same_bytes(
    configure: Configure, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = configure({"_target_": CSV, "path": "in.csv"}, FEBRUARY)
    (here / "in.csv").write_text(
        HEAD + "".join(f"2024-02-{1 + n % 28:02},{n},{n / 7},a,n,no\n" for n in range(150_000))
    )
    assert main(["ingest"]) == 0
    before = layout.RAW.read_bytes(), layout.SOURCE.read_bytes()
    other = tmp_path / "else" / "where"
    other.mkdir(parents=True)
    for name in ("in.csv", "params.yaml"):
        shutil.copy(here / name, other)
    monkeypatch.chdir(other)
    assert main(["ingest"]) == 0
    assert (layout.RAW.read_bytes(), layout.SOURCE.read_bytes()) == before
    assert str(tmp_path) not in layout.SOURCE.read_text()


def test_the_order_in_which_a_source_gives_rows_means_nothing(configure: Configure) -> None:
    here = configure({"_target_": SQL, "url": "sqlite:///in.db", "query": "SELECT * FROM t"}, FEBRUARY)
    rows = [
        (f"2024-02-{day:02} 00:00:00", key, x) for day, key, x in itertools.product((1, 2), (1, 2, 3), (1, 2.5, None))
    ]
    seen = set()
    for seed in range(3):
        random.Random(seed).shuffle(rows)
        with sqlite3.connect(here / "in.db") as connection:
            connection.execute("DROP TABLE IF EXISTS t")
            connection.execute("CREATE TABLE t (at, id, x)")
            connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
        connection.close()
        assert main(["ingest"]) == 0
        seen.add(layout.RAW.read_bytes())
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("type_", "zone", "expected"),
    [
        (pa.timestamp("us"), None, [1, 2]),
        (pa.timestamp("ns"), None, [1, 2]),
        (pa.timestamp("us", "Europe/Madrid"), None, [1, 2]),
        (pa.timestamp("us"), "America/New_York", [0, 1]),
        (pa.string(), "America/New_York", [0, 1]),
        (pa.date32(), None, [1, 2]),
    ],
)
def test_the_window_is_in_utc_whatever_the_type_of_the_timestamp(
    configure: Configure, type_: pa.DataType, zone: str | None, expected: list[int]
) -> None:
    columns = COLUMNS | {"at": {"type": "datetime", "role": ["timestamp"]} | ({"timezone": zone} if zone else {})}
    here = configure(
        {"_target_": PARQUET, "path": "in.parquet"}, {"since": "2024-02-01", "until": "2024-02-03"}, columns
    )
    days = pa.array(["2024-01-31 22:00:00", "2024-02-01", "2024-02-02 20:00:00", "2024-02-03 00:00:00"])
    days = days.cast(pa.timestamp("us"))
    times = days if type_ == pa.string() else days.cast(type_, safe=False)
    if type_ == pa.string():
        times = pa.array([str(day) for day in days.to_pylist()])
    pq.write_table(pa.table({"at": times, "id": range(4), "late": [True] * 4}), here / "in.parquet")
    assert main(["ingest"]) == 0
    assert ids() == expected


def test_mixed_time_zones_are_each_read_as_they_say(configure: Configure) -> None:
    columns = COLUMNS | {"at": {"type": "datetime", "role": ["timestamp"], "timezone": "Europe/Madrid"}}
    here = configure({"_target_": CSV, "path": "in.csv"}, {"since": "2024-07-01", "until": "2024-07-02"}, columns)
    (here / "in.csv").write_text(
        "at,id,late\n2024-07-01 01:59,1,no\n2024-07-01 02:00,2,no\n2024-07-01T00:00:00Z,3,no\n"
        "2024-07-01T20:00:00-04:00,4,no\n2024-07-01T19:59:59-04:00,5,no\n"
    )
    assert main(["ingest"]) == 0
    assert ids() == ["2", "3", "5"]


@pytest.mark.parametrize(("size", "memory"), [(50, "512MB"), (5000, "2GB")])
def test_long_rows_are_given_the_memory_that_sorting_them_takes(
    configure: Configure, monkeypatch: pytest.MonkeyPatch, size: int, memory: str
) -> None:
    given = []
    connect = table.connect

    def spy(limit: str = "the default") -> Any:
        given.append(limit)
        return connect(limit) if limit != "the default" else connect()

    monkeypatch.setattr(table, "connect", spy)
    here = configure({"_target_": CSV, "path": "in.csv"}, FEBRUARY)
    (here / "in.csv").write_text(HEAD.replace("who", "more") + f"2024-02-01,1,1,{'a' * size},n,no\n" * 3)
    assert main(["ingest"]) == 0
    assert given == [memory]


def test_without_a_timestamp_rows_keep_the_source_s_order(configure: Configure) -> None:
    columns = {name: column for name, column in COLUMNS.items() if name != "at"}
    here = configure({"_target_": CSV, "path": "in.csv"}, columns=columns)
    numbers = list(range(250_000))
    random.Random(0).shuffle(numbers)
    (here / "in.csv").write_text("id,x,late\n" + "".join(f"{n},1,no\n" for n in numbers))
    assert main(["ingest"]) == 0
    assert ids() == [str(n) for n in numbers]


def test_a_first_chunk_of_nulls_tells_no_type(configure: Configure) -> None:
    here = configure({"_target_": SQL, "url": "sqlite:///in.db", "query": "SELECT * FROM t"})
    with sqlite3.connect(here / "in.db") as connection:
        connection.execute("CREATE TABLE t (at, id, x)")
        rows = [("2024-02-01", n, None if n < 20_000 else n / 2) for n in range(20_002)]
        connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    connection.close()
    assert main(["ingest"]) == 0
    rows = pq.read_table(layout.RAW).to_pylist()
    assert {(row["id"], row["x"]) for row in rows if row["x"]} == {("20000", "10000.0"), ("20001", "10000.5")}


# Refusals


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "in.csv: is empty; it needs a header and rows"),
        (HEAD, "conf/data/mine.yaml: source: has no rows; put some there or name another"),
        (HEAD + "2024-02-01,1\n", "in.csv: line 2: has 2 fields where the header has 6; mend it, or was it cut off?"),
        (
            "id,x\n1,2\n",
            "conf/data/mine.yaml: columns.at: the source has no such column; use one of id, x",
        ),
        (
            HEAD + "2024-05-01,1,1,Ann,n,no\n2023-01-01 10:00,1,1,Ann,n,no\n",
            "conf/data/mine.yaml: window: no row has 2024-02-01 00:00:00 <= at < 2024-03-01 00:00:00 (UTC); its "
            "timestamps go from 2023-01-01 10:00:00 to 2024-05-01 00:00:00 (UTC), so move `since` or `until`",
        ),
    ],
)
def test_a_csv_that_cannot_be_ingested(
    configure: Configure, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    here = configure({"_target_": CSV, "path": "in.csv"}, FEBRUARY)
    (here / "in.csv").write_text(HEAD + "2024-02-01,1,1,Ann,n,no\n")
    assert main(["ingest"]) == 0
    before = layout.RAW.read_bytes(), layout.SOURCE.read_bytes()
    (here / "in.csv").write_text(text)
    assert refusal(capsys) == message
    assert (layout.RAW.read_bytes(), layout.SOURCE.read_bytes()) == before


def test_a_row_broken_far_behind_others_leaves_nothing_half_written(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    here = configure({"_target_": CSV, "path": "in.csv"}, FEBRUARY)
    (here / "in.csv").write_text(HEAD + "2024-02-01,1,1,Ann,n,no\n" * 400_000 + "2024-02-01,1,Secret\n")
    assert refusal(capsys) == "in.csv: line 400002: has 3 fields where the header has 6; mend it, or was it cut off?"
    assert not layout.RAW.exists()
    assert not layout.SOURCE.exists()


@pytest.mark.parametrize("kind", [PARQUET, SQL])
def test_a_window_without_rows_tells_what_there_is(
    configure: Configure, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    source = {"_target_": kind, "path": "in.parquet"}
    if kind == SQL:
        query = "SELECT at, 1 AS id FROM (SELECT '2020-02-03' AS at) WHERE at >= :since AND at < :until"
        source = {"_target_": kind, "url": "sqlite:///in.db", "query": query}
    here = configure(source, {"since": "2024-02-01"})
    sqlite3.connect(here / "in.db").close()
    (here / "in.db").touch()
    times = pa.array(["2020-02-03"]).cast(pa.timestamp("us"))
    pq.write_table(pa.table({"at": times, "id": [1]}), here / "in.parquet")
    assert refusal(capsys) == (
        "conf/data/mine.yaml: window: no row has 2024-02-01 00:00:00 <= at (UTC); its timestamps go from "
        "2020-02-03 00:00:00 to 2020-02-03 00:00:00 (UTC), so move `since` or `until`"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            {"_target_": "nowhere.sources.Sales"},
            "conf/data/mine.yaml: source._target_: there is no 'nowhere.sources.Sales'; use one of "
            "gitloop.data.sources.CSV, ",
        ),
        (
            {"_target_": "broken.Sales"},
            "conf/data/mine.yaml: source._target_: broken cannot be imported (SyntaxError: ",
        ),
        (
            {"_target_": CSV, "pth": "x"},
            "conf/data/mine.yaml: source.path: is missing; add it\n"
            "conf/data/mine.yaml: source.pth: unknown key; did you mean 'path'?",
        ),
        (
            {"_target_": CSV, "path": ["a", "b"], "decimal": ";"},
            "conf/data/mine.yaml: source.path: input should be a valid string\n"
            "conf/data/mine.yaml: source.decimal: input should be '.' or ','",
        ),
        (
            {"_target_": CSV, "path": "x", "encoding": "utf-80"},
            "conf/data/mine.yaml: source.encoding: unknown encoding 'utf-80'; use a name such as utf-8, cp1252 or",
        ),
        (
            {"_target_": SQL, "query": "SELECT 1", "url": "sqlite://", "url_env": "URL"},
            "conf/data/mine.yaml: source: give either `url` or `url_env`, the environment variable that holds it",
        ),
        (
            {"_target_": "own.Odd", "colour": "red"},
            "conf/data/mine.yaml: source: own.Odd cannot be made (",
        ),
        (
            {"_target_": "collections.Counter"},
            "conf/data/mine.yaml: source._target_: 'collections.Counter' is not a source; it needs the methods "
            "describe and batches",
        ),
        (
            {"_target_": "own.Odd"},
            "conf/data/mine.yaml: source: fails (KeyError: 'missing'); run with --debug to see where",
        ),
        (
            {"_target_": "own.Vague"},
            "conf/data/mine.yaml: source: fails (TypeError: Object of type set is not JSON serializable); run with",
        ),
        (
            {"_target_": "own.Late"},
            "conf/data/mine.yaml: source: fails (ZeroDivisionError: https://ann:***@host is down); run with --debug to",
        ),
    ],
)
def test_a_source_that_is_wrong_names_file_key_and_mend(
    configure: Configure,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    source: dict[str, Any],
    message: str,
) -> None:
    here = configure(source)
    (here / "broken.py").write_text("class Sales(:\n")
    (here / "own.py").write_text(
        "import pyarrow as pa\n"
        "class Odd:\n"
        "    def describe(self): return {}\n"
        "    def batches(self, request): return {}['missing']\n"
        "class Vague(Odd):\n"
        "    def describe(self): return {'files': {1}}\n"
        "class Late(Odd):\n"
        "    def batches(self, request):\n"
        "        batch = pa.record_batch({'at': ['2024-02-01'], 'id': [1]})\n"
        "        def later():\n"
        "            yield batch\n"
        "            raise ZeroDivisionError('https://ann:pw@host is down\\nand more')\n"
        "        return pa.RecordBatchReader.from_batches(batch.schema, later())\n"
    )
    monkeypatch.syspath_prepend(here)
    for name in ("own", "broken"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    capsys.readouterr()
    assert main(["ingest"]) == 2
    said = [line.removeprefix("gitloop ingest: ") for line in capsys.readouterr().err.splitlines()]
    expected = message.splitlines()
    assert len(said) == len(expected)
    assert all(line.startswith(start) for line, start in zip(said, expected, strict=True)), said
    assert not layout.RAW.exists()


def test_a_wrong_name_of_our_own_is_set_right(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure({"_target_": "gitloop.data.sources.CVS", "path": "x"})
    assert refusal(capsys).endswith("; did you mean 'gitloop.data.sources.CSV'?")


def test_a_secret_is_in_no_message_and_not_in_the_fingerprint(
    configure: Configure, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql+psycopg://ann:s3cret@127.0.0.1:1/x")
    configure({"_target_": SQL, "url_env": "DATABASE_URL", "query": "SELECT 1 AS at"})
    said = refusal(capsys)
    assert said.startswith("the database of DATABASE_URL: cannot be reached (")
    assert "s3cret" not in said


def test_a_type_that_parquet_does_not_know(
    configure: Configure, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = configure({"_target_": "durations.Source"})
    (here / "durations.py").write_text(
        "import pyarrow as pa\n"
        "class Source:\n"
        "    def describe(self): return {}\n"
        "    def batches(self, request):\n"
        "        return pa.table({'at': ['2024-02-01'], 'd': pa.array([1], pa.duration('s'))}).to_reader()\n"
    )
    monkeypatch.syspath_prepend(here)
    assert refusal(capsys).startswith("data/raw.parquet: cannot be written (Unhandled type for Arrow to Parquet")


# The disk


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    """A file system with room for little, where we may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("a small file system can be mounted by root only")
    yield folder
    os.chdir("/")
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def noise(path: Path, rows: int = 100_000) -> None:
    draw = random.Random(0)
    path.write_text(HEAD + "".join(f"2024-02-01,{n},{draw.random()},a,n,no\n" for n in range(rows)))


def test_a_full_disk_is_one_line_and_spares_the_old_file(
    configure: Configure, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = configure({"_target_": CSV, "path": "in.csv"})
    (here / "in.csv").write_text(HEAD + "2024-02-01,1,1,Ann,n,no\n")
    (here / "data").symlink_to(small_disk)
    assert main(["ingest"]) == 0
    before = layout.RAW.read_bytes()
    noise(here / "in.csv")
    assert refusal(capsys) == (
        "data/raw.parquet: cannot be written (No space left on device); free the disk or the folder and run again"
    )
    assert layout.RAW.read_bytes() == before
    assert [path.name for path in small_disk.iterdir()] == ["raw.parquet"]


def test_a_full_disk_simulated(
    configure: Configure, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = configure({"_target_": CSV, "path": "in.csv"})
    (here / "in.csv").write_text(HEAD + "2024-02-01,1,1,Ann,n,no\n")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "Error writing bytes to file")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    assert refusal(capsys).startswith("data/raw.parquet: cannot be written (No space left on device); free the disk")
    assert not layout.RAW.exists()


def test_no_room_to_sort_is_one_line(
    configure: Configure, small_disk: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = configure({"_target_": CSV, "path": "in.csv"})
    noise(here / "in.csv", 400_000)
    monkeypatch.setattr("tempfile.tempdir", str(small_disk))
    monkeypatch.setenv("GITLOOP_MEMORY", "40MB")
    said = refusal(capsys)
    assert said.startswith("data/raw.parquet: cannot be sorted (")
    assert said.endswith(
        "; free the temporary folder (TMPDIR), or set the environment variable GITLOOP_MEMORY above 2GB"
    )
    assert not layout.RAW.exists()


def test_it_loads_no_library_that_it_can_do_without(configure: Configure) -> None:
    here = configure({"_target_": CSV, "path": "in.csv"}, FEBRUARY)
    (here / "in.csv").write_text(HEAD + "2024-02-01,1,1,Ann,n,no\n")
    code = (
        "import sys; from gitloop.cli import main; code = main(['ingest']); "
        "print(code, [name for name in ('pandas', 'sklearn', 'sqlalchemy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines()[-1] == "0 []"


def test_the_terminal_shows_one_line_of_an_error_and_nothing_of_the_libraries(configure: Configure) -> None:
    here = configure({"_target_": CSV, "path": "in.csv"})
    (here / "in.csv").write_text(HEAD + "2024-02-01,1,1,Ann,n,no\n2024-02-01\n")
    done = subprocess.run([sys.executable, "-m", "gitloop", "ingest"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "gitloop ingest: in.csv: line 3: has 1 fields where the header has 6; mend it, or was it cut off?\n"
    )
