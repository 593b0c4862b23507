"""Each candidate's pipeline: the stock ones on every task and in ONNX, any other estimator, wrong ones refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest
import yaml
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from gitloop.arrays import Array, Columns
from gitloop.errors import InputError
from gitloop.modeling import candidates
from gitloop.modeling.features import frame
from gitloop.modeling.inputs import Schema
from gitloop.settings import Candidate, Features

SCHEMA = Schema(numeric=("age", "income"), categorical=("town", "trade"))
STOCK = ("dummy", "linear", "forest", "boosting")
TASKS = ("binary", "multiclass", "regression")


def sample(rows: int = 600, seed: int = 0) -> tuple[Columns, dict[str, Array]]:
    """Rows with nulls, a hundred rare categories, and a target for each task."""
    rng = np.random.default_rng(seed)
    age, income = rng.normal(40, 12, rows), rng.lognormal(10, 1, rows)
    town = np.array([f"town{number}" for number in rng.zipf(1.6, rows) % 100], dtype=object)
    trade = rng.choice(np.array(["smith", "baker", ""], dtype=object), rows)
    signal = (age - 40) / 12 + (trade == "smith") + rng.normal(0, 0.5, rows)
    targets: dict[str, Array] = {
        "binary": (signal > 0.3).astype(np.int8),
        "multiclass": np.array(["high", "low", "mid"], dtype=object)[np.digitize(signal, [-0.3, 0.8])],
        "regression": signal * 100,
    }
    age[rng.random(rows) < 0.1] = np.nan
    return {"age": age, "income": income, "town": town, "trade": trade}, targets


def unfamiliar() -> Columns:
    """Rows as a service may get them: nulls, categories never seen, extremes of the ranges."""
    columns, _ = sample(300, seed=1)
    columns["age"][:40] = np.nan
    columns["income"][20:60] = np.nan
    columns["income"][60:70] = [0, -1, 1e6, 1e9, 1e-9, 123456.789, 16777217, 3e38, -3e38, 1e300]
    columns["town"][70:100] = "Atlantis"
    columns["trade"][90:120] = "diver"
    return columns


def made(name: str, stock: dict[str, Any], task: str, settings: Features | None = None, **more: Any) -> Pipeline:
    candidate = Candidate.model_validate(stock["candidate"][name] | more)
    return candidates.pipeline(candidate, SCHEMA, task, settings or Features(), name=name)


def answers(pipeline: Pipeline, columns: Columns, task: str) -> Array:
    table = frame(columns, SCHEMA)
    return np.asarray(pipeline.predict(table) if task == "regression" else pipeline.predict_proba(table))


def in_onnx(pipeline: Pipeline, columns: Columns, task: str) -> Array:
    types = [(name, FloatTensorType([None, 1])) for name in SCHEMA.numeric]
    types += [(name, StringTensorType([None, 1])) for name in SCHEMA.categorical]
    options = None if task == "regression" else {id(pipeline): {"zipmap": False}}
    content = to_onnx(pipeline, initial_types=types, options=options).SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    table = frame(columns, SCHEMA)
    inputs = {name: table[[name]].to_numpy(np.float32) for name in SCHEMA.numeric}
    inputs |= {name: table[[name]].to_numpy(object) for name in SCHEMA.categorical}
    outputs = session.run(None, inputs)
    return np.asarray(outputs[0]).ravel() if task == "regression" else np.asarray(outputs[1])


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["linear", "forest", "boosting"])
def test_the_stock_candidates_are_the_same_in_onnx(name: str, task: str, stock: dict[str, Any]) -> None:
    """Fast serving rests on it. Parity within 1e-5, relative to the largest answer of a regression."""
    columns, targets = sample()
    pipeline = made(name, stock, task)
    pipeline.fit(frame(columns, SCHEMA), targets[task])
    rows = {key: np.concatenate([columns[key], values]) for key, values in unfamiliar().items()}
    expected = answers(pipeline, rows, task)
    largest = np.abs(expected).max() if task == "regression" else 1
    np.testing.assert_allclose(in_onnx(pipeline, rows, task), expected, rtol=0, atol=1e-5 * largest)
    if task != "regression":
        np.testing.assert_array_equal(in_onnx(pipeline, rows, task).argmax(axis=1), expected.argmax(axis=1))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", STOCK)
def test_the_stock_candidates_answer_to_anything(name: str, task: str, stock: dict[str, Any]) -> None:
    columns, targets = sample()
    pipeline = made(name, stock, task)
    pipeline.fit(frame(columns, SCHEMA), targets[task])
    assert list(pipeline.named_steps) == ["prepare", "model"]
    answered = answers(pipeline, unfamiliar(), task)
    assert np.isfinite(answered).all()
    rows = unfamiliar()
    for row in (0, 65, 95):  # alone as among others
        alone = answers(pipeline, {key: values[[row]] for key, values in rows.items()}, task)
        np.testing.assert_allclose(alone[0], answered[row], rtol=1e-9)


@pytest.mark.parametrize("task", TASKS)
def test_the_stock_candidates_are_better_than_the_dummy(task: str, stock: dict[str, Any]) -> None:
    columns, targets = sample()
    new, truth = sample(400, seed=3)
    error = {}
    for name in STOCK:
        pipeline = made(name, stock, task).fit(frame(columns, SCHEMA), targets[task])
        error[name] = 1 - pipeline.score(frame(new, SCHEMA), truth[task])
    assert max(error[name] for name in STOCK[1:]) < 0.7 * error["dummy"]


@pytest.mark.parametrize("name", ["linear", "forest", "boosting"])
@pytest.mark.parametrize("task", TASKS)
def test_at_most_so_many_features_are_kept(name: str, task: str, stock: dict[str, Any]) -> None:
    """Also for a model that would take nulls: their univariate score is not defined."""
    columns, targets = sample()
    pipeline = made(name, stock, task, Features(keep=2))
    pipeline.fit(frame(columns, SCHEMA), targets[task])
    kept = pipeline[:-1].get_feature_names_out().tolist()
    assert len(kept) == 2
    assert "numeric__age" in kept
    assert np.isfinite(answers(pipeline, unfamiliar(), task)).all()


def test_text_is_read_by_its_words(stock: dict[str, Any]) -> None:
    schema = Schema(numeric=("age",), text=("note", "remark"))
    rng = np.random.default_rng(0)
    good = rng.random(200) < 0.5
    columns = {
        "age": rng.normal(size=200),
        "note": np.array([f"{'fine' if yes else 'poor'} work {row}" for row, yes in enumerate(good)], dtype=object),
        "remark": np.array(["", "of no matter"] * 100, dtype=object),
    }
    for name in STOCK[1:]:
        candidate = Candidate.model_validate(stock["candidate"][name])
        pipeline = candidates.pipeline(candidate, schema, "binary", Features(), name=name)
        pipeline.fit(frame(columns, schema), good.astype(np.int8))
        assert pipeline.score(frame(columns, schema), good.astype(np.int8)) > 0.95


OTHERS = """
neighbours:
  complexity: 2
  classifier: {_target_: sklearn.neighbors.KNeighborsClassifier, n_neighbors: 7}
  regressor: {_target_: sklearn.neighbors.KNeighborsRegressor, n_neighbors: 7}
  prepare: {scale: true, categorical: onehot, max_categories: 5}
