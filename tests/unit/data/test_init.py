"""`gitloop init` through the verb: the right reading of whatever somebody has, or one line that says what is wrong."""

from __future__ import annotations

import codecs
import gzip
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from servers import Answer, Web, web

from gitloop import config
from gitloop.cli import main
from gitloop.settings import parse

Told = Callable[..., str]


def rows(many: int = 300) -> pd.DataFrame:
    random = np.random.default_rng(0)
    size = random.normal(10, 3, many).round(2)
    town = random.choice(["Köln", "Paris", "Porto"], many)
    return pd.DataFrame(
        {
            "size": size,
            "weight": (size * 2 + random.normal(0, 2, many)).round(3),
            "town": town,
            "sold": np.where(size + 3 * (town == "Paris") + random.normal(0, 2, many) > 11, "yes", "no"),
        }
    )


def taken(source: str | Path, *options: str, target: str = "sold", name: str = "table") -> dict[str, Any]:
    """The contract that was declared; conf/ composes with it."""
    assert main(["init", str(source), "--target", target, "--name", name, *options]) == 0
    params = yaml.safe_load(Path("params.yaml").read_text())
    assert parse(params).data.name == name
    found: dict[str, Any] = yaml.safe_load(Path(f"conf/data/{name}.yaml").read_text())
    return found


