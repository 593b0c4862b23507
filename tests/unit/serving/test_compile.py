"""Compilation to ONNX: equal where it is taken, and a reason where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import customers as kit
import numpy as np
import pyarrow as pa
import pytest
from onnx import load_model_from_string
from sklearn.base import BaseEstimator, ClassifierMixin

from gitloop.data.table import arrays
from gitloop.errors import InputError
from gitloop.modeling.inputs import build
from gitloop.serving import package
from gitloop.serving.boundary import boundary
from gitloop.serving.compile import Compiled, Proof, Unequal, compiled
from gitloop.serving.runtime import onnx

STOCK = [(task, name) for task in kit.TARGETS for name in ("linear", "forest", "boosting")]


def outcome(loaded: kit.Settings, name: str, rows: pa.Table, fitted_on: int = 600) -> tuple[Any, Any, Any, Compiled]:
    model = kit.trained(loaded, rows.slice(0, fitted_on), name)
    signature = package.signed(loaded, model, None)
    columns = arrays(rows.slice(fitted_on), loaded.data.columns, signature.inputs)
    return model, signature, columns, compiled(model, signature, columns, None)


def changed(candidate: str, **values: Any) -> kit.Change:
    def change(all_values: dict[str, Any]) -> None:
        all_values["candidate"][candidate] |= values

    return change


@pytest.mark.parametrize(("task", "name"), STOCK)
def test_the_stock_candidates_are_compiled(task: str, name: str, stock: dict[str, Any]) -> None:
    model, signature, columns, found = outcome(kit.settings_of(task, stock), name, kit.table(task))
    assert found.content is not None
    assert found.why.startswith("Compiled to ONNX: on 300 test rows and ")
    assert ("no label differs" in found.why) == (task != "regression")  # which has none
    built = build(columns, signature.contract, None)
    reference, scores = model.scores(built), onnx(found.content, signature)(built)
    assert scores.shape == reference.shape
    assert scores.dtype == np.float64
    domains = [one.domain for one in load_model_from_string(found.content).opset_import]
    assert domains == sorted(domains)  # skl2onnx has them in the order of a set: other bytes in each process
    np.testing.assert_allclose(scores, reference, rtol=1e-5, atol=1e-5 * found.unit)


@pytest.mark.parametrize("task", kit.TARGETS)
def test_one_hot_columns_before_a_forest_are_compiled(task: str, stock: dict[str, Any]) -> None:
    change = changed("forest", prepare={"numeric": "impute", "categorical": "onehot", "max_categories": 6})
    assert outcome(kit.settings_of(task, stock, change=change), "forest", kit.table(task))[-1].format == "onnx"


def test_selected_columns_are_compiled(stock: dict[str, Any]) -> None:
    def keep(values: dict[str, Any]) -> None:
        values["features"]["keep"] = 5

    assert outcome(kit.settings_of("binary", stock, change=keep), "linear", kit.table("binary"))[-1].format == "onnx"


@pytest.mark.parametrize("name", ["linear", "forest", "boosting"])
def test_text_is_left_to_scikit_learn(name: str, stock: dict[str, Any], capfd: pytest.CaptureFixture[str]) -> None:
    """Whether ONNX Runtime loads its operator for text at all depends on the locales of the machine."""
    found = outcome(kit.settings_of("binary", stock, text=True), name, kit.table("binary"))[-1]
    assert found.content is None
    assert found.why == (
        "Served by scikit-learn: it cannot be compiled to ONNX (ONNX's operator for text follows the languages "
        "installed where it runs)."
    )
    assert capfd.readouterr() == ("", "")


def test_a_conversion_that_is_silently_wrong_is_refused(stock: dict[str, Any]) -> None:
    """sklearn-onnx 1051, 1101: `categorical_features` compiles to thresholds on codes."""
    change = changed(
        "boosting",
        classifier={
            "_target_": "sklearn.ensemble.HistGradientBoostingClassifier",
            "categorical_features": [4, 5],
            "max_iter": 30,
        },
        prepare={"numeric": "pass", "categorical": "ordinal"},
    )
    rows = kit.table("binary")
    town = np.asarray(rows.column("town").fill_null("").to_pylist())
    odd = np.isin(town, ["TOWN 1", "TOWN 4", "TOWN 6", "TOWN 9"])
    rows = rows.set_column(rows.column_names.index("outcome"), "outcome", pa.array(np.where(odd, "leaves", "stays")))
    found = outcome(kit.settings_of("binary", stock, change=change), "boosting", rows)[-1]
    assert found.content is None
    assert found.why.startswith("Served by scikit-learn: compiled to ONNX, it differs by ")
    assert found.why.endswith(" on a test row, more than 1e-05.")


class Own(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that no converter knows."""

    def fit(self, x: Any, y: Any) -> Own:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, x: Any) -> Any:
        return np.tile([0.25, 0.75], (len(x), 1))


