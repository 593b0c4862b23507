"""Each kind of source, against real files, servers and databases."""

from __future__ import annotations

import gzip
import sqlite3
import zipfile
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
from servers import Answer, Web, postgres, web

from gitloop.contract import Column
from gitloop.data.places import redact
from gitloop.data.protocol import Request, Source
from gitloop.data.sources import CSV, SQL, GoogleSheet, Parquet
from gitloop.errors import InputError

COLUMNS = {
    "at": Column(type="datetime", role=("timestamp",)),
    "id": Column(type="numeric", role=("key",)),
    "x": Column(type="numeric"),
    "note": Column(type="text", role=("ignored",)),
    "late": Column(type="boolean", role=("target",)),
}
ALL = Request(COLUMNS, "at")
FEBRUARY = Request(COLUMNS, "at", datetime(2024, 2, 1), datetime(2024, 3, 1))
PLAIN = "at,id,x,late\n2024-01-31,1,0.10,no\n2024-02-01,2,,yes\n"
ROWS = [
    {"at": "2024-01-31", "id": "1", "x": "0.10", "late": "no"},
    {"at": "2024-02-01", "id": "2", "x": None, "late": "yes"},
]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def site() -> Iterator[Web]:
    with web() as started:
        yield started


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def put(name: str, content: str | bytes) -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return name


def rows(source: Source, request: Request = ALL) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = source.batches(request).read_all().to_pylist()
    return found


def refusal(source: Source, request: Request = ALL) -> str:
    with pytest.raises(InputError) as caught:
        rows(source, request)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    return str(caught.value)


# CSV


def zipped(text: str) -> bytes:
    path = Path("inner.zip")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("inner.csv", text)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("plain.csv", PLAIN, {}),
        ("crlf.csv", PLAIN.replace("\n", "\r\n"), {}),
        ("no-last-newline.csv", PLAIN.rstrip("\n"), {}),
        ("bom.csv", b"\xef\xbb\xbf" + PLAIN.encode(), {}),
        ("semicolon.csv", PLAIN.replace(",", ";"), {}),
        ("tab.txt", PLAIN.replace(",", "\t"), {}),
        ("pipe.csv", PLAIN.replace(",", "|"), {}),
        ("said.csv", PLAIN.replace(",", "~"), {"delimiter": "~"}),
        ("decimal.csv", PLAIN.replace(",", ";").replace("0.10", "0,10"), {"decimal": ","}),
        ("spaces.csv", PLAIN.replace("at,id,x", "at, id ,x "), {}),
        ("quoted.csv", '"at","id","x","late"\n"2024-01-31","1","0.10","no"\n2024-02-01,2,"",yes\n', {}),
        ("null.csv", PLAIN.replace("2,,", "2,NA,"), {"null": ["", "NA"]}),
        ("utf16.csv", PLAIN.encode("utf-16"), {"encoding": "utf-16"}),
        ("packed.csv.gz", gzip.compress(PLAIN.encode(), mtime=0), {}),
        ("bom.csv.gz", gzip.compress(b"\xef\xbb\xbf" + PLAIN.encode(), mtime=0), {}),
        ("odd [1]'s.csv", PLAIN, {}),
    ],
)
def test_csv_is_read_as_text_whatever_its_dress(name: str, content: str | bytes, options: dict[str, Any]) -> None:
    assert rows(CSV(path=put(name, content), **options)) == ROWS


def test_csv_in_a_zip_and_in_windows_letters() -> None:
    assert rows(CSV(path=put("a.csv.zip", zipped(PLAIN)))) == ROWS
    put("b.csv", PLAIN.replace("yes", "sí €").encode("cp1252"))
    assert rows(CSV(path="b.csv", encoding="cp1252"))[1]["late"] == "sí €"


def test_csv_keeps_numbers_and_text_as_they_are() -> None:
    put("a.csv", 'at,id,x\n2024-01-31,007,1e400\nnonsense,12345678901234567890,"a ""b"", c\nd"\n')
    assert rows(CSV(path="a.csv")) == [
        {"at": "2024-01-31", "id": "007", "x": "1e400"},
        {"at": "nonsense", "id": "12345678901234567890", "x": 'a "b", c\nd'},
    ]


