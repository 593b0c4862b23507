"""What `gitloop init` decides of a column and of a target, and what it writes of that."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from gitloop import config
from gitloop.data import calendar, personal
from gitloop.data.declare import choosing, edited, flow, least, scalar
from gitloop.data.spans import span
from gitloop.settings import parse

Declare = Callable[..., dict[str, Any]]


@pytest.fixture
def declare(declared: Declare, there: Path, tmp_path: Path) -> Declare:
    """`gitloop init` of a frame; the contract as it was written."""

    def made(frame: pd.DataFrame, target: str, *options: str) -> dict[str, Any]:
        frame.to_csv(tmp_path / "table.csv", index=False)
        found = declared(tmp_path / "table.csv", target, "--force", *options)
        parse(yaml.safe_load((there / "params.yaml").read_text()))
        return found

    return made


def base(rows: int = 400, seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    size = random.normal(0, 1, rows).round(3)
    return pd.DataFrame({"size": size, "price": (size + random.normal(0, 1, rows)).round(3)})


def test_roles_of_every_kind(declare: Declare, capsys: pytest.CaptureFixture[str]) -> None:
    frame = base()
    random = np.random.default_rng(1)
    rows = len(frame)
    places = [f"{number} Long Road {index}" for index, number in enumerate(random.integers(1, 99, rows))]
    frame = frame.assign(
        customer_id=np.arange(5000, 5000 + rows),
        row=[f"x{index}-{index * 7919 % 10007}" for index in range(rows)],
        shop_id=random.integers(1, 9, rows),
        visitor_id=random.integers(1, 200, rows),
        contact=[f"ada{index}@example.org" for index in range(rows)],
        call=[f"+44 20 7946 {index:04}" for index in range(rows)],
        account=["GB82WEST12345698765432", "DE89370400440532013000"] * (rows // 2),
        machine=[f"10.0.{index // 250}.{index % 250}" for index in range(rows)],
        street=places,
        birthday=pd.date_range("1950-01-01", periods=rows, freq="20D").astype(str),
        zip=[f"{number:05}" for number in random.integers(1, 40, rows)],
        always="same",
        never="",
        twin=frame["size"],
        european=pd.date_range("2024-01-01", periods=rows, freq="D").strftime("%d/%m/%Y"),
        member=random.choice(["yes", "no"], rows),
        flag=random.integers(0, 2, rows),
        heavy=np.where(random.random(rows) < 0.6, np.nan, random.normal(0, 1, rows)),
        gender=random.choice(["f", "m"], rows),
    )
    contract = declare(frame, "price")
    columns = contract["columns"]
    found = {name: (keys["type"], keys.get("role", "feature")) for name, keys in columns.items()}
    assert found == {
        "size": ("numeric", "feature"),
        "price": ("numeric", "target"),
        "customer_id": ("numeric", "key"),
        "row": ("categorical", "ignored"),
        "shop_id": ("categorical", "feature"),
        "visitor_id": ("numeric", "ignored"),
        "contact": ("text", "pii"),
        "call": ("text", "pii"),
        "account": ("text", "pii"),
        "machine": ("text", "pii"),
        "street": ("text", "pii"),
        "birthday": ("text", "pii"),
        "zip": ("categorical", "feature"),
        "always": ("categorical", "ignored"),
        "never": ("categorical", "ignored"),
        "twin": ("numeric", "ignored"),
        "european": ("categorical", "ignored"),
        "member": ("boolean", "feature"),
        "flag": ("boolean", "feature"),
        "heavy": ("numeric", "feature"),
        "gender": ("categorical", "feature"),
    }
    assert columns["heavy"]["nullable"] is True
    assert contract["rules"]["max_missing"] == pytest.approx(0.7, abs=0.06)
    shown = capsys.readouterr().out
    assert "unsure: gender: add the role sensitive" in shown
    assert "example.org" not in shown
    text = Path("conf/data/table.yaml").read_text()
    assert "twin: {type: numeric, role: ignored}  # says the same as size" in text
    assert "always: {type: categorical, role: ignored}  # constant" in text
    assert "example.org" not in text


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_what_gives_the_target_away_is_left_out(
    task: str, declare: Declare, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = base(1200)
    random = np.random.default_rng(2)
    if task == "regression":
        known = frame["price"] * 3 + 7
        late = frame["price"] ** 3 + random.normal(0, 0.01, len(frame))
    else:
        cuts = [0] if task == "binary" else [-0.7, 0.7]
        code = np.digitize(frame["price"], cuts)
        known = pd.Series(code).map({0: "a", 1: "b", 2: "c"})
        late = code * 10 + random.normal(0, 1, len(frame))
        frame["price"] = pd.Series(code).map({0: "low", 1: "high", 2: "top"})
    contract = declare(frame.assign(known=known, late=late.round(4)), "price")
    assert contract["task"] == task
    roles = {name: keys.get("role", "feature") for name, keys in contract["columns"].items()}
    assert roles == {"size": "feature", "price": "target", "known": "ignored", "late": "ignored"}
    text = Path("conf/data/table.yaml").read_text()
    assert "# is price in another form" in text
    assert "gives price away: alone it goes" in text
    shown = capsys.readouterr().out
    assert "unsure: known, late: left out; if it is known before the outcome, make it a feature again" in shown


def test_tasks_and_their_metrics(declare: Declare) -> None:
    frame = base(2000)
    rare = np.where(frame["price"] > np.quantile(frame["price"], 0.95), "fraud", "fine")
    found = declare(frame.assign(price=rare), "price")
    assert (found["task"], found["metric"], found["threshold"]) == ("binary", "average_precision", 0.05)
    assert found["columns"]["price"]["positive"] == "fraud"

    found = declare(frame.assign(price=(frame["price"] > 0).astype(int)), "price")
    assert found["columns"]["price"] == {"type": "boolean", "role": "target"}
    assert found["metric"] == "roc_auc"

    stars = np.clip((frame["price"] * 2 + 3).round(), 1, 5).astype(int)
    found = declare(frame.assign(price=stars), "price", "--task", "multiclass")
    assert found["columns"]["price"]["categories"] == ["1", "2", "3", "4", "5"]
    found = declare(frame.assign(price=stars), "price", "--task", "regression")
    assert (found["task"], found["metric"]) == ("regression", "r2")


def test_many_classes_and_many_categories(declare: Declare) -> None:
    random = np.random.default_rng(3)
    rows = 40_000
    frame = pd.DataFrame({"level": random.integers(0, 100_000, rows), "x": random.normal(0, 1, rows).round(4)})
    frame["kind"] = "class " + pd.Series(np.digitize(frame["x"], np.linspace(-2, 2, 49))).astype(str)
    frame["level"] = "L" + frame["level"].astype(str)
    found = declare(frame, "kind")
    assert len(found["columns"]["kind"]["categories"]) == 50
    assert found["columns"]["level"]["type"] == "categorical"


def test_time_that_parts_the_classes_cannot_part_the_rows(declare: Declare) -> None:
    frame = base(300).assign(seen=pd.date_range("2024-01-01", periods=300, freq="h"))
    ordered = declare(frame.assign(price=np.where(np.arange(300) < 150, "early", "late")), "price")
    assert ordered["columns"]["seen"].get("role") != "timestamp"
    mixed = declare(frame.assign(price=np.where(frame["price"] > 0, "up", "down")), "price")
    assert mixed["columns"]["seen"]["role"] == "timestamp"
    assert str(mixed["window"]["until"]) == "2024-01-14"


NAMES = [
    "yes",
    "null",
    "1e3",
    "2024",
    "a: b",
    "# c",
    "it's",
    "${x}",
    "\\${y}",
    "{z}",
    "&a",
    "*b",
    "- d",
    "ö 模型",
    "~",
    "a,b",
    '"q"',
]


def test_names_that_mean_something_to_yaml(declare: Declare) -> None:
    frame = base()
    random = np.random.default_rng(5)
    for name in NAMES:
        frame[name] = random.normal(0, 1, len(frame)).round(3)
    parts = [NAMES[:9], NAMES[9:]]
    for index, names in enumerate(parts):
        frame[f"kind {index}"] = random.choice(names, len(frame))
    declare(frame, "price")
    columns = parse(config.compose(Path())).data.columns
    assert {*NAMES} < columns.keys()
    for index, names in enumerate(parts):
        known = [name for name in names if name != "null"]  # that is a missing value
        assert columns[f"kind {index}"].categories == tuple(sorted(known))


@pytest.mark.parametrize("value", [*NAMES, "plain", "two words", "tab\there", None, True, 3, 0.5])
def test_a_scalar_is_read_back(value: Any) -> None:
    read = yaml.safe_load(scalar(value))
    assert read == (value.replace("\\${", "\\\\\\${").replace("${x", "\\${x") if isinstance(value, str) else value)
    assert yaml.safe_load(flow({"a": [value]})) == {"a": [read]}


@pytest.mark.parametrize(
    ("low", "high", "whole", "expected"),
    [
        (0.1, 0.9, False, [0, 1]),
        (18, 75, True, [0, 140]),
        (1000, 95_000, True, [0, 190_000]),
        (-5, 5, False, [-15, 15]),
        (-0.02, 0.031, False, [-0.071, 0.082]),
        (-40, -10, True, [-70, 0]),
        (5, 5, True, [0, 10]),
        (0, 1e12, True, [0, 2_000_000_000_000]),
    ],
)
def test_a_range_leaves_room(low: float, high: float, whole: bool, expected: list[float]) -> None:
    assert span(low, high, whole) == expected


@pytest.mark.parametrize(("rows", "expected"), [(60, 30), (178, 80), (1000, 500), (50_000, 1000)])
def test_half_of_the_rows_must_be_there(rows: int, expected: int) -> None:
    assert least(rows) == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("customerEmail", "e-mail address"),
        ("e-mail", "e-mail address"),
        ("Phone Number", "phone number"),
        ("last_name", "person's name"),
        ("home_address", "address"),
        ("date_of_birth", "date of birth"),
        ("IBAN", "identity or account number"),
        ("product_name", None),
        ("emailed", None),
        ("ship", None),
    ],
)
def test_names_of_personal_data(name: str, kind: str | None) -> None:
    assert personal.by_name(name) == kind


def test_values_of_personal_data() -> None:
    assert personal.is_iban("GB82 WEST 1234 5698 7654 32")
    assert not personal.is_iban("GB82 WEST 1234 5698 7654 33")
    people = ["Ada Lovelace", "Grace Hopper", "O'Neill, Mary", "Jean-Luc Picard"]
    assert personal.by_values("name", people) == "its values are like names of persons"
    assert personal.by_values("planet", people) is None
    assert personal.by_values("name", ["red", "green"]) is None


def test_dates_as_numbers() -> None:
    columns = {
        "a": np.array(["2024-02-29T23:30", "NaT"], dtype="datetime64[us]"),
        "b": np.array(["2024-03-02T11:30", "2024-03-02T00:00"], dtype="datetime64[us]"),
        "n": np.array([1.0, 2.0]),
    }
    derived = calendar.derive(columns)
    assert {name: values[0] for name, values in derived.items()} == {
        "a month": 2,
        "a weekday": 3,
        "a hour": 23,
        "b month": 3,
        "b weekday": 5,
        "b hour": 11,
        "days from a to b": 1.5,
    }
    assert all(np.isnan(derived[name][1]) for name in derived if "a" in name.split())
    with_years = calendar.with_years(columns)
    assert with_years["a year"][0] == pytest.approx(2024.16, abs=0.01)
    assert derived.keys() < with_years.keys()


def test_an_edit_touches_its_line_alone(template: Path, tmp_path: Path) -> None:
    path = shutil.copy(template / "conf/gates/default.yaml", tmp_path)
    before = Path(path).read_text().splitlines()
    after = edited(Path(path), {"gap": 0.5, "floor": None}).splitlines()
    changed = [line for old, line in zip(before, after, strict=True) if old != line]
    assert [line.partition("#")[0].strip() for line in changed] == ["floor: null", "gap: 0.5"]
    assert all("#" in line for line in changed)


def test_the_choice_of_a_table_keeps_its_comment(template: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(template / "conf/config.yaml", tmp_path))
    path.write_text(choosing(path, "a_very_long_name_of_some_table_or_other"))
    assert "- data: a_very_long_name_of_some_table_or_other # source, window" in path.read_text()
    path.write_text(choosing(path, "x"))
    assert "- data: x" in path.read_text()
