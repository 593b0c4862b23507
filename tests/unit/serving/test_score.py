"""Each row of a source has one prediction of each model version, wherever they go and however a run ended."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import customers
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlalchemy
import yaml
from servers import postgres

from gitloop import settings
from gitloop.cli import main
from gitloop.contract import Column
from gitloop.data import pseudonym, table
from gitloop.modeling import chosen
from gitloop.modeling.inputs import build
from gitloop.serving import batch, rows, runtime, score

Project = Callable[..., Path]
Rows = list[dict[str, Any]]
ROWS = 900
# Chunks of 50 rows, files of 100; at the point given the process is killed while it keeps them.
RUN = """
import os, signal, sys
from gitloop.data import table
from gitloop.serving import batch, destinations
point, nth = sys.argv[1], int(sys.argv[2])
table.chunk = lambda columns: 50
destinations.GROUPS = 2
left = [nth]
def maybe(*_):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
if point == "file":
    import pyarrow.parquet as pq
    write = pq.ParquetWriter.write_table
    def write_table(self, rows, *rest):
        write(self, rows, *rest)
        if "version" in rows.column_names:
            maybe()
    pq.ParquetWriter.write_table = write_table
if point in ("execute", "commit"):
    import sqlalchemy
    if point == "commit":
        sqlalchemy.event.listen(sqlalchemy.Engine, "commit", maybe)
    else:
        def after(connection, cursor, statement, *_):
            if statement.startswith("INSERT"):
                maybe()
        sqlalchemy.event.listen(sqlalchemy.Engine, "after_cursor_execute", after)