def test_csv_files_of_a_glob_come_in_the_order_of_their_names_and_of_the_first_header() -> None:
    put("data/b.csv", "at,id,x\n2024-02-02,2,b\n")
    put("data/a.csv", "at,x,id\n2024-02-01,a,1\n")
    put("data/deep/c.csv", "x,id,at\nc,3,2024-02-03\n")
    source = CSV(path="data/**/*.csv")
    assert [tuple(row.values()) for row in rows(source)] == [
        ("2024-02-01", "a", "1"),
        ("2024-02-02", "b", "2"),
        ("2024-02-03", "c", "3"),
    ]
    assert list(source.describe()["files"]) == ["a.csv", "b.csv", "deep/c.csv"]
    put("data/d.csv", "at,id,y\n2024-02-02,2,b\n")
    assert refusal(source) == "data/d.csv: has not the columns of data/a.csv ('x' differs); make them alike"


def test_csv_leaves_out_ignored_columns_and_keeps_unknown_ones() -> None:
    put("a.csv", "at,note,more\n2024-02-01,secret,1\n")
    assert rows(CSV(path="a.csv")) == [{"at": "2024-02-01", "more": "1"}]


def test_csv_with_many_rows_keeps_their_order() -> None:
    put("a.csv", "at,id\n" + "".join(f"2024-02-01,{number}\n" for number in range(300_000)))
    table = CSV(path="a.csv").batches(ALL).read_all()
    assert table.column("id").to_pylist() == [str(number) for number in range(300_000)]


HEAD = "at,id,x,late\n"
GOOD = "2024-01-31,1,0.10,no\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "a.csv: is empty; it needs a header and rows"),
        (
            HEAD + GOOD + "2024-02-01,2\n",
            "a.csv: line 3: has 2 fields where the header has 4; mend it, or was it cut off?",
        ),
        (HEAD + GOOD + "2024-02-01,2,1,no,5\n" + GOOD, "a.csv: line 3: has 5 fields where the header has 4;"),
        (HEAD + GOOD + '2024-02-01,2,"1', "a.csv: line 3: a quote is not closed; mend it, or was the file cut off?"),
        (HEAD + "2024-01-31,1,0.10,no\r\n" + GOOD, "a.csv: is not strict CSV; see that all lines end alike"),
        (HEAD + GOOD * 3 + "2024-02-01,2,1," + "n" * 3_000_000, "a.csv: line 5: is longer than 2 MB"),
        (
            (HEAD + "2024-02-01,2,1,sí\n").encode("cp1252"),
            "a.csv: line 2: is not UTF-8; set `source.encoding`, such as",
        ),
        ("at,id,sí\n".encode("cp1252"), "a.csv: is not utf-8; set `source.encoding`"),
        ("at,id,x,id\n", "a.csv: the header names 'id' twice (in any case of letters); rename one"),
        ("at,id,ID\n", "a.csv: the header names 'ID' twice (in any case of letters); rename one"),
        (
            GOOD * 2,
            "a.csv: the first line names none of the contract's columns; add a header, or set `source.delimiter`",
        ),
        ("\n" + HEAD + GOOD, "a.csv: the first line names none of the contract's columns"),
        (b"\x00\x01\x02", "a.csv: "),
    ],
)
def test_csv_that_is_broken_is_refused_with_the_line(content: str | bytes, message: str) -> None:
    put("a.csv", content)
    said = refusal(CSV(path="a.csv"))
    assert said.startswith(message)
    assert "2024-" not in said  # a value may be personal