def test_what_has_no_converter_is_left_to_scikit_learn(stock: dict[str, Any]) -> None:
    loaded, rows = kit.settings_of("binary", stock), kit.table("binary")
    model = kit.trained(loaded, rows, "linear")
    model.pipeline.steps[-1] = ("model", Own().fit(None, [0, 1]))
    signature = package.signed(loaded, model, None)
    found = compiled(model, signature, arrays(rows, loaded.data.columns, signature.inputs), None)
    assert found.content is None
    assert found.why.startswith("Served by scikit-learn: it cannot be compiled to ONNX (Unable to find a shape calcul")
    assert found.why.endswith(").")
    assert len(found.why) < 250


def test_labels_at_the_threshold_itself_are_kept(stock: dict[str, Any]) -> None:
    """0.7 in float32 is below 0.7: a leaf of exactly that share would be called negative."""

    def tree(values: dict[str, Any]) -> None:
        values["candidate"]["forest"]["classifier"] = {
            "_target_": "sklearn.tree.DecisionTreeClassifier",
            "max_depth": 1,
        }
        values["data"]["threshold"] = 0.7
        values["features"]["drop_constant"] = False

    rows = kit.table("binary")
    count = rows.num_rows
    young = np.arange(count) % 2 == 0
    leaves = np.where(young, np.arange(count) // 2 % 10 < 7, np.arange(count) // 2 % 10 < 2)
    for name, values in (("age", np.where(young, 20.0, 60.0)), ("outcome", np.where(leaves, "leaves", "stays"))):
        rows = rows.set_column(rows.column_names.index(name), name, pa.array(values))
    model, signature, columns, found = outcome(kit.settings_of("binary", stock, change=tree), "forest", rows)
    built = build(columns, signature.contract, None)
    reference = model.scores(built)
    assert set(reference.round(6)) == {0.2, 0.7}
    assert (reference >= 0.7).any()
    scores = onnx(found.content or b"", signature)(built)
    assert (scores >= 0.7).sum() == 0  # what would be lost
    assert 0.7 - 1e-5 < found.threshold < 0.7
    np.testing.assert_array_equal(scores >= found.threshold, reference >= 0.7)


def test_boundary_rows_reach_every_edge(stock: dict[str, Any]) -> None:
    loaded, rows = kit.settings_of("binary", stock), kit.table("binary")
    signature = package.signed(loaded, kit.trained(loaded, rows, "linear"), None)
    columns = arrays(rows, loaded.data.columns, signature.inputs)
    edges = boundary(columns, signature.inputs)
    assert {len(values) for values in edges.values()} == {len(edges["age"])}
    assert (edges["age"].min(), edges["age"].max()) == (0, 120)  # the contract's, wider than what was seen
    assert not np.isnan(edges["age"]).any()
    assert np.nanmin(edges["income"]) == 0
    assert np.isnan(edges["income"]).any()
    assert edges["balance"].max() == columns["balance"].max()
    assert set(edges["colour"]) == {"red", "green", "blue"}
    assert "" in set(edges["town"])
    assert "A CATEGORY THAT NO ROW HAS" in set(edges["town"])
    assert set(edges["member"][~np.isnan(edges["member"])]) == {0, 1}
    lowest = (edges["age"] == 0) & (edges["balance"] == columns["balance"].min()) & (edges["colour"] == "red")
    assert lowest.any()
    again = boundary(columns, signature.inputs)
    assert all(np.array_equal(edges[name], again[name], equal_nan=edges[name].dtype.kind == "f") for name in edges)


def test_a_derivation_that_fails_on_an_allowed_row_is_refused(stock: dict[str, Any]) -> None:
    """The service would have no answer to that row."""

    def derive(columns: dict[str, Any]) -> dict[str, Any]:
        return {"rate": np.divide(1.0, columns["age"], where=True)}

    loaded, rows = kit.settings_of("binary", stock), kit.table("binary")
    model = kit.trained(loaded, rows, "linear")
    signature = package.signed(loaded, model, derive).model_copy(update={"derive": "customers.features.derive"})
    columns = arrays(rows, loaded.data.columns, signature.inputs)
    with np.errstate(divide="ignore"), pytest.raises(InputError) as caught:
        compiled(model, signature, columns, derive)
    assert "derive: rate: has infinite values; return NaN where it is not defined" in str(caught.value)
    assert str(caught.value).endswith("(on rows at the edges of the contract, which a service must answer)")
    assert caught.value.exit_code == 2


def test_a_difference_on_boundary_rows_alone_is_refused(stock: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(content: bytes, signature: Any) -> Any:
        predict = onnx(content, signature)
        return lambda columns: predict(columns) + 0.01 * (columns["age"] == 120)  # none of the test rows is so old

    monkeypatch.setattr("gitloop.serving.compile.onnx", wrong)
    found = outcome(kit.settings_of("binary", stock), "linear", kit.table("binary"))[-1]
    assert found.content is None
    assert (
        found.why == "Served by scikit-learn: compiled to ONNX, it differs by 0.01 on a boundary row, more than 1e-05."
    )


@dataclass
class Said:
    """A model that says what it is told to say."""

    task: str
    scores_: list[Any]
    threshold: float = 0.5

    def scores(self, columns: Any) -> Any:
        return np.array(self.scores_)


@pytest.mark.parametrize(
    ("task", "pipeline", "compiled_scores", "told"),
    [
        ("binary", [0.5, 0.499999], [0.499999, 0.5], "it gives 2 of 2 test rows another label"),
        ("binary", [0.5, 0.499999], [0.5, 0.5], "it gives 1 of 2 test rows another label"),
        (
            "multiclass",
            [[0.5, 0.499999], [0.1, 0.9]],
            [[0.499999, 0.5], [0.1, 0.9]],
            "it gives 1 of 2 test rows another",
        ),
        ("binary", [0.5, 0.2], [0.5, np.nan], "it differs by inf on a test row, more than 1e-05"),
        ("binary", [0.5, 0.2], [[0.5, 0.2]], "it differs by inf on a test row, more than 1e-05"),
        ("regression", [2000.0, 3.0], [2000.0, 3.02], "it differs by 2e-05 on a test row, more than 1e-05"),
    ],
)
def test_the_proof_bites(task: str, pipeline: list[Any], compiled_scores: list[Any], told: str) -> None:
    proof = Proof(threshold=0.5, unit=1000.0 if task == "regression" else 1.0)
    with pytest.raises(Unequal) as caught:
        proof.compare(Said(task, pipeline), lambda columns: np.array(compiled_scores), {"x": np.zeros(2)}, "test")
    assert str(caught.value).startswith(told)


def test_a_threshold_moves_no_further_than_it_must() -> None:
    proof = Proof(threshold=0.5, unit=1.0)
    proof.compare(Said("binary", [0.5, 0.2]), lambda columns: np.array([0.499999, 0.2]), {"x": np.zeros(2)}, "test")
    assert proof.threshold == 0.499999
    above = Proof(threshold=0.5, unit=1.0)
    above.compare(
        Said("binary", [0.9, 0.499999]), lambda columns: np.array([0.9, 0.500001]), {"x": np.zeros(2)}, "test"
    )
    assert above.threshold == np.nextafter(0.500001, 1)
    none = Proof(threshold=0.5, unit=1.0)
    none.compare(Said("binary", [0.5, 0.2]), lambda columns: np.array([0.5, 0.2]), {"x": np.zeros(2)}, "test")
    assert none.threshold == 0.5
    assert none.said("binary") == (
        "Compiled to ONNX: on 2 test rows no label differs from scikit-learn's, and probabilities differ nowhere."
    )
