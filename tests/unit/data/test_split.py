"""`gitloop split`: who is trained on and who is tested on."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gitloop import layout
from gitloop.cli import main
from gitloop.data import split as split_module
from gitloop.data import table
from gitloop.data.slices import SEPARATOR, TEST, hashed, mark
from gitloop.settings import Data

Columns = dict[str, dict[str, Any]]
Values = dict[str, list[Any]]
Make = Callable[..., Path]

START = datetime(2013, 1, 1)
SHARES = st.floats(0.05, 0.95)


def valid(columns: Columns, rows: dict[str, Any]) -> pa.Table:
    """The table that `validate` would write: canonical types, of personal data hashes."""
    return pa.table(
        {
            name: pa.array(rows[name], pa.int64() if isinstance(rows[name], range) else None).cast(
                table.ARROW[column["type"]]
            )
            for name, column in columns.items()
            if ("pii" not in column.get("role", "") or column.get("pii") == "hash") and name in rows
        }
    )


def data(columns: Columns, task: str = "multiclass", **split: Any) -> Data:
    metric = {"multiclass": "accuracy", "regression": "r2"}[task]
    return Data.model_validate(
        {"name": "x", "task": task, "metric": metric, "source": {"_target_": "x"}, "columns": columns, "split": split}
    )


def marked(declared: Data, rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows, each with whether it goes to test, in the order in which they are written."""
    columns = {name: declared.columns[name].model_dump() for name in rows}
    found = valid(columns, rows)
    with table.connect() as connection:
        connection.register("given", found.append_column("file_row_number", pa.array(range(len(found)))))
        connection.execute("CREATE VIEW valid AS FROM given")
        plan = mark(connection, declared, len(found), 3)
        ordered: list[dict[str, Any]] = []
        for stretch in plan.ranges:
            query = f"SELECT *, {TEST} AS test FROM marked WHERE {stretch} ORDER BY {', '.join(plan.order)}"
            ordered += connection.sql(query).to_arrow_table().to_pylist()
    assert sorted(row["file_row_number"] for row in ordered) == list(range(len(found)))  # a partition
    return ordered


TIMED: Columns = {
    "t": {"type": "datetime", "role": ["timestamp", "key"]},
    "x": {"type": "numeric", "role": ["key", "feature"]},
    "y": {"type": "categorical", "role": "target"},
}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 30), min_size=2, max_size=60), SHARES)
def test_by_time(hours: list[int], share: float) -> None:
    times = [START + timedelta(hours=hour, microseconds=1) for hour in hours]
    rows = marked(data(TIMED, test=share), {"t": times, "x": range(len(times)), "y": ["a"] * len(times)})
    train, test = ([row for row in rows if row["test"] is side] for side in (False, True))
    assert test  # never empty; the check of the sizes says when train is
    assert not train or max(row["t"] for row in train) < min(row["t"] for row in test)  # no time on both sides
    wanted = max(round(len(rows) * share), 1)
    assert len(test) >= wanted  # the time that straddles goes to test whole
    assert sum(row["t"] > test[0]["t"] for row in test) < wanted
    assert [(row["t"], row["x"]) for row in rows] == sorted((row["t"], row["x"]) for row in rows)


KEYED: Columns = {
    "id": {"type": "numeric", "role": "key"},
    "code": {"type": "text", "role": "key", "nullable": True},
    "x": {"type": "numeric"},
    "y": {"type": "categorical", "role": "target"},
}


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from("aaaabbc"), min_size=2, max_size=80), SHARES, st.integers(0, 9), st.randoms())
def test_by_class(labels: list[str], share: float, seed: int, random: Any) -> None:
    declared = data(KEYED, test=share, seed=seed)
    numbers = list(range(len(labels)))

    def tested(order: list[int]) -> dict[int, bool]:
        rows = {"id": order, "code": [f"c{one}" if one % 3 else None for one in order], "x": order}
        found = marked(declared, {**rows, "y": [labels[one] for one in order]})
        return {int(row["id"]): row["test"] for row in found}

    found = tested(numbers)
    assert abs(sum(found.values()) - share * len(labels)) <= 0.5 + 1e-9
    for label, count in Counter(labels).items():
        chosen = sum(found[one] for one in numbers if labels[one] == label)
        assert abs(chosen - share * count) < 1.5
    shuffled = random.sample(numbers, len(numbers))
    again = tested(shuffled)
    assert again == found
    assert list(again) == list(found)  # written in the same order, too