def test_csv_that_was_cut_off_in_the_middle_is_refused(here: Path) -> None:
    whole = HEAD + GOOD * 50_000
    put("a.csv", whole[:-8])
    assert refusal(CSV(path="a.csv")).startswith("a.csv: line 50001: has 3 fields where the header has 4")
    put("a.csv.gz", gzip.compress(whole.encode())[:-500])
    assert refusal(CSV(path="a.csv.gz")).startswith("a.csv.gz: ")
    put("a.csv.zip", zipped(whole)[:-30])
    assert refusal(CSV(path="a.csv.zip")).startswith("a.csv.zip: cannot be unpacked (File is not a zip file)")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("data/none.csv", "data/none.csv: no such file; put it there or mend `source.path`"),
        ("data/*.csv", "data/*.csv: no such file; put it there or mend `source.path`"),
        ("memory://none/*.csv", "memory://none/*.csv: no such file;"),
        ("memory://none/a.csv", "memory://none/a.csv: no such file;"),
        ("nosuch://bucket/a.csv", "nosuch://bucket/a.csv: cannot be read (Protocol not known: nosuch);"),
        (".", ".: is a folder; say which files, such as ./*"),
    ],
)
@pytest.mark.parametrize("kind", [CSV, Parquet])
def test_files_that_are_not_there(kind: Any, path: str, message: str) -> None:
    assert refusal(kind(path=path)).startswith(message)


def test_a_file_system_whose_package_is_missing_says_which(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    assert "s3fs" in refusal(CSV(path="s3://bucket/a.csv"))


def test_any_fsspec_url_is_read(memory: Any) -> None:
    with memory.open("/lake/b.csv", "wb") as file:
        file.write(PLAIN.encode())
    with memory.open("/lake/a.csv.gz", "wb") as file:
        file.write(gzip.compress(PLAIN.encode()))
    source = CSV(path="memory://lake/*.csv*")
    assert rows(source) == ROWS * 2
    assert source.describe() == {"kind": "CSV", "path": "memory://lake/*.csv*", "files": {}}
    assert rows(CSV(path=Path(put("a.csv", PLAIN)).resolve().as_uri())) == ROWS
    with memory.open("/lake/c.csv", "wb") as file:
        file.write(PLAIN.encode() + b"1,2\n")
    assert refusal(source).startswith("memory:///lake/c.csv: line 4: has 2 fields")


# The web


def test_csv_from_the_web(site: Web) -> None:
    site.answers["/a.csv?token=abc"] = Answer(PLAIN.encode(), headers=(("Content-Type", "text/csv"),))
    source = CSV(path=f"{site.url}/a.csv?token=abc")
    assert rows(source) == ROWS
    assert source.describe() == {"kind": "CSV", "path": f"{site.url}/a.csv?token=***", "files": {}}
    site.answers["/moved"] = Answer(status=302, headers=(("Location", "/a.csv?token=abc"),))
    assert rows(CSV(path=f"{site.url}/moved")) == ROWS


def test_a_password_in_the_url_is_sent_and_never_shown(site: Web) -> None:
    site.answers["/private.csv"] = Answer(PLAIN.encode())
    path = site.url.replace("://", "://ann:p%40ss@") + "/private.csv"
    assert rows(CSV(path=path)) == ROWS
    assert site.requests[-1][1]["Authorization"] == "Basic YW5uOnBAc3M="
    assert CSV(path=path).describe()["path"] == site.url.replace("://", "://ann:***@") + "/private.csv"
    assert "p%40ss" not in refusal(CSV(path=path + "?key=k3y"))


def test_a_password_is_not_sent_on_to_another_server(site: Web) -> None:
    with web() as other:
        other.answers["/a.csv"] = Answer(PLAIN.encode())
        site.answers["/away"] = Answer(status=302, headers=(("Location", f"{other.url}/a.csv"),))
        assert rows(CSV(path=site.url.replace("://", "://ann:pass@") + "/away")) == ROWS
        assert "Authorization" not in other.requests[-1][1]


@pytest.mark.parametrize("kind", [CSV, Parquet])
def test_what_can_go_wrong_on_the_web(site: Web, kind: Any) -> None:
    site.answers["/short"] = Answer(PLAIN.encode(), length=10_000)
    site.answers["/login"] = Answer(b"<html>Sign in", headers=(("Content-Type", "text/html; charset=utf-8"),))
    assert refusal(kind(path=f"{site.url}/none.csv?sig=s3cret")) == (
        f"{site.url}/none.csv?sig=***: the server answers 404 Not Found; check the address and who may read it"
    )
    assert refusal(kind(path=f"{site.url}/short")) == (
        f"{site.url}/short: broke off after {len(PLAIN)} of 10000 bytes; run again"
    )
    assert "gave a web page, not a table; check the address, and that it is shared" in refusal(
        kind(path=f"{site.url}/login")
    )
    assert "cannot be fetched (" in refusal(kind(path="http://127.0.0.1:1/a.csv"))
    assert "cannot be fetched (" in refusal(kind(path="http://ann:pass word@127.0.0.1:1/a b.csv"))


@pytest.mark.parametrize(
    ("sheet", "gid", "path"),
    [
        ("1AbC-d_E", None, "/spreadsheets/d/1AbC-d_E/export?format=csv&gid=0"),
        ("1AbC-d_E", 7, "/spreadsheets/d/1AbC-d_E/export?format=csv&gid=7"),
        (
            "https://docs.google.com/spreadsheets/d/1AbC-d_E/edit?usp=sharing#gid=42",
            None,
            "/spreadsheets/d/1AbC-d_E/export?format=csv&gid=42",
        ),
        (
            "https://docs.google.com/spreadsheets/d/e/2PACX-1v_x/pubhtml?gid=5&single=true",
            None,
            "/spreadsheets/d/e/2PACX-1v_x/pub?output=csv&single=true&gid=5",
        ),
        ("2PACX-1v_x", None, "/spreadsheets/d/e/2PACX-1v_x/pub?output=csv&single=true&gid=0"),
    ],
)
def test_google_sheet(site: Web, sheet: str, gid: int | None, path: str) -> None:
    site.answers[path] = Answer(PLAIN.replace("0.10", '"0,10"').encode(), headers=(("Content-Type", "text/csv"),))
    source = GoogleSheet(sheet=sheet, gid=gid, decimal=",", base=site.url)
    assert rows(source) == ROWS
    assert source.describe() == {"kind": "GoogleSheet", "path": site.url + path, "decimal": ",", "files": {}}
    assert GoogleSheet(sheet=sheet, gid=gid).csv().path == "https://docs.google.com" + path


# Parquet


def parquet(name: str, **columns: Any) -> str:
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), name)
    return name


