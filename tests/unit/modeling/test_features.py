"""What a model sees: columns that any row gives alone, no target in sight, the same types for one row or many."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from gitloop.arrays import Columns
from gitloop.contract import Contract
from gitloop.errors import InputError
from gitloop.modeling import features, inputs
from gitloop.modeling.inputs import Derive, Schema
from gitloop.settings import Features

ROLES: dict[str, dict[str, Any]] = {
    "at": {"type": "datetime", "role": "timestamp"},
    "opened": {"type": "datetime", "nullable": True},
    "age": {"type": "numeric", "nullable": True},
    "member": {"type": "boolean", "nullable": True},
    "town": {"type": "categorical"},
    "note": {"type": "text"},
    "id": {"type": "numeric", "role": "key"},
    "gender": {"type": "categorical", "role": "sensitive"},
    "mail": {"type": "text", "role": "pii"},
    "stamp": {"type": "numeric", "role": "ignored"},
    "bought": {"type": "boolean", "role": "target"},
}


@pytest.fixture
def contract() -> Contract:
    return Contract.model_validate({"task": "binary", "columns": ROLES})


@pytest.fixture
def columns(rows: int = 60) -> Columns:
    """Every column that is kept, and those that are not, as arrays."""
    rng = np.random.default_rng(0)
    times = np.datetime64("2024-01-01", "us") + np.arange(rows) * np.timedelta64(1, "D")
    age = rng.normal(40, 10, rows)
    age[3] = np.nan
    opened = times - np.timedelta64(30, "D")
    opened[5] = np.datetime64("NaT")
    words = {name: np.array([f"{name}{row % 4}" for row in range(rows)], dtype=object) for name in ("town", "mail")}
    return {
        "at": times,
        "opened": opened,
        "age": age,
        "member": (np.arange(rows) % 2).astype(float),
        **words,
        "note": np.array([f"word{row} and more" for row in range(rows)], dtype=object),
        "id": np.arange(rows, dtype=float),
        "gender": np.array(["f", "m"] * (rows // 2), dtype=object),
        "stamp": np.zeros(rows),
        "bought": (np.arange(rows) % 3 == 0).astype(float),
    }


def test_features_and_derived_columns_come_in_canonical_types(columns: Columns, contract: Contract) -> None:
    def derive(given: Columns) -> Columns:
        return {
            "month": given["at"].astype("datetime64[M]").astype(int) % 12,
            "grown": given["age"] >= 18,
            "initial": given["town"].astype(str).astype("U1"),
            "days": (given["at"] - given["opened"]) / np.timedelta64(1, "D"),
        }

    built = inputs.build(columns, contract, derive)
    assert list(built) == ["age", "member", "town", "note", "month", "grown", "initial", "days"]
    assert {
        name: values.dtype.kind for name, values in built.items() if name in ("town", "note", "initial")
    } == dict.fromkeys(("town", "note", "initial"), "O")
    assert all(built[name].dtype == np.float64 for name in ("age", "member", "month", "grown", "days"))
    assert type(built["initial"][0]) is str
    assert np.isnan(built["days"][5])


def test_the_derivation_sees_features_and_the_timestamp_only(columns: Columns, contract: Contract) -> None:
    """A target, a key, personal data or a column that is only audited can leak into no feature."""
    seen: set[str] = set()

    def derive(given: Columns) -> Columns:
        seen.update(given)
        return {}

    inputs.build(columns, contract, derive)
    assert seen == {"at", "opened", "age", "member", "town", "note"}
    assert "gender" not in inputs.build(columns, contract, None)

    def leak(given: Columns) -> Columns:
        return {"clever": given["bought"]}

    with pytest.raises(
        InputError, match=r"leak: failed with KeyError: 'bought'; mend it \(it is given at, opened, age"
    ):
        inputs.build(columns, contract, leak)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"town": np.ones(60)}, "town: is not a new name; give the derived column another"),
        ({"bought": np.ones(60)}, "bought: is not a new name"),
        ({1: np.ones(60)}, "1: is not a new name"),
        ({"few": np.ones(59)}, r"few: has shape \(59,\) for 60 rows; return one value for each row"),
        ({"one": np.float64(1)}, r"one: has shape \(\) for 60 rows"),
        ({"ratio": np.full(60, np.inf)}, "ratio: has infinite values; return NaN where it is not defined"),
        ({"when": np.full(60, np.datetime64("2024-01-01"))}, "when: is datetime64.* return numbers"),
        ({"mixed": np.array(["a", None] * 30, dtype=object)}, "mixed: is object and not all text"),
        ([1, 2], "returned list; return a dict of name → array"),
    ],
)
def test_what_is_no_feature_is_refused(returned: Any, message: str, columns: Columns, contract: Contract) -> None:
    def derive(_: Columns) -> Any:
        return returned

    with pytest.raises(InputError, match=rf"test_features\..*derive: {message}") as refused:
        inputs.build(columns, contract, derive)
    assert refused.value.exit_code == 2


def _of_others(given: Columns) -> Columns:
    return {"typical": given["age"] - np.nanmean(given["age"])}


def _of_before(given: Columns) -> Columns:
    return {"before": np.concatenate([[np.nan], given["age"][:-1]])}


def _of_first(given: Columns) -> Columns:
    return {"since": (given["at"] - given["at"].min()) / np.timedelta64(1, "D")}


def _of_chance(given: Columns) -> Columns:
    return {"noise": np.random.default_rng().random(len(given["age"]))}


def _of_words(given: Columns) -> Columns:
    """Numbers of categories by appearance: what LabelEncoder does, and the commonest mistake of all."""
    return {"code": np.unique(given["town"].astype(str), return_inverse=True)[1]}


@pytest.mark.parametrize(
    ("derive", "column"),
    [(_of_others, "typical"), (_of_before, "before"), (_of_first, "since"), (_of_chance, "noise"), (_of_words, "code")],
)
def test_a_derivation_from_other_rows_is_refused(
    derive: Derive, column: str, columns: Columns, contract: Contract
) -> None:
    message = rf"{derive.__name__}: {column}: depends on other rows or on chance.* derive each row from itself alone"  # type: ignore[attr-defined]
    with pytest.raises(InputError, match=message):
        inputs.check_pure(derive, columns, contract)


def test_a_derivation_that_changes_its_input_is_refused(columns: Columns, contract: Contract) -> None:
    def derive(given: Columns) -> Columns:
        given["age"] -= 18
        return {"since_grown": given["age"]}

    before = columns["age"].copy()
    with pytest.raises(InputError, match="derive: age: is changed in place; work on a copy"):
        inputs.check_pure(derive, columns, contract)
    np.testing.assert_array_equal(columns["age"], before)


def test_a_derivation_that_drops_a_column_for_some_rows_is_refused(columns: Columns, contract: Contract) -> None:
    def derive(given: Columns) -> Columns:
        return {"big": given["age"]} if len(given["age"]) > 1 else {}

    with pytest.raises(InputError, match="big: depends on other rows"):
        inputs.check_pure(derive, columns, contract)


def test_a_pure_derivation_passes_whatever_its_rounding(columns: Columns, contract: Contract) -> None:
    def derive(given: Columns) -> Columns:
        return {
            "wave": np.exp(np.sin(given["age"])),
            "days": (given["at"] - given["opened"]) / np.timedelta64(1, "D"),
            "place": given["town"] + "/" + given["note"],
        }

    inputs.check_pure(derive, columns, contract)
    inputs.check_pure(None, columns, contract)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.derive", "there is no 'absent.derive'; is absent among the project's dependencies?"),
        ("mine.deriv", "there is no 'mine.deriv'; did you mean 'mine.derive'?"),
        ("derive", "there is no 'derive'; is derive among"),
        ("mine.NUMBER", "'mine.NUMBER' is not a class or function; name one"),
        ("broken.derive", "broken cannot be imported .ZeroDivisionError"),
    ],
)
def test_a_derivation_that_is_not_there(
    name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("NUMBER = 1\ndef derive(columns): return {}\n")
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=rf"conf/features/default.yaml: derive: .*{message}"):
        inputs.derivation(Features(derive=name))
    assert callable(inputs.derivation(Features(derive="mine.derive")))
    assert inputs.derivation(Features(derive=None)) is None
    sys.modules.pop("mine", None)


def test_useless_columns_are_left_out_with_the_reason(contract: Contract) -> None:
    rows = 100
    number = np.arange(rows, dtype=float)
    mostly = np.where(np.arange(rows) < 97, np.nan, 1.0)
    half = np.where(np.arange(rows) < 50, np.nan, 1.0)
    town = np.array(["a", "b"] * 50, dtype=object)
    columns = {
        "age": number,
        "twin": number.copy(),
        "flat": np.full(rows, 7.0),
        "void": np.full(rows, np.nan),
        "mostly": mostly,
        "half": half,
        "town": town,
        "city": town.copy(),
        "opposite": np.array(["b", "a"] * 50, dtype=object),
        "silent": np.full(rows, "", dtype=object),
        "note": np.array([f"note {row}" for row in range(rows)], dtype=object),
    }
    schema = features.schema(columns, contract, Features())
    assert schema.numeric == ("age", "half")
    assert schema.categorical == ("town", "opposite")
    assert schema.text == ("note",)
    assert schema.dropped == {
        "twin": "duplicate of age",
        "flat": "constant",
        "void": "missing share 1",
        "mostly": "missing share 0.97",
        "city": "duplicate of town",
        "silent": "missing share 1",
    }
    lenient = Features(drop_constant=False, drop_duplicate=False, drop_missing=1)
    assert set(features.schema(columns, contract, lenient).dropped) == {"void", "silent"}


def test_no_feature_left_is_said(contract: Contract) -> None:
    with pytest.raises(InputError, match=r"no feature is left \(flat: constant\); loosen drop_\* or mend the data"):
        features.schema({"flat": np.ones(5)}, contract, Features())


def test_one_row_is_the_same_alone_as_among_others(columns: Columns, contract: Contract) -> None:
    """A lone row whose values are missing must not become None, an int or pandas' own string type."""
    built = inputs.build(columns, contract, None)
    schema = features.schema(built, contract, Features())
    many = features.frame(built, schema)
    assert [str(kind) for kind in many.dtypes] == ["float64", "float64", "object", "object"]
    for row in (0, 3, 59):
        one = features.frame({name: values[[row]] for name, values in built.items()}, schema)
        assert one.dtypes.tolist() == many.dtypes.tolist()
        assert one.to_numpy(dtype=object).tolist()[0] == pytest.approx(many.iloc[row].tolist(), nan_ok=True)
    none = features.frame({name: values[:0] for name, values in built.items()}, schema)
    assert none.dtypes.tolist() == many.dtypes.tolist()