@settings(deadline=None, max_examples=20)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=80), SHARES)
def test_by_tenths_of_a_numeric_target(target: list[float], share: float) -> None:
    columns: Columns = {"x": {"type": "numeric"}, "y": {"type": "numeric", "role": "target"}}
    rows = marked(data(columns, "regression", test=share), {"x": range(len(target)), "y": target})
    assert abs(sum(row["test"] for row in rows) - share * len(target)) <= 0.5 + 1e-9


def test_tenths_give_their_shares() -> None:
    columns: Columns = {"x": {"type": "numeric"}, "y": {"type": "numeric", "role": "target"}}
    target = [float(number**3) for number in range(1000)]
    rows = marked(data(columns, "regression", test=0.3), {"x": target, "y": target})
    for tenth in range(10):
        assert sum(row["test"] and row["y"] in target[100 * tenth : 100 * (tenth + 1)] for row in rows) == 30


@settings(deadline=None, max_examples=30)
@given(st.lists(st.sampled_from(["p", "q", "r", "s", None]), min_size=2, max_size=60), SHARES)
def test_whole_groups(groups: list[str | None], share: float) -> None:
    columns: Columns = {
        "g": {"type": "categorical", "nullable": True},
        "y": {"type": "categorical", "role": "target"},
    }
    rows = marked(data(columns, test=share, group="g"), {"g": groups, "y": ["a"] * len(groups)})
    sides = {row["g"]: row["test"] for row in rows}
    assert all(sides[row["g"]] is row["test"] for row in rows)
    assert len(set(groups)) == 1 or set(sides.values()) == {True, False}  # neither slice is empty


def test_the_hash_is_md5_of_text_that_does_not_depend_on_duckdb() -> None:
    """A later version of DuckDB must not move a row to the other side."""
    columns: Columns = {
        "n": {"type": "numeric", "role": "key"},
        "t": {"type": "datetime", "role": "key"},
        "b": {"type": "boolean", "role": "key"},
        "s": {"type": "text", "role": "key", "nullable": True},
        "x": {"type": "numeric"},
        "y": {"type": "categorical", "role": "target"},
    }
    declared = data(columns, seed=7)
    with table.connect() as connection:
        connection.execute(
            "CREATE TABLE one AS SELECT * FROM (VALUES (12.0::DOUBLE, TIMESTAMP '2013-01-01 00:00:00.5', true, 'é'), "
            "(-0.1::DOUBLE, TIMESTAMP '1970-01-01', false, NULL)) AS one(n, t, b, s)"
        )
        found = connection.execute(f"SELECT {hashed(declared, declared.keys)} FROM one").fetchall()
    texts = [["7", "12", "1356998400500000", "true", "é"], ["7", "-0.1", "0", "false", "\x1e"]]
    digests = [hashlib.md5(SEPARATOR.join(text).encode(), usedforsecurity=False).digest() for text in texts]
    assert [number for (number,) in found] == [int.from_bytes(digest[8:], "little") for digest in digests]


# The verb