TIMES = [datetime(2024, 1, 31, 23), datetime(2024, 2, 1), None, datetime(2024, 2, 29, 23, 59), datetime(2024, 3, 1)]


def test_parquet_keeps_types_and_reads_the_window() -> None:
    parquet("a.parquet", at=TIMES, id=[2**60 + n for n in range(5)], note=["n"] * 5, x=[Decimal("1.10")] * 5)
    table = Parquet(path="a.parquet").batches(FEBRUARY).read_all()
    assert table.schema.names == ["at", "id", "x"]
    assert str(table.schema.field("x").type) == "decimal128(3, 2)"
    assert table.column("id").to_pylist() == [2**60 + n for n in (1, 2, 3)]  # one has no time: validate sets it aside


@pytest.mark.parametrize(
    "times", [pa.timestamp("us", "UTC"), pa.timestamp("ns"), pa.timestamp("s"), pa.date32(), pa.string()]
)
def test_parquet_reads_no_less_than_the_window_whatever_the_type(times: pa.DataType) -> None:
    at = pa.array(TIMES, pa.timestamp("us")).cast(times if times != pa.date32() else pa.date32(), safe=False)
    parquet("a.parquet", at=at, id=range(5))
    found = [row["id"] for row in rows(Parquet(path="a.parquet"), FEBRUARY)]
    assert [number for number in found if number in (1, 2, 3)] == [1, 2, 3]
    assert len(found) == (5 if times == pa.string() else 3)