from gitloop.cli import main
sys.exit(main(["score"]))
"""


def configure(**scoring: Any) -> None:
    """conf/scoring of the working directory: a Parquet file is scored."""
    values = yaml.safe_load(Path("params.yaml").read_text())
    source = {"_target_": "gitloop.data.sources.Parquet", "path": "data/source/rows.parquet"}
    values["scoring"] = {"source": source, **scoring}
    Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def change(key: str, value: Any) -> None:
    """A key below `data` in params.yaml."""
    values = yaml.safe_load(Path("params.yaml").read_text())
    *path, last = key.split(".")
    tree = values["data"]
    for part in path:
        tree = tree.setdefault(part, {})
    tree[last] = value
    Path("params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


def put(given: pa.Table) -> None:
    Path("data/source").mkdir(parents=True, exist_ok=True)
    pq.write_table(given, "data/source/rows.parquet")


@pytest.fixture
def scoring(project: Project) -> Callable[..., pa.Table]:
    """The working directory is a packaged project whose customers, without the outcome, are to be scored."""

    def get(task: str = "binary", name: str = "linear", **conf: Any) -> pa.Table:
        project(task, name)
        configure(**conf)
        given = customers.table(task).drop_columns(["outcome"])
        put(given)
        return given

    return get


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with postgres() as url:
        yield url


@pytest.fixture(params=["folder", "sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """conf/scoring for each kind of destination, empty."""
    if request.param == "folder":
        return {"folder": "out/scores"}
    if request.param == "sqlite":
        return {"url": "sqlite:///scores.db"}
    url = request.getfixturevalue("server")
    engine = sqlalchemy.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE IF EXISTS scores"))
    engine.dispose()
    monkeypatch.setenv("SCORES", url)
    return {"url_env": "SCORES"}


def kept(place: dict[str, Any]) -> Rows:
    """What a destination holds, in one form."""
    if "folder" in place:
        found = duckdb.sql(f"FROM read_parquet('{place['folder']}/**/*.parquet')").to_arrow_table().to_pylist()
    else:
        engine = sqlalchemy.create_engine(place.get("url") or os.environ[place["url_env"]])
        described = sqlalchemy.Table("scores", sqlalchemy.MetaData(), autoload_with=engine)
        with engine.connect() as connection:
            found = [dict(row) for row in connection.execute(described.select()).mappings()]
        engine.dispose()
    return sorted(found, key=lambda row: (row["version"], row["id"]))


def told(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    """The table at the end, without the speed."""
    lines = capsys.readouterr().out.splitlines()
    names, values = ([cell.strip() for cell in lines[index][1:-1].split(bar)] for index, bar in ((-4, "┃"), (-2, "│")))
    return {name: int(value.replace(",", "")) for name, value in zip(names[:-1], values[:-1], strict=True)}


def files() -> dict[str, str]:
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path("out").rglob("*.parquet"))}


def expected(given: pa.Table) -> Any:
    """What the pipeline says of the rows."""
    loaded = settings.load()
    columns = table.arrays(given, loaded.data.columns, loaded.data.features)
    return chosen.score(chosen.model(loaded), build(columns, loaded.data, None)).scores


@pytest.mark.parametrize(
    ("task", "name"), [("binary", "linear"), ("binary", "boosting"), ("multiclass", "forest"), ("regression", "linear")]
)
def test_each_row_has_the_pipelines_prediction(
    task: str, name: str, scoring: Callable[..., pa.Table], place: dict[str, Any]
) -> None:
    given = scoring(task, name, **place)
    assert main(["score"]) == 0
    found, scores, version = kept(place), expected(given), runtime.load().version
    assert [row["id"] for row in found] == given["id"].to_pylist()
    assert [row["seen"] for row in found] == given["seen"].to_pylist()
    assert {row["version"] for row in found} == {version}
    if task == "binary":
        assert list(found[0]) == ["id", "seen", "prediction", "probability", "version"]
        assert [row["probability"] for row in found] == pytest.approx(scores.tolist(), abs=1e-5)
        assert all((row["prediction"] == "leaves") == (row["probability"] >= 0.4) for row in found)
    elif task == "multiclass":
        labels = ["high", "low", "middle"]
        assert list(found[0]) == ["id", "seen", "prediction", *(f"probability_{one}" for one in labels), "version"]
        told = [[row[f"probability_{one}"] for one in labels] for row in found]
        assert np.abs(np.array(told) - scores).max() <= 1e-5
        assert [row["prediction"] for row in found] == [labels[index] for index in np.argmax(told, axis=1)]
    else:
        assert list(found[0]) == ["id", "seen", "prediction", "version"]
        assert [row["prediction"] for row in found] == pytest.approx(scores.tolist(), rel=1e-5, abs=1e-3)


def test_only_what_is_new_is_scored(
    scoring: Callable[..., pa.Table], place: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    scoring(**place)
    assert main(["score", "--since", "2024-01-02", "--until", "2024-01-10"]) == 0
    first = kept(place)
    assert len(first) == 8 * 24
    before = files()
    assert main(["score", "--since", "2024-01-02", "--until", "2024-01-10"]) == 0
    assert (kept(place), files()) == (first, before)
    capsys.readouterr()
    assert main(["score"]) == 0
    assert told(capsys) == {"rows": 900, "scored": 708, "there already": 192, "repeats": 0, "set aside": 0}
    every = kept(place)
    assert [row["id"] for row in every] == list(range(ROWS))
    assert [row for row in every if row in first] == first
    assert files().items() >= before.items()
    assert main(["score"]) == 0
    assert kept(place) == every
    assert told(capsys) == {"rows": 900, "scored": 0, "there already": 900, "repeats": 0, "set aside": 0}


def test_versions_stand_side_by_side(scoring: Callable[..., pa.Table], place: dict[str, Any]) -> None:
    scoring(**place)
    assert main(["score"]) == 0
    Path("origin.json").write_text(json.dumps({"version": "v1.2.0/new"}))
    assert main(["score", "--until", "2024-01-02"]) == 0
    assert main(["score", "--until", "2024-01-02"]) == 0
    found = kept(place)
    assert len(found) == ROWS + 24
    assert sum(row["version"] == "v1.2.0/new" for row in found) == 24
    if "folder" in place:
        assert {path.name for path in Path("out/scores").iterdir()} == {runtime_version(found), "v1.2.0%2Fnew"}


def runtime_version(found: Rows) -> str:
    return next(str(row["version"]) for row in found if row["version"] != "v1.2.0/new")


def start(point: str = "", nth: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, point, str(nth)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("place", "point", "nth"),
    [
        ("folder", "file", 1),
        ("folder", "file", 2),
        ("folder", "file", 7),
        ("folder", "file", 18),
        ("sqlite", "execute", 3),
        ("sqlite", "commit", 4),
        ("postgresql", "execute", 3),
        ("postgresql", "commit", 4),
    ],
    indirect=["place"],
)
def test_a_killed_run_is_finished_by_the_same_command(
    place: dict[str, Any], point: str, nth: int, scoring: Callable[..., pa.Table]
) -> None:
    scoring(**place)
    killed = start(point, nth)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    before = files()
    assert len(before) == ((nth - 1) // 2 if point == "file" else 0)
    again = start()
    assert again.returncode == 0, again.stderr
    found = kept(place)
    assert [row["id"] for row in found] == list(range(ROWS))
    if "folder" not in place:
        return
    assert files().items() >= before.items()
    finished = files()
    assert len(finished) == 9
    assert not list(Path("out").rglob("*.tmp"))
    for path in finished:
        Path(path).unlink()
    assert start().returncode == 0
    assert files() == finished  # byte for byte as without a disturbance


def messy(given: pa.Table) -> pa.Table:
    """Random damage, as text where it comes from files."""
    drawn = random.Random(3)
    damage: dict[str, list[Any]] = {
        "id": ["", "x", "1e300", "17", "inf"],
        "seen": ["", "yesterday", "2024-02-30T00:00:00Z", "2024-03-01T10:00:00+02:00"],
        "age": ["121", "-1", "0", "120", "nan", "", "old", "1e999", " 7 "],
        "income": ["-0.01", "", "1e308", "inf"],
        "balance": ["-inf", "", "1e308", "3_000"],
        "member": ["yes", "N", "maybe", "", "1.0"],
        "colour": ["RED", " red ", "pink", "", "red"],
        "town": ["  town 3 ", "", "ça", "3.0"],
    }
    columns = {}
    for name in given.column_names:
        values = given[name].cast(pa.string()).to_pylist()
        if name == "seen":
            values = [f"{value}Z" for value in values]
        if name in damage:
            values = [drawn.choice(damage[name]) if drawn.random() < 0.04 else value for value in values]
        columns[name] = pa.array(values, pa.string())
    return pa.table(columns)


def test_rows_are_judged_as_validate_does(scoring: Callable[..., pa.Table], capsys: pytest.CaptureFixture[str]) -> None:
    """The same rows go on, in the same values, and the others are set aside with the same reasons."""
    given = scoring()
    broken = messy(given).append_column("phone", pa.array([f"555-{index}" for index in range(ROWS)]))
    change("rules", {"min_rows": 1, "max_invalid": 1, "max_missing": 1})
    put(broken)
    pq.write_table(broken.append_column("outcome", customers.table("binary")["outcome"]), "data/raw.parquet")
    assert main(["validate"]) == 0
    assert main(["score"]) == 0
    validated = pq.read_table("data/valid.parquet")
    scored = duckdb.sql("SELECT * FROM read_parquet('scores/**/*.parquet') ORDER BY id").to_arrow_table()
    by_id = validated.sort_by("id")
    assert 300 < scored.num_rows < 800
    assert scored["id"].to_pylist() == by_id["id"].to_pylist()
    assert scored["seen"].to_pylist() == by_id["seen"].to_pylist()
    assert scored["probability"].to_pylist() == pytest.approx(expected(by_id).tolist(), abs=1e-5)
    quarantine = pq.read_table("data/quarantine.parquet").drop_columns(["outcome"])
    assert pq.read_table("reports/unscored.parquet").to_pylist() == quarantine.to_pylist()
    assert "phone" not in quarantine.column_names
    assert f"{quarantine.num_rows}" in capsys.readouterr().out


def test_a_hashed_key_names_a_row_that_only_its_owner_knows(
    scoring: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same hash as at ingest, so that predictions can be joined; run again, the row is known by it."""
    given = scoring(folder="out")
    monkeypatch.setenv("GITLOOP_PII_KEY", "sixteen bytes or more")
    hashed = {"type": "categorical", "role": ["pii", "key"], "pii": "hash"}
    change("columns.id", hashed)
    assert main(["score"]) == 0
    batch = pa.RecordBatch.from_pydict({"id": given["id"].to_pylist()})
    wanted = pseudonym.hashes(batch, {"id": Column.model_validate(hashed)}, b"sixteen bytes or more").column(0)
    assert {row["id"] for row in kept({"folder": "out"})} == set(wanted.to_pylist())
    capsys.readouterr()
    assert main(["score"]) == 0
    assert told(capsys) == {"rows": ROWS, "scored": 0, "there already": ROWS, "repeats": 0, "set aside": 0}