def test_files_and_report_by_time(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    values["when"] = [START + timedelta(hours=(row * 37 % 100) // 5) for row in range(100)]
    repository(columns, valid(columns, values), "data/valid.parquet", split={"test": 0.25, "reference": 100})
    assert main(["split"]) == 0
    train, test, reference = (pq.read_table(path).to_pylist() for path in (layout.TRAIN, layout.TEST, layout.REFERENCE))
    by_time = sorted(valid(columns, values).to_pylist(), key=lambda row: (row["when"], row["id"]))
    assert train + test == by_time
    assert reference == train
    assert json.loads(layout.SPLIT.read_text()) == {
        "method": "time",
        "by": "when",
        "asked": 0.25,
        "share": 0.25,
        "rows": {"train": 75, "test": 25, "reference": 75},
        "cutoff": "2013-01-01T15:00:00.000000",
        "span": {
            "train": ["2013-01-01T00:00:00.000000", "2013-01-01T14:00:00.000000"],
            "test": ["2013-01-01T15:00:00.000000", "2013-01-01T19:00:00.000000"],
        },
        "classes": {
            name: {str(late).lower(): round(sum(row["late"] is late for row in part) / len(part), 6) for late in order}
            for name, part in (("train", train), ("test", test))
            for order in [(False, True)]
        },
    }
    assert capsys.readouterr().out == (
        "75 rows to train on, 25 to test on (25.0%, from 2013-01-01T15:00:00 on), 75 for reference\n"
    )


def test_the_reference_is_a_sample_of_train_in_its_order(repository: Make, columns: Columns, values: Values) -> None:
    rows = {name: column * 4 for name, column in values.items()} | {"id": range(400)}
    chosen = []
    for seed in (0, 0, 1):
        repository(columns, valid(columns, rows), "data/valid.parquet", split={"reference": 100, "seed": seed})
        assert main(["split"]) == 0
        train, reference = (pq.read_table(path)["id"].to_pylist() for path in (layout.TRAIN, layout.REFERENCE))
        places = [train.index(one) for one in reference]
        assert len(places) == 100
        assert places == sorted(places)
        assert max(places) > 250  # from all over, not from the start
        chosen.append(places)
    assert chosen[0] == chosen[1] != chosen[2]


@pytest.mark.parametrize("method", ["time", "stratified", "group"])
def test_the_same_bytes_whatever_is_sorted_at_a_time(
    method: str, repository: Make, columns: Columns, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    if method != "time":
        columns["when"]["role"] = "feature"
    if method == "group":
        values["note"] = [f"group {row // 7}" for row in range(100)]
        columns["note"] = {"type": "categorical"}
    repository(
        columns, valid(columns, values), "data/valid.parquet", split={"group": "note"} if method == "group" else {}
    )
    results = []
    for part in (split_module.PART, split_module.PART, 100):
        monkeypatch.setattr(split_module, "PART", part)
        assert main(["split"]) == 0
        results.append([path.read_bytes() for path in (layout.TRAIN, layout.TEST, layout.REFERENCE, layout.SPLIT)])
    assert results[0] == results[1] == results[2]
    report = json.loads(layout.SPLIT.read_text())
    assert report["method"] == method
    ids = [pq.read_table(path)["id"].to_pylist() for path in (layout.TRAIN, layout.TEST)]
    assert sorted(ids[0] + ids[1]) == list(range(100))
    if method == "stratified":
        assert ids[0] != sorted(ids[0])  # in the order of the hash: any stretch is a fair sample
        assert report["classes"]["test"] == {"false": 0.75, "true": 0.25}


def test_hashes_part_the_rows_and_end_there(repository: Make, columns: Columns, values: Values) -> None:
    """Each person's rows on one side, and rows told apart by their hashed key: in no slice is either to be seen."""
    columns["when"]["role"] = "feature"
    columns["id"] = {"type": "categorical", "role": ["pii", "key"], "pii": "hash"}
    columns["who"] = {"type": "text", "role": "pii", "pii": "hash"}
    values |= {"id": [f"{row:032x}" for row in range(100)], "who": [f"{row // 7:032x}" for row in range(100)]}
    values["amount"] = list(range(100))
    columns["amount"] = {"type": "numeric"}
    found = []
    for group in ("who", None):
        for order in (1, -1):
            turned = {name: column[::order] for name, column in values.items()}
            repository(columns, valid(columns, turned), "data/valid.parquet", split={"group": group})
            assert main(["split"]) == 0
            parts = [pq.read_table(path) for path in (layout.TRAIN, layout.TEST, layout.REFERENCE)]
            assert not {"id", "who"} & {name for part in parts for name in part.column_names}
            found.append({int(row) for row in parts[1]["amount"].to_pylist()})
    assert found[0] == found[1]
    assert found[2] == found[3]  # by the hashed key, so whatever the order
    people = {row // 7 for row in found[0]}
    assert found[0] == {row for row in range(100) if row // 7 in people}


def test_groups_are_reported_plainly(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    columns["when"]["role"] = "feature"
    values["kind"] = ["abc"[row % 3] for row in range(100)]
    columns["kind"] = {"type": "categorical"}
    repository(columns, valid(columns, values), "data/valid.parquet", split={"group": "kind"})
    assert main(["split"]) == 0
    report = json.loads(layout.SPLIT.read_text())
    assert report["groups"] == {"train": 2, "test": 1}
    assert report["share"] in (0.33, 0.34)
    assert "whole groups of kind, 20.0% asked" in capsys.readouterr().out
    kinds = [set(pq.read_table(path)["kind"].to_pylist()) for path in (layout.TRAIN, layout.TEST)]
    assert kinds[0] | kinds[1] == set("abc")
    assert not kinds[0] & kinds[1]


def test_a_numeric_target_is_reported_by_quartiles(repository: Make, columns: Columns, values: Values) -> None:
    columns["late"] = {"type": "numeric", "role": "target"}
    values["late"] = [float(row) for row in range(100)]
    repository(columns, valid(columns, values), "data/valid.parquet", task="regression")
    assert main(["split"]) == 0
    assert json.loads(layout.SPLIT.read_text())["quartiles"] == {
        "train": [19.0, 39.0, 59.0],
        "test": [84.0, 89.0, 94.0],
    }


@pytest.mark.parametrize(
    ("change", "split", "said"),
    [
        (
            {},
            {"test": 0.05},
            "the test slice has 5 rows, at least 10 are needed; change `split.test` (now 0.05) or widen",
        ),
        ({}, {"test": 0.95}, "the train slice has 5 rows, at least 10 are needed; change `split.test` (now 0.95) or"),
        ({"when": [START] * 100}, {}, "split by when, the train slice has 0 rows"),
        ({"late": [row < 50 for row in range(100)]}, {}, "the test slice has one class of late only (false); change"),
        ({"late": [row >= 80 for row in range(100)]}, {}, "the train slice has one class of late only (false); change"),
    ],
)
def test_slices_that_cannot_be_used(
    change: Values, split: dict[str, Any], said: str, repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    repository(columns, valid(columns, values | change), "data/valid.parquet", split=split)
    assert main(["split"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("gitloop split: conf/data/small.yaml: data.split: split by when, the ")
    assert said in error
    assert not layout.TRAIN.exists()


def test_one_group_cannot_be_split(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    columns["when"]["role"] = "feature"
    repository(columns, valid(columns, values | {"kind": ["a"] * 100}), "data/valid.parquet", split={"group": "kind"})
    assert main(["split"]) == 2
    said = (
        "the test slice has 0 rows, at least 10 are needed; change `split.test` (now 0.2) or bring more values of kind"
    )
    assert said in capsys.readouterr().err


def test_too_few_rows(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    repository(columns, valid(columns, values).slice(0, 19), "data/valid.parquet")
    assert main(["split"]) == 2
    said = "data/valid.parquet: 19 rows are too few to split; widen `window` in conf/data/small.yaml"
    assert said in capsys.readouterr().err


def test_classes_that_only_the_test_has_are_named(
    repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    columns["late"] = {"type": "categorical", "role": "target"}
    late = ["ab"[row % 2] for row in range(90)] + ["new"] * 10
    repository(columns, valid(columns, values | {"late": late}), "data/valid.parquet", task="multiclass")
    assert main(["split"]) == 0
    assert "data/test.parquet: has classes that are not in train: new" in capsys.readouterr().err


def test_nothing_to_split(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    repository(columns, values)
    assert main(["split"]) == 2
    assert "data/valid.parquet: not there; run `gitloop validate` first" in capsys.readouterr().err


def test_splitting_loads_neither_pandas_nor_scikit_learn() -> None:
    code = "import sys, gitloop.data.split; sys.exit(any(name in sys.modules for name in ('pandas', 'sklearn')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