def test_parquet_times_of_another_zone_are_left_to_ingest() -> None:
    columns = COLUMNS | {"at": Column(type="datetime", role=("timestamp",), timezone="America/New_York")}
    parquet("a.parquet", at=TIMES, id=range(5))
    request = Request(columns, "at", FEBRUARY.since, FEBRUARY.until)
    assert len(rows(Parquet(path="a.parquet"), request)) == 5


def test_parquet_files_of_a_glob_may_differ_in_columns_and_have_partitions(memory: Any) -> None:
    parquet("lake/year=2024/b.parquet", at=["2024-02-01"], x=[1.5])
    parquet("lake/year=2023/a.parquet", at=["2023-02-01"], x=pa.array([1], pa.int32()), more=["m"])
    expected = [("2023-02-01", 1.0, "m", 2023), ("2024-02-01", 1.5, None, 2024)]
    source = Parquet(path="lake/year=*/*.parquet")
    assert [tuple(row.values()) for row in rows(source)] == expected
    assert list(source.describe()["files"]) == ["year=2023/a.parquet", "year=2024/b.parquet"]
    memory.put("lake", "/lake", recursive=True)
    assert [tuple(row.values()) for row in rows(Parquet(path="memory://lake/year=*/*.parquet"))] == expected


def test_parquet_from_the_web(site: Web) -> None:
    site.answers["/a.parquet"] = Answer(Path(parquet("a.parquet", at=TIMES, id=range(5))).read_bytes())
    assert len(rows(Parquet(path=f"{site.url}/a.parquet"), FEBRUARY)) == 3


@pytest.mark.parametrize("content", [b"", b"at,id\n2024-01-01,1\n", b"PAR1" + b"x" * 100 + b"PAR1"])
def test_what_is_not_parquet(content: bytes) -> None:
    put("a.parquet", content)
    said = refusal(Parquet(path="a.parquet"))
    assert said.startswith("a.parquet: cannot be read as Parquet (")
    assert "Error" not in said
    assert said.endswith("; mend `source.path`")


def test_parquet_that_was_cut_off(here: Path) -> None:
    whole = Path(parquet("a.parquet", at=["2024-02-01"] * 1000, id=range(1000))).read_bytes()
    put("a.parquet", whole[:-100])
    assert refusal(Parquet(path="a.parquet")).startswith("a.parquet: cannot be read as Parquet (")


# SQL