def test_too_much_set_aside_is_an_error_after_the_rest_is_scored(
    scoring: Callable[..., pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    given = scoring(folder="out")
    ages = given["age"].to_pylist()
    put(given.set_column(given.column_names.index("age"), "age", pa.array([200.0] * 10 + ages[10:])))
    assert main(["score"]) == 1
    assert capsys.readouterr().err == (
        "gitloop score: conf/scoring/: source: 10 of 900 (1.11%) rows are set aside, rules.max_invalid is 1.00%; "
        "see reports/unscored.parquet for the reasons (the others are scored)\n"
    )
    assert [row["id"] for row in kept({"folder": "out"})] == list(range(10, ROWS))
    aside = pq.read_table("reports/unscored.parquet").to_pylist()
    assert [(row["_row"], row["_reason"], row["age"]) for row in aside] == [
        (index + 1, "age: above 120", "200.0") for index in range(10)
    ]
    assert "phone" not in aside[0]


@pytest.mark.parametrize("at_once", [1_000_000, 100])
def test_of_rows_with_one_key_one_is_scored_whatever_the_order(
    at_once: int, scoring: Callable[..., pa.Table], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(batch, "AT_ONCE", at_once)
    monkeypatch.setattr(batch, "PIECE", at_once)
    given = scoring(folder="out")
    change("rules.max_invalid", 1)
    same = given.slice(0, 20)
    other = given.slice(20, 20)
    other = other.set_column(other.column_names.index("age"), "age", pa.array([0.0] * 20))
    every = pa.concat_tables([given, same, other, same])
    results = []
    for seed in (1, 2):
        order = np.random.default_rng(seed).permutation(every.num_rows)
        put(every.take(pa.array(order)))
        assert main(["score"]) == 0
        results.append(kept({"folder": "out"}))
        reasons = pq.read_table("reports/unscored.parquet")["_reason"].to_pylist()
        assert reasons == ["duplicate key"] * 20
        assert told(capsys) == {"rows": 960, "scored": 900, "there already": 0, "repeats": 40, "set aside": 20}
        for path in files():
            Path(path).unlink()
    assert results[0] == results[1]
    assert [row["id"] for row in results[0]] == list(range(ROWS))
    assert [row["probability"] for row in results[0]][20:40] == pytest.approx(expected(other).tolist(), abs=1e-5)


def test_other_unique_columns_are_kept_unique(scoring: Callable[..., pa.Table]) -> None:
    given = scoring(folder="out")
    change("columns.balance.unique", True)
    change("rules.max_invalid", 1)
    balances = [7.0, 7.0, *range(100, 100 + ROWS - 2)]
    put(given.set_column(given.column_names.index("balance"), "balance", pa.array(balances, pa.float64())))
    assert main(["score"]) == 0
    assert [row["id"] for row in kept({"folder": "out"})] == [0, *range(2, ROWS)]
    assert pq.read_table("reports/unscored.parquet")["_reason"].to_pylist() == ["balance: not unique"]


def test_rows_beyond_the_model_are_set_aside(project: Project) -> None:
    project("binary", "linear")
    data, served = settings.load().data, runtime.load()
    schema = score.outputs(data, served)
    given = customers.table("binary").slice(0, 5).append_column(rows.ROW, pa.array(range(5)))
    strange = dataclasses.replace(served, predict=lambda _: np.array([0.1, np.nan, 0.5, np.inf, 0.9]))
    done, wrong = batch.predictions(given, strange, data.columns, schema)
    assert (done["id"].to_pylist(), wrong.tolist()) == ([0, 2, 4], [1, 3])
    assert done["prediction"].to_pylist() == ["stays", "leaves", "leaves"]


def without(name: str) -> Callable[[pa.Table], None]:
    return lambda given: put(given.drop_columns([name]))


def column(key: str, value: Any) -> Callable[[pa.Table], None]:
    return lambda _: change(key, value)


def conf(**scoring: Any) -> Callable[[pa.Table], None]:
    return lambda _: configure(**scoring)


def foreign_table(_: pa.Table) -> None:
    configure(url="sqlite:///scores.db")
    with sqlalchemy.create_engine("sqlite:///scores.db").begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE scores (id INTEGER, colour TEXT)"))


def table_without_key(_: pa.Table) -> None:
    configure(url="sqlite:///scores.db")
    with sqlalchemy.create_engine("sqlite:///scores.db").begin() as connection:
        columns = "id DOUBLE, seen DATETIME, prediction TEXT, probability DOUBLE, version TEXT, PRIMARY KEY (id)"
        connection.execute(sqlalchemy.text(f"CREATE TABLE scores ({columns})"))


def foreign_file(_: pa.Table) -> None:
    configure(folder="out")
    folder = Path("out") / runtime.load().version
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"id": [1.0]}), folder / "part-000001.parquet")


