"""The prediction log comes back as it was written, from files and from a database alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from journals import START, log, prediction, put, truth
from servers import Cluster, cluster

from gitloop.contract import Contract
from gitloop.errors import InputError
from gitloop.serving import database, history
from gitloop.serving.journal import LONGEST, Journal
from gitloop.serving.shipper import Shipper
from gitloop.settings import Log

NAIVE = START.replace(tzinfo=None)
HOUR = timedelta(hours=1)
COLUMNS: dict[str, Any] = {
    "at": {"type": "datetime", "role": ["timestamp", "key"], "timezone": "Asia/Tokyo"},
    "age": {"type": "numeric", "nullable": True},
    "member": {"type": "boolean", "nullable": True},
    "town": {"type": "categorical", "case": "upper", "role": ["feature", "sensitive"], "nullable": True},
    'it\'s "a", b/ü': {"type": "text", "nullable": True},
    "diagnosis": {"type": "text", "logged": False},
    "mail": {"type": "text", "role": "pii"},
    "note": {"type": "text", "role": "ignored"},
}
TARGETS: dict[str, Any] = {
    "binary": {"type": "boolean", "role": "target"},
    "multiclass": {"type": "categorical", "role": "target"},
    "regression": {"type": "numeric", "role": "target"},
}
LOGGED = ["at", "age", "member", "town", 'it\'s "a", b/ü']
Kept = Callable[[], Log]


def contract(task: str = "binary", **changes: Any) -> Contract:
    return Contract.model_validate({"task": task, "columns": {**COLUMNS, "won": TARGETS[task], **changes}})


@pytest.fixture(scope="module")
def server() -> Iterator[Cluster]:
    with cluster() as made:
        yield made


@pytest.fixture(params=["files", "sqlite", "postgresql"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Kept:
    """How what stands in tmp_path/log is read: there, or in the database to which it was sent."""

    def files() -> Log:
        return log(tmp_path / "log")

    def sent() -> Log:
        to = log(tmp_path / "log", url=f"sqlite:///{tmp_path / 'log.db'}")
        if request.param == "postgresql":
            to = log(tmp_path / "log", url=request.getfixturevalue("server").url)
        source = sqlalchemy.create_engine(str(to.url))
        database.TABLES.drop_all(source)
        source.dispose()
        shipper = Shipper(to, every=1000)
        shipper.close(30)
        assert shipper.health.error is None
        assert shipper.health.unsent_bytes == 0
        return to

    return files if request.param == "files" else sent


def read(kept: Log, task: str = "binary", since: datetime = NAIVE, until: datetime = NAIVE + HOUR) -> pa.Table:
    return history.read(kept, contract(task), since, until)


def ids(table: pa.Table) -> list[int]:
    return [int(one, 16) for one in table.column("_id").to_pylist()]


def test_a_window_comes_back_typed_ordered_and_with_its_truth(tmp_path: Path, kept: Kept) -> None:
    full = {"at": "2024-05-31T12:00:00.000001", "age": 0.1, "member": False, "town": "ÁVILA", LOGGED[4]: "null"}
    put(tmp_path / "log", "predictions", prediction(2), prediction(1, inputs=full), prediction(3, time=_time(2)))
    put(tmp_path / "log", "predictions", prediction(2), of="there-2")  # the same line again
    put(tmp_path / "log", "feedback", truth(1, False), truth(1, True, after=70), truth(1, False, after=65))
    put(tmp_path / "log", "feedback", truth(3, False), hour="2026-11-29T07")
    put(tmp_path / "log", "feedback", truth(77, True), hour="2026-11-29T07")  # of what nobody knows
    found = read(kept())
    assert found.schema == history.schema(contract())
    assert found.schema.names[8:] == LOGGED
    assert [found.schema.field(name).type for name in LOGGED] == [
        pa.timestamp("us"),
        pa.float64(),
        pa.bool_(),
        pa.string(),
        pa.string(),
    ]
    one, two, three = found.to_pylist()
    assert one == {
        "_id": f"{1:032x}",
        "_time": NAIVE + timedelta(seconds=1),
        "_version": "0123456789ab",
        "_prediction": False,
        "_probability": 0.25,
        "_probabilities": None,
        "_latency_ms": 0.5,
        "_truth": True,
        **full,
        "at": datetime(2024, 5, 31, 12, 0, 0, 1),  # the log is in UTC, whatever the column's time zone
    }
    assert (two["_id"], two["_truth"], two["age"], two["at"], two["member"]) == (f"{2:032x}", None, 2.0, None, None)
    assert (three["_id"], three["_truth"], three["_time"]) == (f"{3:032x}", False, two["_time"])


def _time(number: int) -> str:
    return (START + timedelta(seconds=number)).isoformat()


@pytest.mark.parametrize(
    ("task", "values", "expected"),
    [
        ("binary", {"prediction": True}, (True, None)),
        (
            "multiclass",
            {"prediction": "true", "probabilities": {"ü": 0.1, "true": 0.9}},
            ("true", {"ü": 0.1, "true": 0.9}),
        ),
        ("regression", {"prediction": 1e308}, (1e308, None)),
        ("regression", {"prediction": -5e-324}, (-5e-324, None)),
    ],
)
def test_predictions_and_truths_are_of_the_targets_type(
    tmp_path: Path, kept: Kept, task: str, values: dict[str, Any], expected: tuple[Any, Any]
) -> None:
    put(tmp_path / "log", "predictions", prediction(1, **values))
    put(tmp_path / "log", "feedback", truth(1, expected[0]))
    [row] = read(kept(), task).to_pylist()
    assert (row["_prediction"], row["_truth"]) == (expected[0], expected[0])
    assert (json.loads(row["_probabilities"]) if row["_probabilities"] else None) == expected[1]


def test_a_window_is_half_open_and_in_utc(tmp_path: Path, kept: Kept) -> None:
    hour = datetime(2026, 11, 21, 8)
    times = {1: -1, 2: 0, 3: 3_599_999_999, 4: 3_600_000_000}
    records = [
        prediction(number, time=(hour + timedelta(microseconds=after)).replace(tzinfo=UTC).isoformat())
        for number, after in times.items()
    ]
    # A line may be written after the hour of its prediction is over, or by a clock that is behind.
    put(tmp_path / "log", "predictions", records[0], records[1], hour="2026-11-21T07")
    put(tmp_path / "log", "predictions", records[2], records[3], hour="2026-11-21T09")
    to = kept()
    assert ids(read(to, since=hour, until=hour + HOUR)) == [2, 3]
    east = hour.replace(tzinfo=UTC).astimezone(timezone(timedelta(hours=9)))
    assert ids(read(to, since=east, until=east + HOUR)) == [2, 3]
    assert ids(read(to, since=hour - HOUR, until=hour)) == [1]


def test_what_must_not_be_logged_does_not_come_back(tmp_path: Path, kept: Kept) -> None:
    """Not even where another version of the contract let it in."""
    secret = {"diagnosis": "SECRET", "mail": "SECRET", "note": "SECRET", "unknown": "SECRET", "age": 3}
    put(tmp_path / "log", "predictions", prediction(1, inputs=secret))
    [row] = read(kept()).to_pylist()
    assert "SECRET" not in str(row)
    assert row["age"] == 3.0


def test_values_of_another_version_that_do_not_fit_are_missing(tmp_path: Path, kept: Kept) -> None:
    old = {"age": "old", "member": 7, "at": "today", "town": 3.5}
    put(tmp_path / "log", "predictions", prediction(1, inputs=old, prediction="perhaps", probability=None))
    [row] = read(kept()).to_pylist()
    names = ("age", "at", "town", "_prediction", "_probability")
    assert {name: row[name] for name in names} == dict.fromkeys(names) | {"town": "3.5"}


def test_an_empty_window_is_an_empty_table(tmp_path: Path, kept: Kept) -> None:
    expected = history.schema(contract())
    assert read(kept()).schema == expected  # there is no log at all
    put(tmp_path / "log", "predictions", prediction(1))
    put(tmp_path / "log", "predictions", hour="2026-11-21T08")
    found = read(kept(), since=NAIVE + HOUR, until=NAIVE + 2 * HOUR)
    assert (found.num_rows, found.schema) == (0, expected)


def test_a_database_without_tables_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.db").touch()
    assert read(log(tmp_path, url=f"sqlite:///{tmp_path / 'log.db'}")).num_rows == 0


def test_torn_lines_are_left_out_and_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = json.dumps(prediction(1)).encode()
    torn = [
        whole[:-20] + b"\n",
        b'{"id": "\xc3\n',  # half a character
        b"\0\0\0\0\n",  # as a crash of the machine may leave it
        b"[1]\n",
        whole + whole + b"\n",
        b'{"time": "2026-11-21T07:30:00+00:00", "version": "x"}\n',
    ]
    files = [torn[0] + whole + b"\n", *torn[1:], b"\n", prediction(2), whole[:50]]
    put(tmp_path / "log", "predictions", *files)
    put(tmp_path / "log", "feedback", b'{"id": "x", "ti\n', truth(2, True))
    found = read(log(tmp_path / "log"))
    assert ids(found) == [1, 2]
    assert found.column("_truth").to_pylist() == [None, True]
    assert "8 torn lines are left out" in capsys.readouterr().err
    assert read(log(tmp_path / "log"), since=NAIVE + 8 * HOUR, until=NAIVE + 9 * HOUR).num_rows == 0
    assert not capsys.readouterr().err  # the hours of the files are others


def test_the_longest_line_can_be_read(tmp_path: Path, kept: Kept) -> None:
    long = "x" * (LONGEST - 1000)
    put(tmp_path / "log", "predictions", prediction(1, inputs={"town": long}))
    assert read(kept()).column("town").to_pylist() == [long]


def test_a_log_without_inputs_can_be_read(tmp_path: Path, kept: Kept) -> None:
    put(tmp_path / "log", "predictions", prediction(1, inputs={}))
    columns = {"a": {"type": "numeric", "logged": False}, "won": TARGETS["binary"]}
    bare = Contract.model_validate({"task": "binary", "columns": columns})
    found = history.read(kept(), bare, NAIVE, NAIVE + HOUR)
    assert (found.num_rows, found.schema.names[-1]) == (1, "_truth")


def test_a_large_window_comes_in_parts(tmp_path: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitloop.data.table.CHUNK", 100)
    monkeypatch.setattr(database, "ROWS", 1000)
    put(tmp_path / "log", "predictions", *(prediction(number % 2500) for number in reversed(range(3000))))
    to = kept()
    with history.batches(to, contract(), NAIVE, NAIVE + HOUR) as reader:
        parts = list(reader)
    assert len(parts) > 1
    assert ids(pa.Table.from_batches(parts)) == list(range(2500))
    assert pa.Table.from_batches(parts).equals(read(to))


def test_a_column_that_is_named_like_one_of_the_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="data.columns._time: the prediction log has a column of that name; give it"):
        history.read(log(tmp_path), contract(_time={"type": "numeric"}), NAIVE, NAIVE + HOUR)


def test_a_database_that_is_not_there_is_refused(tmp_path: Path, server: Cluster) -> None:
    with pytest.raises(InputError, match=r"nothing.db: no such database; a service makes it, or mend conf/serving/"):
        read(log(tmp_path, url=f"sqlite:///{tmp_path / 'nothing.db'}"))
    assert not (tmp_path / "nothing.db").exists()
    (tmp_path / "other.db").write_text("this is no database, but text that is long enough to be read as one" * 20)
    with pytest.raises(InputError, match="the database cannot be read .*not a database.*; check that it runs"):
        read(log(tmp_path, url=f"sqlite:///{tmp_path / 'other.db'}"))
    with pytest.raises(InputError, match="the database cannot be read .*authentication failed") as told:
        read(log(tmp_path, url=server.url.replace("s3cret%2Fp%40ss", "wr%40ng-Secret")))
    assert "Secret" not in str(told.value)


texts = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1)
inputs = st.fixed_dictionaries(
    {},
    optional={
        "at": st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)).map(datetime.isoformat),
        "age": st.floats(allow_nan=False, allow_infinity=False),
        "member": st.booleans(),
        "town": texts,
        LOGGED[4]: texts,
    },
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(inputs, min_size=1, max_size=30))
def test_whatever_is_logged_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]], server: Cluster
) -> None:
    """From the journal to a table, by files and by databases."""
    folder = tmp_path_factory.mktemp("log")
    journal = Journal(log(folder / "log"))
    now = datetime.now(UTC)
    records = [prediction(index, inputs=row, time=now.isoformat()) for index, row in enumerate(rows)]
    assert journal.write("predictions", records) == len(rows)
    journal.close()
    expected = [
        {**dict.fromkeys(LOGGED), **row, **({"at": datetime.fromisoformat(row["at"])} if "at" in row else {})}
        for row in rows
    ]
    source = sqlalchemy.create_engine(server.url)
    database.TABLES.drop_all(source)
    source.dispose()
    for url in (None, f"sqlite:///{folder / 'log.db'}", server.url):
        to = log(folder / "log", url=url)
        if url:
            for file in (folder / "log").glob(".*.sent"):
                file.unlink()
            Shipper(to, every=1000).close(30)
        found = history.read(to, contract(), now - HOUR, now + HOUR).select(LOGGED).to_pylist()
        assert found == expected