def lite(*statements: str) -> str:
    with sqlite3.connect("x.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    return "sqlite:///x.db"


def test_sql_gives_text_whatever_the_values_and_streams_what_begins_with_nulls() -> None:
    url = lite(
        "CREATE TABLE t (at, id, x, note, late)",
        "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 24999) "
        "INSERT INTO t SELECT '2024-02-01 00:00:00', i, CASE WHEN i = 24997 THEN 0.1 WHEN i = 24998 THEN 7 "
        "WHEN i = 24999 THEN 'seven' END, 'n', i % 2 FROM n",
    )
    reader = SQL(url=url, query="SELECT * FROM t ORDER BY id").batches(ALL)
    assert {str(field.type) for field in reader.schema} == {"string"}
    sizes, last = [], None
    for batch in reader:
        sizes.append(batch.num_rows)
        last = batch
    assert sizes == [0, 20_000, 5_000]
    assert last is not None
    assert last.schema.names == ["at", "id", "x", "late"]
    assert last.column("x").to_pylist()[-4:] == [None, "0.1", "7", "seven"]


@pytest.mark.parametrize(
    ("zone", "expected"),
    [(None, ["b", "c"]), ("America/New_York", ["c", "d"])],
)
def test_sql_binds_the_window_in_the_zone_of_the_timestamp(zone: str | None, expected: list[str]) -> None:
    url = lite(
        "CREATE TABLE t (at TEXT, id TEXT)",
        "INSERT INTO t VALUES ('2024-01-31 18:59:59', 'a'), ('2024-02-01 00:00:00', 'b'), "
        "('2024-02-01 12:00:00', 'c'), ('2024-02-29 23:00:00', 'x')",
    )
    columns = COLUMNS | {"at": Column(type="datetime", role=("timestamp",), timezone=zone)}
    request = Request(columns, "at", datetime(2024, 2, 1), datetime(2024, 2, 1, 17, 30))
    if zone:
        lite(
            "UPDATE t SET at = '2024-01-31 19:00:00' WHERE id = 'c'",
            "UPDATE t SET at = '2024-02-01 12:29:59', id = 'd' WHERE id = 'x'",
        )
        lite("DELETE FROM t WHERE id = 'b'")
    query = "SELECT at, id FROM t WHERE at >= :since AND at < :until ORDER BY id"
    assert [row["id"] for row in rows(SQL(url=url, query=query), request)] == expected


def test_sql_binds_an_open_window() -> None:
    url = lite(
        "CREATE TABLE t (at TEXT, id TEXT)", "INSERT INTO t VALUES ('1800-01-31 18:59:59', 'a'), ('2999-02-01', 'b')"
    )
    assert len(rows(SQL(url=url, query="SELECT at, id FROM t WHERE at >= :since AND at < :until"))) == 2


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", 'sqlite:///x.db: the query fails (near "SELEC": syntax error); mend `source.query`'),
        ("SELECT * FROM missing", "sqlite:///x.db: the query fails (no such table: missing); mend `source.query`"),
        (
            "SELECT id FROM t WHERE id = :who",
            r"source.query: :who is unknown, only :since and :until are bound; write \:who",
        ),
        ("SELECT id, id FROM t", "source.query: gives column 'id' twice; rename one with AS"),
        ("DELETE FROM t", "source.query: gives no table; write a SELECT"),
    ],
)
def test_a_query_that_fails(query: str, message: str) -> None:
    url = lite("CREATE TABLE t (id)", "INSERT INTO t VALUES (1)")
    assert refusal(SQL(url=url, query=query)).startswith(message)
    assert len(rows(SQL(url=url, query="SELECT id FROM t"))) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite:///none.db", "none.db: no such database; put the file there or mend `source.url`"),
        ("sqlite://", ":memory:: no such database"),
        ("s3cret", "source.url: holds no database URL; it has the form dialect+driver://user:password@host/name"),
        ("nosuch://ann:s3cret@host/x", "nosuch://ann:***@host/x: no driver for 'nosuch'; mend the URL, or install"),
        ("mysql+pymysql://ann:s3cret@host/x", "mysql+pymysql://ann:***@host/x: its driver 'pymysql' is not installed;"),
        (
            "postgresql+psycopg://ann:s3cret@127.0.0.1:1/x",
            "postgresql+psycopg://ann:***@127.0.0.1:1/x: cannot be reached",
        ),
    ],
)
def test_a_database_that_is_not_there(url: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    said = refusal(SQL(url=url, query="SELECT 1 AS x"))
    assert said.startswith(message)
    assert "s3cret" not in said
    monkeypatch.setenv("DATABASE_URL", url)
    assert "s3cret" not in refusal(SQL(url_env="DATABASE_URL", query="SELECT 1 AS x"))
    assert not Path("none.db").exists()


def test_the_url_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    source = SQL(url_env="DATABASE_URL", query="SELECT 1 AS x")
    assert refusal(source).startswith(
        "source.url_env: the environment variable DATABASE_URL is not set; set it to dialect"
    )
    monkeypatch.setenv("DATABASE_URL", lite())
    assert rows(source) == [{"x": "1"}]
    assert source.describe() == {"kind": "SQL", "url_env": "DATABASE_URL", "query": "SELECT 1 AS x"}
    shown = SQL(url="mysql://ann:s3/cr@et@host/x?password=pw", query="SELECT 1").describe()["url"]
    assert shown == "mysql://ann:***@host/x?password=***"


def test_postgresql(server: str) -> None:
    engine = sqlalchemy.create_engine(server, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(
            sqlalchemy.text(
                "CREATE TABLE t AS SELECT i AS id, timestamptz '2024-01-31 22:00:00+00' + i * interval '1 hour' AS at, "
                "timestamp '2024-01-31 22:00:00' + i * interval '1 hour' AS naive, 0.10::numeric AS n, "
                "0.1::float8 AS f, 'NaN'::float8 AS nan, i % 2 = 0 AS late, date '2024-02-01' AS d, "
                "NULL::int AS nothing, "
                "'{\"b\": 1, \"a\": [1]}'::jsonb AS j, ARRAY[1, 2] AS l, '\\x00ff'::bytea AS raw "
                "FROM generate_series(0, 5) i"
            )
        )
    for column in ("at", "naive"):
        columns = {column: Column(type="datetime", role=("timestamp",))}
        request = Request(columns, column, datetime(2024, 2, 1), datetime(2024, 2, 1, 2))
        source = SQL(url=server, query=f"SELECT * FROM t WHERE {column} >= :since AND {column} < :until ORDER BY id")
        found = rows(source, request)
        assert [row["id"] for row in found] == ["2", "3"]  # though the server's own zone is Asia/Tokyo
    assert found[0] == {
        "id": "2",
        "at": "2024-02-01 00:00:00+00:00",
        "naive": "2024-02-01 00:00:00",
        "n": "0.10",
        "f": "0.1",
        "nan": "nan",
        "late": "true",
        "d": "2024-02-01",
        "nothing": None,
        "j": '{"a": [1], "b": 1}',
        "l": "[1, 2]",
        "raw": "00ff",
    }
    assert "s3cret" not in str(source.describe())


def test_postgresql_streams(server: str) -> None:
    query = "SELECT i AS id, CASE WHEN i > 45000 THEN i END AS x FROM generate_series(1, 50000) i ORDER BY i"
    assert [batch.num_rows for batch in SQL(url=server, query=query).batches(ALL)] == [0, 20_000, 20_000, 10_000]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("SELEC 1", 'the query fails (syntax error at or near "SELEC"); mend `source.query`'),
        ("SELECT * FROM missing", 'the query fails (relation "missing" does not exist); mend `source.query`'),
        (
            "SELECT ('Ann' || i)::int AS x FROM generate_series(1, 2) i",
            "the query fails (invalid input syntax for type integer);",
        ),
        ("SELECT 1 / (30000 - i) AS x FROM generate_series(1, 50000) i", "the query fails (division by zero);"),
    ],
)
def test_postgresql_query_that_fails(server: str, query: str, message: str) -> None:
    said = refusal(SQL(url=server, query=query))
    assert message in said
    assert "Ann" not in said
    assert "p@ss" not in said
    assert "p%40ss" not in said