@pytest.mark.parametrize(
    ("name", "write", "source"),
    [
        ("plain.csv", lambda frame: frame.to_csv(index=False).encode(), {}),
        ("mark.csv", lambda frame: codecs.BOM_UTF8 + frame.to_csv(index=False).encode(), {}),
        ("tabs.tsv", lambda frame: frame.to_csv(index=False, sep="\t").encode(), {"delimiter": "\t"}),
        (
            "comma.csv",
            lambda frame: frame.to_csv(index=False, sep=";", decimal=",").encode(),
            {"delimiter": ";", "decimal": ","},
        ),
        ("quoted.csv", lambda frame: frame.to_csv(index=False, decimal=",", quoting=1).encode(), {"decimal": ","}),
        ("western.csv", lambda frame: frame.to_csv(index=False).encode("cp1252"), {"encoding": "cp1252"}),
        ("wide.csv", lambda frame: frame.to_csv(index=False).encode("utf-16"), {"encoding": "utf-16"}),
        ("packed.csv.gz", lambda frame: gzip.compress(frame.to_csv(index=False).encode()), {}),
        ("windows.csv", lambda frame: frame.to_csv(index=False, lineterminator="\r\n").encode(), {}),
        ("spaces.csv", lambda frame: frame.rename(columns=" {} ".format).to_csv(index=False).encode(), {}),
        (
            "missing.csv",
            lambda frame: (
                frame.mask(frame.index.to_numpy()[:, None] % [7, 1000, 11, 1000] == 5)
                .to_csv(index=False, na_rep="NA")
                .encode()
            ),
            {"null": ["", "NA"]},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_delimited_text_of_every_kind_is_the_same_table(
    name: str, write: Callable[[pd.DataFrame], bytes], source: dict[str, Any], there: Path, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(write(rows()))
    contract = taken(tmp_path / name)
    assert contract["source"] == {
        "_target_": "gitloop.data.sources.CSV",
        "path": f"data/source/{name}",
        **source,
    }
    columns = contract["columns"]
    assert {column: keys["type"] for column, keys in columns.items()} == {
        "size": "numeric",
        "weight": "numeric",
        "town": "categorical",
        "sold": "boolean",
    }
    assert columns["town"]["categories"] == ["Köln", "Paris", "Porto"]
    assert main(["ingest"]) == 0
    assert main(["validate"]) == 0
    assert pd.read_parquet("data/valid.parquet")["size"].mean() == pytest.approx(10, abs=1)


def test_the_demo_gives_way(there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (there / "conf/config.yaml").read_text()
    rows().to_csv(tmp_path / "sales.csv", index=False)
    assert main(["init", str(tmp_path / "sales.csv"), "--target", "sold"]) == 0
    after = (there / "conf/config.yaml").read_text()
    assert [(old, new) for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new] == [
        (
            "  - data: flights               # source, window, contract: what the columns are and mean",
            "  - data: sales                 # source, window, contract: what the columns are and mean",
        )
    ]
    params = yaml.safe_load((there / "params.yaml").read_text())
    assert params == config.compose(there)
    assert params["features"]["derive"] is None
    assert params["gates"]["behaviour"] == "tests/behaviour/sales"
    assert (there / "tests/behaviour/sales/test_sales.py").is_file()
    features = (there / "conf/features/default.yaml").read_text()
    assert "derive: null" in features
    assert "# null: nothing is derived" in features
    shown = capsys.readouterr().out
    assert "300 rows, 4 columns, binary" in shown
    assert "next: " in shown


def test_what_is_there_is_kept(refused: Told, there: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows().to_csv(tmp_path / "sales.csv", index=False)
    taken(tmp_path / "sales.csv", name="sales")
    capsys.readouterr()
    again = [str(tmp_path / "sales.csv"), "--target", "sold"]
    assert refused(*again) == (
        "conf/data/sales.yaml: is there already; say --name for another, or --force to write it anew"
    )
    rows(301).to_csv(tmp_path / "sales.csv", index=False)
    assert refused(*again, "--name", "other").startswith("data/source/sales.csv: another file of this name is there;")
    assert main(["init", *again, "--force"]) == 0
    assert "in 301 rows" in (there / "conf/data/sales.yaml").read_text()


def test_the_users_own_derivation_stays_where_it_works(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine_of_init.py").write_text("def derive(columns):\n    return {'double': columns['size'] * 2}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    path = there / "conf/features/default.yaml"
    path.write_text(path.read_text().replace("${project.package}.features.derive", "mine_of_init.derive"))
    rows().to_csv(tmp_path / "sales.csv", index=False)
    taken(tmp_path / "sales.csv")
    assert "derive: mine_of_init.derive" in path.read_text()


def test_two_runs_write_the_same(there: Path, tmp_path: Path) -> None:
    rows(30_000).to_csv(tmp_path / "sales.csv", index=False)
    taken(tmp_path / "sales.csv", name="table")
    first = {path: path.read_bytes() for path in (there / "conf").rglob("*.yaml")}
    taken(tmp_path / "sales.csv", "--force", name="table")
    assert {path: path.read_bytes() for path in (there / "conf").rglob("*.yaml")} == first


def text(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False)


@pytest.mark.parametrize(
    ("content", "target", "message"),
    [
        (b"", "sold", "is empty; it needs a header and rows"),
        (b"\n\n", "sold", "is empty; it needs a header and rows"),
        (b"size,sold\n", "sold", "has a header and no rows; put some there"),
        (b"size,sold\n1,yes\n", "sold", "has 1 row; at least 50 are needed to train and to judge"),
        (b"sold\nyes\nno\n", "sold", "the first line has one column; a table needs a target and a feature"),
        (b"size,size,sold\n1,2,yes\n", "sold", "the header names 'size' twice (in any case of letters); rename one"),
        (b"size,Size,sold\n1,2,yes\n", "sold", "the header names 'Size' twice (in any case of letters); rename one"),
        (b"_row,sold\n1,yes\n", "sold", "_row: gitloop needs this name itself; rename the column"),
        (
            text(rows()).partition("\n")[2].encode(),
            "sold",
            "has no column 'sold', and its first line looks like values, not names; add a header",
        ),
        (text(rows()).encode(), "solt", "has no column 'solt'; did you mean 'sold'?"),
        (text(rows()).encode(), "SOLD", "has no column 'SOLD'; did you mean 'sold'?"),
        (
            text(rows().assign(sold="yes")).encode(),
            "sold",
            "sold: the target is constant, so there is nothing to learn",
        ),
        (text(rows().assign(sold="")).encode(), "sold", "sold: the target holds nothing; name another with --target"),
        (
            text(rows().assign(sold=np.arange(300) % 5)).encode(),
            "sold",
            "the target holds 5 whole numbers, which may be classes or amounts; "
            "say --task multiclass or --task regression",
        ),
        (
            text(rows().assign(sold=[f"label {index % 60}" for index in range(300)])).encode(),
            "sold",
            "the target holds more than 50 labels, which cannot be predicted",
        ),
        (
            text(rows()[["sold"]].assign(copy=lambda frame: frame["sold"].str.upper())).encode(),
            "sold",
            "every column gives sold away or says nothing; name another target",
        ),
        (
            text(rows()[["sold"]].assign(same="x")).encode(),
            "sold",
            "no column is left to predict sold from (same: cons",
        ),
        (
            text(rows()).encode() + "9.5,18,Köln,yes\n".encode("cp1252"),
            "sold",
            "mixes encodings: line 2 is UTF-8, line 302 is not; save it in one encoding",
        ),
        (text(rows()).encode() + b"1,2,Porto\n", "sold", "line 302: has 3 fields where the header has 4; mend it"),
        (b"PK\x03\x04\0\0\0\0", "sold", "holds zero bytes, so it is not delimited text; save it as CSV"),
    ],
)
def test_what_cannot_be_taken_is_said_in_one_line(
    content: bytes, target: str, message: str, refused: Told, tmp_path: Path
) -> None:
    path = tmp_path / "sales.csv"
    path.write_bytes(content)
    if content.startswith(text(rows())[:40].encode()) and b"K\xf6ln" in content:
        path.write_bytes(b"\n".join([content.splitlines()[0], "9,18,Köln,no".encode(), *content.splitlines()[2:]]))
    assert message in refused(str(path), "--target", target)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--task", "regression"], "--task regression needs numbers, and the target holds text; leave --task out"),
        (["--target", "town", "--task", "binary"], "--task binary needs two values, and the target holds 3"),
        (["--target", "weight", "--task", "multiclass"], "--task multiclass allows 50 classes, and the target holds"),
        (["--name", "My Table"], "--name: 'My Table' cannot name a file; use small letters"),
        (["--name", "null"], "--name: 'null' cannot name a file"),
        (["--query", "sales"], "--query: belongs to a database; leave it out, or name the database's URL"),
    ],
)
def test_options_that_do_not_fit(options: list[str], message: str, refused: Told, tmp_path: Path) -> None:
    rows().to_csv(tmp_path / "sales.csv", index=False)
    assert message in refused(str(tmp_path / "sales.csv"), "--target", "sold", *options)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere.csv", "nowhere.csv: no such file"),
        ("${x}.csv", "${x}.csv: `${` would be read as a variable in conf/; rename it"),
        ("book.xlsx", "book.xlsx: .xlsx is not read; save the table as CSV or Parquet, or name a database"),
        ("empty", "empty: is a folder that holds no CSV or Parquet file; name the files, such as empty/*.csv"),
        ("both", "both: is a folder that holds tables of several kinds (.csv, .parquet); name the files"),
        ("many", "many: several files are not copied; move them below data/source/ and name them there"),
        ("broken.parquet", "broken.parquet: cannot be read as Parquet ("),
        ("sqlite:///nowhere.db", "nowhere.db: no such database; put the file there, or mend the path"),
        ("env:NO_SUCH_URL", "env:NO_SUCH_URL: the environment variable NO_SUCH_URL is not set"),
        (
            "postgresql://me:s3cret@localhost/shop",  # pragma: allowlist secret
            "holds a password, which does not belong into a file; put the URL into an environment variable",
        ),
    ],
)
def test_places_that_hold_no_table(source: str, message: str, refused: Told, there: Path) -> None:
    for folder, files in {"empty": ["x.md"], "both": ["a.csv", "b.parquet"], "many": ["a.csv", "b.csv"]}.items():
        (there / folder).mkdir()
        for file in files:
            (there / folder / file).write_text("size,sold\n1,yes\n")
    (there / "book.xlsx").write_bytes(b"PK")
    (there / "broken.parquet").write_bytes(b"PAR1 and no more")
    told = refused(source, "--target", "sold")
    assert message in told
    assert "s3cret" not in told


def test_a_folder_of_alike_files_is_one_table(there: Path) -> None:
    folder = there / "data/source/sales"
    folder.mkdir()
    for index in range(3):
        rows(100).to_csv(folder / f"{index}.csv", index=False)
    contract = taken("data/source/sales")
    assert contract["source"]["path"] == "data/source/sales/*.csv"
    assert main(["ingest"]) == 0
    assert len(pd.read_parquet("data/raw.parquet")) == 300


def test_files_that_differ_are_not_one_table(refused: Told, there: Path) -> None:
    rows().to_csv("data/source/a.csv", index=False)
    rows().rename(columns={"town": "city"}).to_csv("data/source/b.csv", index=False)
    told = refused("data/source", "--target", "sold")
    assert told == "data/source/b.csv: has not the columns of data/source/a.csv ('city' differs); make them alike"


def test_parquet_keeps_its_types(there: Path, tmp_path: Path) -> None:
    frame = rows().assign(when=pd.date_range("2024-01-01", periods=300, freq="h"), parts=[[1, 2]] * 300)
    frame.assign(sold=frame["sold"] == "yes").to_parquet(tmp_path / "sales.parquet")
    contract = taken(tmp_path / "sales.parquet")
    assert contract["source"] == {"_target_": "gitloop.data.sources.Parquet", "path": "data/source/sales.parquet"}
    columns = contract["columns"]
    assert columns["when"] == {"type": "datetime", "role": "timestamp"}
    assert str(contract["window"]["until"]) == "2024-01-14"
    assert columns["parts"]["role"] == "ignored"
    assert columns["sold"]["type"] == "boolean"
    assert main(["ingest"]) == 0
    assert main(["validate"]) == 0


@pytest.fixture
def served() -> Iterator[Web]:
    with web() as server:
        yield server


def test_a_url_is_read_and_named_as_it_is(served: Web, there: Path) -> None:
    served.answers["/sales.csv?token=abc"] = Answer(text(rows()).encode())
    contract = taken(f"{served.url}/sales.csv?token=abc")
    assert contract["source"]["path"] == f"{served.url}/sales.csv?token=abc"
    assert not [*(there / "data/source").iterdir()]


def test_a_url_that_has_nothing(served: Web, refused: Told) -> None:
    assert refused(f"{served.url}/gone.csv?token=abc", "--target", "sold") == (
        f"{served.url}/gone.csv?token=***: the server answers 404 Not Found; check the address and who may read it"
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        rows().to_sql("sales", connection, index_label="id")
        rows().to_sql("other", connection, index=False)
    return path


@pytest.mark.parametrize(
    ("query", "statement"),
    [
        ("sales", "SELECT * FROM sales ORDER BY id, size, weight, town, sold"),
        ("SELECT size, sold FROM sales ORDER BY id;", "SELECT size, sold FROM sales ORDER BY id"),
    ],
)
def test_a_database_is_copied_and_queried(query: str, statement: str, shop: Path, there: Path) -> None:
    contract = taken(shop, "--query", query)
    assert contract["source"] == {
        "_target_": "gitloop.data.sources.SQL",
        "url": "sqlite:///data/source/shop.db",
        "query": statement,
    }
    assert main(["ingest"]) == 0
    assert len(pd.read_parquet("data/raw.parquet")) == 300


def test_a_database_named_by_the_environment(shop: Path, there: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", f"sqlite:///{shop}")
    contract = taken("env:SHOP_URL", "--query", "sales")
    assert contract["source"]["url_env"] == "SHOP_URL"
    assert str(shop) not in (there / "conf/data/table.yaml").read_text()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ([], "--query: the database has 2 tables (other, sales); name one, or write a SELECT"),
        (["--query", "sale"], "--query: there is no table 'sale'; did you mean 'sales'?"),
        (["--query", "SELECT colour FROM sales"], "the query fails (no such column: colour)"),
    ],
)
def test_a_query_that_cannot_be_asked(query: list[str], message: str, shop: Path, refused: Told) -> None:
    assert message in refused(str(shop), "--target", "sold", *query)