network:
  complexity: 4
  classifier: {_target_: sklearn.neural_network.MLPClassifier, hidden_layer_sizes: [8, 4], random_state: 0}
  regressor: {_target_: sklearn.neural_network.MLPRegressor, hidden_layer_sizes: [8, 4], random_state: 0}
  prepare: {scale: true, categorical: target}
bagged:
  complexity: 3
  classifier:
    _target_: sklearn.ensemble.BaggingClassifier
    estimator: {_target_: sklearn.tree.DecisionTreeClassifier, max_depth: 3}
    random_state: 0
  regressor:
    _target_: sklearn.ensemble.BaggingRegressor
    estimator: {_target_: sklearn.tree.DecisionTreeRegressor, max_depth: 3}
    random_state: 0
  prepare: {categorical: ordinal}
bayes:  # takes no sparse matrix
  complexity: 1
  classifier: {_target_: sklearn.naive_bayes.GaussianNB}
  regressor: {_target_: sklearn.linear_model.BayesianRidge}
"""


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", list(yaml.safe_load(OTHERS)))
def test_any_other_estimator_is_a_few_lines(name: str, task: str) -> None:
    columns, targets = sample()
    pipeline = made(name, {"candidate": yaml.safe_load(OTHERS)}, task)
    pipeline.fit(frame(columns, SCHEMA), targets[task])
    assert np.isfinite(answers(pipeline, sample(50, seed=2)[0], task)).all()


def test_parameters_override_the_arguments(stock: dict[str, Any]) -> None:
    candidate = Candidate.model_validate(stock["candidate"]["linear"])
    pipeline = candidates.pipeline(candidate, SCHEMA, "binary", Features(), {"C": 0.25})
    assert pipeline["model"].C == 0.25
    assert candidates.pipeline(candidate, SCHEMA, "binary", Features())["model"].C != 0.25


TREE = "sklearn.tree.DecisionTreeClassifier"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"_target_": "sklearn.tree.DecisionTreClassifier"}, f"there is no .*; did you mean '{TREE}'\\?"),
        ({"_target_": "sklearn.tre.DecisionTreeClassifier"}, "there is no .*; did you mean 'sklearn.tree'"),
        ({"_target_": "sklearn.tree.Zebra"}, "there is no .*; sklearn.tree has no 'Zebra'"),
        ({"_target_": "zebraboost.Classifier"}, "there is no .*; is zebraboost among the project's dependencies?"),
        ({"_target_": "sklearn.tree"}, "'sklearn.tree' is not a class or function; name one"),
        ({"_target_": TREE, "max_dept": 3}, f"{TREE} has no argument 'max_dept'; did you mean 'max_depth'\\?"),
        ({"_target_": "sklearn.svm.LinearSVC"}, "LinearSVC has no `fit` and `predict_proba`; choose another estimator"),
        ({"_target_": "builtins.dict"}, "dict has no `fit` and `predict_proba`"),
        ({"_target_": TREE, "_partial_": True}, "has no `fit` and"),
        (
            {"_target_": "sklearn.ensemble.BaggingClassifier", "estimator": {"_target_": "sklearn.tree.Zebra"}},
            "BaggingClassifier cannot be made .*sklearn.tree.Zebra.*; correct its arguments",
        ),
        ({"_target_": "sklearn.linear_model.LogisticRegression.fit"}, "cannot be made|has no"),
    ],
)
def test_a_wrong_target_is_told_in_one_line(spec: dict[str, Any], message: str) -> None:
    candidate = Candidate.model_validate({"complexity": 1, "classifier": spec})
    with pytest.raises(InputError, match=rf"^conf/candidate/mine.yaml: classifier: .*{message}") as refused:
        candidates.pipeline(candidate, SCHEMA, "binary", Features(), name="mine")
    assert "\n" not in str(refused.value)
    assert refused.value.exit_code == 2


def test_what_is_searched_belongs_to_the_task(stock: dict[str, Any]) -> None:
    search = {"C": {"low": 0.1, "high": 1.0}, "alpha": {"low": 0.1, "high": 1.0}}
    candidate = Candidate.model_validate(stock["candidate"]["linear"] | {"search": search})
    assert set(candidates.space("linear", candidate, "binary")) == {"C"}
    assert set(candidates.space("linear", candidate, "regression")) == {"alpha"}

    typo = Candidate.model_validate(stock["candidate"]["linear"] | {"search": {"alhpa": {"low": 0.1, "high": 1.0}}})
    message = r"conf/candidate/linear.yaml: search.alhpa: is an argument of no estimator here; did you mean 'alpha'\?"
    with pytest.raises(InputError, match=message):
        candidates.space("linear", typo, "binary")


def test_the_stock_searches_are_arguments(stock: dict[str, Any]) -> None:
    for name, values in stock["candidate"].items():
        candidate = Candidate.model_validate(values)
        for task in TASKS:
            assert set(candidates.space(name, candidate, task)) == set(candidate.search)