def test_postgresql_with_a_wrong_password(server: str) -> None:
    said = refusal(SQL(url=server.replace("s3cret%2Fp%40ss", "wr0ng"), query="SELECT 1 AS x"))
    assert "cannot be reached (" in said
    assert "wr0ng" not in said


# All


@pytest.mark.parametrize(
    "source",
    [
        CSV(path="a.csv"),
        Parquet(path="a.parquet"),
        SQL(url="sqlite:///x.db", query="SELECT 1"),
        GoogleSheet(sheet="x"),
    ],
)
def test_every_kind_keeps_the_protocol(source: Any) -> None:
    assert isinstance(source, Source)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:pw@host/x failed", "postgresql://ann:***@host/x failed"),
        ("at https://t0ken@host/a.csv, so", "at https://***@host/a.csv, so"),
        ("https://host/a?X-Amz-Signature=abc&X-Amz-Date=1", "https://host/a?X-Amz-Signature=***&X-Amz-Date=1"),
        ("https://host/a?sv=1&sig=a%2Fb'", "https://host/a?sv=1&sig=***'"),
        ("https://host/a?access_token=abc#gid=1", "https://host/a?access_token=***#gid=1"),
        ("s3://bucket/year=2024/a.csv", "s3://bucket/year=2024/a.csv"),
        ("https://host/a?format=csv&gid=1", "https://host/a?format=csv&gid=1"),
    ],
)
def test_secrets_in_urls_are_not_shown(text: str, shown: str) -> None:
    assert redact(text) == shown