def test_numbers_have_the_precision_that_onnx_has() -> None:
    schema = Schema(numeric=("x",))
    values = np.array([0.1, 1e308, -1e308, np.nan, 16777217.0])
    seen = features.frame({"x": values}, schema)["x"].to_numpy()
    np.testing.assert_array_equal(seen, seen.astype(np.float32).astype(np.float64))
    assert np.isfinite(seen[[0, 1, 2, 4]]).all()
    assert np.isnan(seen[3])


def test_the_target_by_task() -> None:
    def read(task: str, kind: dict[str, Any], values: list[Any]) -> Any:
        contract = Contract.model_validate(
            {"task": task, "columns": {"x": {"type": "numeric"}, "y": {**kind, "role": "target"}}}
        )
        return features.target(pa.table({"y": pa.array(values)}), contract)

    boolean = read("binary", {"type": "boolean"}, [True, False])
    assert (boolean.tolist(), boolean.dtype) == ([1, 0], np.int8)
    named = read("binary", {"type": "categorical", "categories": ["no", "yes"], "positive": "no"}, ["no", "yes"])
    assert (named.tolist(), named.dtype) == ([1, 0], np.int8)
    several = read("multiclass", {"type": "categorical"}, ["b", "a", "c"])
    assert (several.tolist(), several.dtype) == (["b", "a", "c"], object)
    number = read("regression", {"type": "numeric"}, [1.0, 2.5])
    assert (number.tolist(), number.dtype) == ([1.0, 2.5], np.float64)
