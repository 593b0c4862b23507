"""`gitloop validate`: what goes on, what is set aside and why, what stops the pipeline."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gitloop import layout
from gitloop.cli import main
from gitloop.contract import Column
from gitloop.data import table
from gitloop.data.clean import cleaned

Columns = dict[str, dict[str, Any]]
Values = dict[str, list[Any]]
Make = Callable[..., Path]


def report() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(layout.VALIDATION.read_text())
    return loaded


def quarantine() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(layout.QUARANTINE).to_pylist()
    return rows


def as_text(values: Values) -> Values:
    """As a CSV source would give it."""
    return {name: [None if value is None else str(value) for value in column] for name, column in values.items()}


def refused(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run the verb, which must refuse; one line for each broken rule."""
    assert main(["validate"]) == 1
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("gitloop validate: ")]
    assert report()["broken"] == [line.removeprefix("gitloop validate: ") for line in lines]
    assert not layout.VALID.exists()
    return report()["broken"]


def test_what_keeps_the_contract_goes_on(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    repository(columns, values)
    assert main(["validate"]) == 0
    valid = pq.read_table(layout.VALID)
    assert valid.schema == pa.schema(
        [
            ("id", pa.float64()),
            ("when", pa.timestamp("us")),
            ("size", pa.float64()),
            ("rate", pa.float64()),
            ("kind", pa.string()),
            ("note", pa.string()),
            ("open", pa.bool_()),
            ("late", pa.bool_()),
        ]
    )
    assert valid.column("id").to_pylist() == values["id"]
    assert quarantine() == []
    assert report() == {
        "rows": 100,
        "valid": 100,
        "invalid": 0,
        "duplicates": 0,
        "reasons": {},
        "missing": dict.fromkeys(columns, 0.0),
        "distinct": {"kind": 2, "late": 2},
        "warnings": [],
        "broken": [],
    }
    assert capsys.readouterr().out == "100 of 100 rows are valid\n"


def test_numbers_times_and_booleans_stored_as_text_are_the_same(
    repository: Make, columns: Columns, values: Values
) -> None:
    repository(columns, values)
    assert main(["validate"]) == 0
    typed = layout.VALID.read_bytes(), layout.VALIDATION.read_bytes()
    messy = as_text(values)
    messy["size"] = [f" {text}\t" for text in messy["size"]]
    messy["kind"] = [text.upper() for text in messy["kind"]]
    messy["open"] = [{"True": "yes", "False": "0"}[text] for text in messy["open"]]
    messy["when"] = [text.replace(" ", "T") + "Z" for text in messy["when"]]
    repository(columns, messy)
    assert main(["validate"]) == 0
    assert (layout.VALID.read_bytes(), layout.VALIDATION.read_bytes()) == typed


@pytest.mark.parametrize(
    ("column", "value", "reason"),
    [
        ("size", "many", "size: not a number"),
        ("size", "100.5", "size: above 100"),
        ("size", "-1", "size: below 0"),
        ("size", " ", "size: missing"),
        ("size", "nan", "size: missing"),
        ("rate", "inf", "rate: not finite"),
        ("kind", "c", "kind: not one of a, b"),  # a category never seen
        ("kind", None, "kind: missing"),
        ("open", "perhaps", "open: not true or false"),
        ("when", "31/01/2013", "when: not a date or time (ISO 8601, such as 2013-01-31T14:00:00Z)"),
        ("when", "", "when: missing"),
        ("id", "", "id: missing"),
        ("id", str(2**53 + 2), "id: beyond 2^53, where numbers are not exact: declare it categorical"),
    ],
)
def test_a_row_that_breaks_the_contract_is_set_aside_with_the_reason(
    column: str, value: str | None, reason: str, repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    raw = as_text(values)
    raw[column][3] = value
    repository(columns, raw)
    assert main(["validate"]) == 0
    (row,) = quarantine()
    assert row == {
        "_row": 4,
        "_reason": reason,
        **{name: raw[name][3] for name in columns if name != "mail"},  # as it came, without personal data
    }
    assert report()["reasons"] == {reason: 1}
    assert pq.read_table(layout.VALID).num_rows == report()["valid"] == 99
    shown = capsys.readouterr().out
    assert reason in shown.replace("\n", "") or reason[:40] in shown
    assert "99 of 100 rows are valid, 1 set aside in data/quarantine.parquet" in shown


def test_all_reasons_of_a_row_stand_together(repository: Make, columns: Columns, values: Values) -> None:
    values["size"][5], values["rate"][5], values["kind"][5] = 500, math.inf, "z"
    values["size"][8] = -3
    repository(columns, values)
    assert main(["validate"]) == 0
    assert [(row["_row"], row["_reason"]) for row in quarantine()] == [
        (6, "kind: not one of a, b; rate: not finite; size: above 100"),
        (9, "size: below 0"),
    ]
    assert report()["invalid"] == 2
    assert list(report()["reasons"]) == sorted(report()["reasons"])  # all counts equal


def test_many_categories_are_counted_in_the_reason(repository: Make, columns: Columns, values: Values) -> None:
    columns["kind"] = {"type": "categorical", "categories": [*"abcdef"]}
    values["kind"][0] = "g"
    repository(columns, values)
    assert main(["validate"]) == 0
    assert quarantine()[0]["_reason"] == "kind: not one of its 6 categories"


def test_targets_that_are_not_numbers(repository: Make, columns: Columns, values: Values) -> None:
    columns["late"] = {"type": "numeric", "role": "target"}
    target = [float(number) for number in range(100)]
    target[1], target[2], target[3] = math.nan, math.inf, -math.inf
    repository(columns, values | {"late": pa.array(target, from_pandas=False)}, task="regression")
    assert main(["validate"]) == 0
    assert report()["reasons"] == {"late: not finite": 2, "late: missing": 1}


# Keys and repeats


def test_later_rows_of_a_key_are_dropped_or_set_aside(
    repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    for name in values:
        values[name] += [values[name][0], values[name][1], values[name][2]]
    values["size"][101] = 99  # row 102 has the key of row 2 with other content
    repository(columns, values)
    assert main(["validate"]) == 0
    assert [(row["_row"], row["_reason"]) for row in quarantine()] == [(102, "duplicate key")]
    assert {name: report()[name] for name in ("rows", "valid", "invalid", "duplicates")} == {
        "rows": 103,
        "valid": 100,
        "invalid": 1,
        "duplicates": 2,
    }
    assert pq.read_table(layout.VALID).column("id").to_pylist() == list(range(100))
    assert "1 set aside in data/quarantine.parquet, 2 repeats dropped" in capsys.readouterr().out


def test_the_first_valid_row_of_a_key_is_kept(repository: Make, columns: Columns, values: Values) -> None:
    values["id"][7] = 0  # the key of the first row, which is not valid
    values["size"][0] = -1
    repository(columns, values)
    assert main(["validate"]) == 0
    assert [row["_row"] for row in quarantine()] == [1]
    assert pq.read_table(layout.VALID).column("size").to_pylist()[6] == 7


def test_a_key_may_have_several_columns(repository: Make, columns: Columns, values: Values) -> None:
    columns["kind"]["role"] = ["key", "feature"]
    values["id"] = [row // 2 for row in range(100)]  # with kind a, b, a, b … each pair is there once
    values["id"][99], values["kind"][99] = 0, "B "
    repository(columns, values)
    assert main(["validate"]) == 0
    assert [(row["_row"], row["_reason"], row["kind"]) for row in quarantine()] == [(100, "duplicate key", "B ")]


def test_a_unique_column_may_be_empty_but_not_twice_the_same(
    repository: Make, columns: Columns, values: Values
) -> None:
    columns["note"]["unique"] = True
    values["note"][1] = values["note"][2] = None
    values["note"][5] = values["note"][4]
    repository(columns, values)
    assert main(["validate"]) == 0
    assert [(row["_row"], row["_reason"]) for row in quarantine()] == [(6, "note: not unique")]


def test_without_a_key_equal_rows_are_kept(repository: Make, columns: Columns, values: Values) -> None:
    """Two passengers may have the same answers."""
    columns["id"]["role"] = "feature"
    repository(columns, {name: column * 2 for name, column in values.items()})
    assert main(["validate"]) == 0
    assert report()["valid"] == 200


# Rules of the table


def test_a_missing_column(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    values["Size "] = values.pop("size")
    del values["note"], values["mail"]
    repository(columns, values)
    assert refused(capsys) == [
        "data/raw.parquet: size: the column is missing (there is 'Size '); "
        "mend the source, or take it out of conf/data/small.yaml",
        "data/raw.parquet: note: the column is missing; mend the source, or take it out of conf/data/small.yaml",
    ]


def test_an_ignored_column_need_not_be_there_nor_keep_anything(
    repository: Make, columns: Columns, values: Values
) -> None:
    columns |= {"gone": {"type": "numeric", "role": "ignored"}, "junk": {"type": "numeric", "role": "ignored"}}
    repository(columns, values | {"junk": ["?"] * 100})
    assert main(["validate"]) == 0
    assert "junk" not in pq.read_schema(layout.VALID).names


def test_an_extra_column_is_dropped_with_a_word(
    repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    values["size"][0] = -1
    repository(columns, values | {"extra": ["secret"] * 100})
    assert main(["validate"]) == 0
    said = "data/raw.parquet: columns that are not in the contract are dropped: extra"
    assert said in capsys.readouterr().err
    assert report()["warnings"] == [said]
    assert "extra" not in pq.read_schema(layout.VALID).names + pq.read_schema(layout.QUARANTINE).names


def test_an_extra_column_is_refused_where_the_rules_say_so(
    repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    repository(columns, values | {"extra": [1] * 100}, rules={"extra_columns": "refuse"})
    assert refused(capsys) == [
        "data/raw.parquet: extra: the column is not in the contract and rules.extra_columns refuses it; declare it in "
        "conf/data/small.yaml (`role: ignored` if it is not needed), or set `extra_columns: drop`"
    ]


@pytest.mark.parametrize("kind", [pa.float64(), pa.string(), pa.null()])
def test_a_column_all_null(kind: pa.DataType, repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    repository(columns, values | {"rate": pa.nulls(100, kind)})
    assert refused(capsys) == [
        "data/raw.parquet: rate: all 100 values are missing; mend the source, or set `role: ignored` in "
        "conf/data/small.yaml"
    ]


def test_too_many_values_missing(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    values["rate"] = [math.nan if row < 60 else row for row in range(100)]
    repository(columns, values)
    assert refused(capsys) == [
        "data/raw.parquet: rate: 60 of 100 (60.00%) values are missing, rules.max_missing is 50.00%, such as "
        "row 1 (id 0), row 2 (id 1), row 3 (id 2), row 4 (id 3), row 5 (id 4); "
        "mend the source, set `role: ignored`, or raise the rule in conf/data/small.yaml"
    ]
    assert report()["missing"]["rate"] == 0.6


def test_too_many_invalid_rows(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    values["size"][10:30] = [-1] * 20
    repository(columns, values)
    (line,) = refused(capsys)
    assert line.startswith(
        "data/raw.parquet: 20 of 100 (20.00%) rows are invalid, rules.max_invalid is 10.00%, such as row 11 (id 10), "
    )
    assert line.endswith(
        "see data/quarantine.parquet for the reasons; mend the source, or the contract in conf/data/small.yaml"
    )
    assert len(quarantine()) == 20


def test_too_few_rows(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    repository(columns, {name: column[:8] for name, column in values.items()})
    assert refused(capsys) == [
        "data/raw.parquet: 8 valid rows, rules.min_rows is 10; widen `window` or lower it in conf/data/small.yaml"
    ]


def test_no_rows(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    repository(columns, pa.table(values).slice(0, 0))
    assert refused(capsys) == [
        "data/raw.parquet: 0 valid rows, rules.min_rows is 10; widen `window` or lower it in conf/data/small.yaml"
    ]


def test_a_target_of_a_single_class(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    repository(columns, values | {"late": [False] * 100})
    assert refused(capsys) == [
        "data/raw.parquet: late: all 100 valid rows have one class (False), so there is nothing to learn; "
        "widen `window` in conf/data/small.yaml, or mend the source"
    ]


def test_a_target_of_a_single_value(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    columns["late"] = {"type": "numeric", "role": "target"}
    repository(columns, values | {"late": [1.5] * 100}, task="regression")
    assert "late: all 100 valid rows have one value (1.5)" in refused(capsys)[0]


def test_labels_that_the_contract_does_not_know(
    repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    columns["late"] = {"type": "categorical", "role": "target", "categories": ["early", "on time", "late"]}
    values["late"] = ["early", "on time", "late", "late"] * 25
    values["late"][50], values["late"][60] = "cancelled", "x" * 90 + "\n"
    repository(columns, values, task="multiclass")
    (line,) = refused(capsys)
    assert line == (
        f"data/raw.parquet: late: 2 rows have an unknown label ('cancelled', '{'x' * 39}…'), such as "
        "row 51 (id 50), row 61 (id 60); add it to `categories` in conf/data/small.yaml, or mend the source"
    )


def test_a_boolean_target_that_is_neither(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    raw = as_text(values)
    raw["late"][9] = "perhaps"
    repository(columns, raw)
    assert refused(capsys) == [
        "data/raw.parquet: late: 1 rows have an unknown label, such as row 10 (id 9); mend the source"
    ]


def test_mixed_time_zones(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    raw = as_text(values)
    raw["when"] = [f"{text}-05:00" if row % 2 else text for row, text in enumerate(raw["when"])]
    repository(columns, raw)
    (line,) = refused(capsys)
    assert line.startswith(
        "data/raw.parquet: when: mixed time zones, 50 times with an offset and 50 without, such as row 1 (id 0), row 3"
    )
    assert line.endswith("say in conf/data/small.yaml where those without were read off, such as `timezone: UTC`")

    columns["when"]["timezone"] = "America/New_York"
    repository(columns, raw)
    assert main(["validate"]) == 0
    times = pq.read_table(layout.VALID).column("when").to_pylist()
    assert times[:2] == [datetime(2013, 1, 1, 5), datetime(2013, 1, 1, 6)]


def test_every_broken_rule_is_listed_at_once(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    raw = as_text(values)
    del raw["note"]
    raw["extra"] = raw["size"]
    raw["rate"] = [""] * 100
    raw["open"] = ["" if row < 60 else "yes" for row in range(100)]
    raw["when"] = [f"{text}Z" if row % 2 else text for row, text in enumerate(raw["when"])]
    raw["late"] = ["no"] * 99 + ["never"]
    repository(columns, raw, rules={"extra_columns": "refuse", "min_rows": 50})
    layout.VALID.write_bytes(b"of an earlier run")
    lines = refused(capsys)
    assert [line.split(": ", 1)[1].split(";")[0].split(", such")[0] for line in lines] == [
        "note: the column is missing",
        "extra: the column is not in the contract and rules.extra_columns refuses it",
        "39 valid rows, rules.min_rows is 50",
        "61 of 100 (61.00%) rows are invalid, rules.max_invalid is 10.00%",
        "rate: all 100 values are missing",
        "open: 60 of 100 (60.00%) values are missing, rules.max_missing is 50.00%",
        "when: mixed time zones, 50 times with an offset and 50 without",
        "late: 1 rows have an unknown label",
        "late: all 39 valid rows have one class (False), so there is nothing to learn",
    ]
    assert len(quarantine()) == 61


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["Size", "size"], "Size and size: names must differ in more than case; rename one"),
        (["_ROW"], "_ROW: gitloop needs this name itself; rename the column in the source"),
        (["file_row_number"], "file_row_number: gitloop needs this name itself"),
    ],
)
def test_names_that_would_be_confused(
    names: list[str], said: str, repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    repository(columns, dict.fromkeys(names, values["size"]) | values)
    assert main(["validate"]) == 2
    assert f"data/raw.parquet: {said}" in capsys.readouterr().err


def test_without_a_raw_table(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    where = repository(columns, values)
    layout.RAW.write_bytes(b"PAR1 not really")
    assert main(["validate"]) == 2
    assert "data/raw.parquet: is not a Parquet file; run `gitloop ingest` again" in capsys.readouterr().err
    (where / layout.RAW).unlink()
    assert main(["validate"]) == 2
    assert "data/raw.parquet: not there; run `gitloop ingest` first" in capsys.readouterr().err


# Personal data


def test_personal_data_goes_nowhere(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    """Not even where it breaks rules, is a key, or fails to be read."""
    columns["mail"] |= {"role": ["pii", "key"], "pii": "hash", "nullable": False, "case": "upper", "unique": True}
    columns["card"] = {"type": "numeric", "role": "pii", "range": [0, 1]}
    columns["born"] = {"type": "datetime", "role": "pii"}
    values["card"] = [f"canary{row}" for row in range(100)]
    values["born"] = [f"canary{row}" for row in range(100)]
    values["mail"][3] = values["mail"][2]
    values["mail"][4] = ""
    repository(columns, values)
    lines = refused(capsys)
    assert lines[1].endswith(
        "such as row 1 (id 0), row 2 (id 1), row 3 (id 2), row 4 (id 3), row 5 (id 4); "
        "see data/quarantine.parquet for the reasons; mend the source, or the contract in conf/data/small.yaml"
    )
    assert set(report()["reasons"]) == {
        "card: not a number",
        "born: not a date or time (ISO 8601, such as 2013-01-31T14:00:00Z)",
        "mail: missing",
    }
    written = [path for path in Path().rglob("*") if path.is_file() and path != layout.RAW]
    assert {layout.QUARANTINE, layout.VALIDATION} <= set(written)
    assert not [path for path in written if b"canary" in path.read_bytes().lower()]
    for path in written:
        if path.suffix == ".parquet":
            assert "canary" not in str(pq.read_table(path).to_pylist()).lower()


def test_personal_keys_are_told_by_row_number(repository: Make, columns: Columns, values: Values, capsys: Any) -> None:
    columns["id"] |= {"type": "categorical", "role": ["key", "pii"], "pii": "hash"}
    values["size"][7:30] = [-1] * 23
    repository(columns, values)
    assert "such as row 8, row 9, row 10, row 11, row 12;" in refused(capsys)[0]


def test_what_looks_like_personal_data_is_asked_about(
    repository: Make, columns: Columns, values: Values, capsys: Any
) -> None:
    columns["mail"]["role"] = "ignored"
    values["note"] = [f"+34 612 345 6{row:02}" for row in range(100)]
    repository(columns, values | {"card": [4111111111111111] * 100, "host": [f"10.0.0.{row}" for row in range(100)]})
    assert main(["validate"]) == 0
    said = capsys.readouterr().err
    for name, kind in {
        "mail": "e-mail addresses",
        "note": "phone numbers",
        "card": "payment card numbers",
        "host": "IP addresses",
    }.items():
        line = (
            f"data/raw.parquet: {name}: 100% of the values looked at are like {kind}; "
            "if this is personal data, declare `role: pii` in conf/data/small.yaml"
        )
        assert line in said
        assert line in report()["warnings"]
    assert "612 345" not in said


# Size and order


def test_chunks_make_no_difference(
    repository: Make, columns: Columns, values: Values, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a second run: the same rows, reasons and counts, to the byte."""
    for name in values:
        values[name] = [*values[name], *values[name][::-1]]
    values["size"][50], values["size"][120], values["kind"][150] = -1, 55, "z"
    columns["note"]["unique"] = True
    repository(columns, values, rules={"max_invalid": 1.0})
    results = []
    for rows in (table.CHUNK, table.CHUNK, 1000):
        monkeypatch.setattr(table, "CHUNK", rows)
        assert main(["validate"]) == 0
        results.append([path.read_bytes() for path in (layout.VALID, layout.QUARANTINE, layout.VALIDATION)])
    assert results[0] == results[1] == results[2]
    monkeypatch.setattr(table, "chunk", lambda columns: 7)
    assert main(["validate"]) == 0
    assert [pq.read_table(layout.VALID).to_pylist(), report()] == [
        pq.read_table(pa.BufferReader(results[0][0])).to_pylist(),
        json.loads(results[0][2]),
    ]


@pytest.mark.parametrize("kind", ["numeric", "boolean", "categorical", "text", "datetime"])
@pytest.mark.parametrize("raw", ["VARCHAR", "DOUBLE", "TIMESTAMP WITH TIME ZONE"])
def test_cleaning_keeps_the_order_of_the_rows(kind: Any, raw: str) -> None:
    """DuckDB keeps the order of a scan, but not that of a join, which it makes of `IN` with a few constants."""
    sql = cleaned("x", Column(type=kind), raw)
    with table.connect() as connection:
        connection.execute(f"CREATE TABLE t (x {raw})")
        columns = ", ".join(one for one in sql if one)
        plan = connection.execute(f"EXPLAIN SELECT {columns} FROM t").fetchall()[0][1]
    assert "join" not in plan.lower()


def test_wide_tables_come_in_fewer_rows_at_a_time() -> None:
    assert table.chunk(17) == table.CHUNK
    assert table.chunk(500) == 10_000
    assert table.chunk(10**6) == 1000