def mixed(given: pa.Table) -> None:
    times = [f"2024-01-01T10:00:00{'Z' if index else ''}" for index in range(ROWS)]
    put(given.set_column(given.column_names.index("seen"), "seen", pa.array(times)))


def untouched(_: pa.Table) -> None:
    pass


@pytest.mark.parametrize(
    ("prepare", "arguments", "code", "message"),
    [
        (without("age"), [], 2, "conf/scoring/: source: age: the column is missing; use one of id, seen"),
        (without("seen"), [], 2, "conf/scoring/: source: seen: the column is missing"),
        (without("id"), [], 2, "conf/scoring/: source: id: the column is missing"),
        (
            column("columns.id.role", "sensitive"),
            [],
            2,
            "conf/data/customers.yaml: columns: no column has `role: key`, so a prediction could not be told from "
            "another; declare one",
        ),
        (column("columns.id.nullable", True), [], 2, "columns.id: a key that may be missing names no row; remove"),
        (column("columns.phone.role", ["pii", "key"]), [], 2, "a key that is dropped tells no rows apart"),
        (
            column("columns.id", {"type": "categorical", "role": ["pii", "key"], "pii": "hash"}),
            [],
            2,
            "conf/data/customers.yaml: columns.id: `pii: hash` needs the environment variable GITLOOP_PII_KEY; set it",
        ),
        (
            column("rules.extra_columns", "refuse"),
            [],
            2,
            "conf/scoring/: source: remark: not in the contract, and rules.extra_columns refuses that; declare it in "
            "conf/data/customers.yaml, or set `extra_columns: drop`",
        ),
        (
            mixed,
            [],
            1,
            "conf/scoring/: source: seen: mixed time zones, times with an offset and times without; say in "
            "conf/data/customers.yaml where those without were read off, such as `timezone: UTC`",
        ),
        (lambda _: Path("model/manifest.json").unlink(), [], 2, "model/manifest.json: not there; run `dvc pull model`"),
        (
            conf(source={"_target_": "gitloop.data.sources.Parquet", "path": "none.parquet"}),
            [],
            2,
            "none.parquet: no such file",
        ),
        (conf(source={"_target_": "no.where"}), [], 2, "conf/scoring/: source._target_: there is no 'no.where'"),
        (conf(source={"path": "x"}), [], 2, "conf/scoring/: scoring.source: needs `_target_: package.module.Name`"),
        (conf(url="sqlite:///x", url_env="X"), [], 2, "conf/scoring/: scoring: give `url` or `url_env`, not both"),
        (conf(url_env="NOT_SET"), [], 2, "conf/scoring/: url_env: the environment variable NOT_SET is not set"),
        (
            conf(url="postgresql+psycopg://me:s3cret@127.0.0.1:1/none"),
            [],
            2,
            "conf/scoring/: postgresql+psycopg://me:***@127.0.0.1:1/none: OperationalError: ",
        ),
        (conf(url="mysql://me@127.0.0.1/none"), [], 2, "conf/scoring/: url: mysql is not supported"),
        (
            foreign_table,
            [],
            2,
            "sqlite:///scores.db, table scores: has other columns than this model's predictions (colour); name another "
            "`table` in conf/scoring/, or drop this one",
        ),
        (
            table_without_key,
            [],
            2,
            "sqlite:///scores.db, table scores: its primary key is not version, id; name another `table`",
        ),
        (foreign_file, [], 2, "part-000001.parquet: has other columns than this model's predictions; name another"),
        (conf(folder="params.yaml"), [], 2, "params.yaml: cannot be written (Not a directory); name another `folder`"),
        (untouched, ["--since", "lately"], 2, "--since: is not a date or time; write 2013-04-01 or 2013-04-01T12:00"),
        (
            untouched,
            ["--since", "2024-01-02", "--until", "2024-01-02"],
            2,
            "--since: is not before --until; move one of them",
        ),
        (
            column("columns.seen.role", "key"),
            ["--until", "2024-01-02"],
            2,
            "--since: the contract has no column with `role: timestamp`; leave out --since and --until",
        ),
    ],
)
def test_what_is_wrong_is_one_line(
    prepare: Callable[[pa.Table], None],
    arguments: list[str],
    code: int,
    message: str,
    scoring: Callable[..., pa.Table],
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(scoring())
    assert main(["score", *arguments]) == code
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert "s3cret" not in error


def test_a_key_may_not_have_the_name_of_a_prediction(
    scoring: Callable[..., pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    given = scoring()
    change("columns.Version", {"type": "text", "role": "key"})
    put(given.append_column("Version", pa.array(["1"] * ROWS)))
    assert main(["score"]) == 2
    assert (
        "data.columns.version: predictions have a column of that name; give the key another" in capsys.readouterr().err
    )


def test_two_runs_do_not_write_at_once(scoring: Callable[..., pa.Table], capsys: pytest.CaptureFixture[str]) -> None:
    scoring(folder="out")
    folder = Path("out") / runtime.load().version
    folder.mkdir(parents=True)
    lock = os.open(folder, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert main(["score"]) == 2
    assert f"{folder}: another `gitloop score` writes there; wait until it is done" in capsys.readouterr().err
    os.close(lock)
    assert main(["score"]) == 0


def test_the_source_of_the_data_configuration_is_the_default(scoring: Callable[..., pa.Table]) -> None:
    """With several keys, text and times among them, in names that need quotes."""
    given = scoring()
    configure(source=None, url="sqlite:///scores.db")
    change("source", {"_target_": "gitloop.data.sources.Parquet", "path": "data/source/rows.parquet"})
    change("columns.seen.role", ["timestamp", "key"])
    change('columns.the "%(shop):', {"type": "text", "role": "key"})
    put(given.append_column('the "%(shop):', pa.array([f"shop '{index % 3}" for index in range(ROWS)])))
    for _ in range(2):
        assert main(["score"]) == 0
        found = kept({"url": "sqlite:///scores.db"})
        assert [row["id"] for row in found] == list(range(ROWS))
        assert found[0]["seen"] == given["seen"][0].as_py()
        assert found[1]['the "%(shop):'] == "shop '1"
