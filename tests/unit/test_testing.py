"""The pytest plugin that a project's own tests use, in a pytest of its own as `make test` and the gates run it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from gitloop import layout
from gitloop.files import write_json
from gitloop.modeling import features, inputs, store

Root = Callable[[dict[str, Any]], Path]
TESTS = """
    import numpy as np

    def test_contract(contract):
        assert contract.target == "sick"
        assert contract.columns["age"].range == (0, 120)

    def test_derive(derive):
        assert derive({"age": np.array([20.0])})["decade"].tolist() == [2]

    def test_columns(columns):
        assert set(columns) == {"age", "ward"}  # never the target, keys or personal data
        assert len(columns["age"]) == 500
        columns["age"] += 1000.0
        columns["ward"][:] = "changed"

    def test_columns_are_as_they_were(columns):
        assert columns["age"].max() < 200
        assert "changed" not in columns["ward"]

    def test_predict(columns, predict):
        columns["age"][:] = 20.0
        young = predict(columns)
        columns["age"][:] = 80.0
        assert predict(columns).mean() > young.mean() + 0.5
        assert young.shape == (500,)
"""


@pytest.fixture
def project(root: Root, params: dict[str, Any]) -> Path:
    """A project whose own code and tests are written, but nothing is trained."""
    params["data"] = {
        "name": "ages",
        "task": "binary",
        "metric": "roc_auc",
        "source": {"_target_": "x.Y"},
        "columns": {
            "name": {"type": "text", "role": ["key", "pii"], "pii": "hash"},
            "age": {"type": "numeric", "range": [0, 120]},
            "ward": {"type": "categorical"},
            "sick": {"type": "boolean", "role": "target"},
        },
    }
    params["features"]["derive"] = "ownages.features.derive"
    folder = root(params)
    (folder / "src/ownages").mkdir(parents=True)
    (folder / "src/ownages/__init__.py").touch()
    (folder / "src/ownages/features.py").write_text(
        "def derive(columns):\n    return {'decade': columns['age'] // 10}\n"
    )
    (folder / "test_own.py").write_text(textwrap.dedent(TESTS))
    return folder


def train(folder: Path) -> None:
    age = np.random.default_rng(0).uniform(0, 100, 2000)
    table = pa.table({"age": age, "ward": ["a"] * 2000, "sick": age > 50})
    (folder / "data").mkdir()
    pq.write_table(table, folder / layout.TEST)
    schema = inputs.Schema(numeric=("age", "decade"))
    columns = {"age": age, "decade": age // 10}
    fitted = make_pipeline(LogisticRegression(max_iter=1000)).fit(
        features.frame(columns, schema), (age > 50).astype(int)
    )
    model = store.Model("linear", "binary", schema, fitted, None, 0.5, None, None, 2000)
    sha256 = store.save(layout.candidate_model("linear"), model)
    chosen = {"path": layout.candidate_model("linear").as_posix(), "sha256": sha256}
    write_json(layout.SELECTED, {"candidate": "linear", "model": chosen})


def pytest_there(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "gitloop.testing", "-p", "no:cacheprovider", "-rs", *arguments]
    environment = {"PYTHONPATH": str(folder / "src"), "PATH": "/usr/bin:/bin", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_fixtures_give_what_was_trained(project: Path) -> None:
    train(project)
    done = pytest_there(project)
    assert done.returncode == 0, done.stdout
    assert "5 passed" in done.stdout


def test_without_a_model_only_what_needs_one_is_skipped(project: Path) -> None:
    done = pytest_there(project)
    assert done.returncode == 0, done.stdout
    assert "2 passed, 3 skipped" in done.stdout
    assert "data/test.parquet: not there; run `make train`" in done.stdout


def test_a_model_that_is_named_but_gone_is_an_error_not_a_skip(project: Path) -> None:
    train(project)
    layout.candidate_model("linear").unlink()
    done = pytest_there(project)
    assert done.returncode == 1
    assert "models/linear.skops: not there" in done.stdout


def test_nothing_derived_is_a_skip(project: Path) -> None:
    values = yaml.safe_load(layout.PARAMS.read_text())
    values["features"]["derive"] = None
    layout.PARAMS.write_text(yaml.safe_dump(values))
    done = pytest_there(project, "-k", "derive")
    assert "1 skipped" in done.stdout
    assert "features.derive is null" in done.stdout


def test_the_plugin_itself_is_light() -> None:
    code = "import sys, gitloop.testing; print([m for m in ('numpy', 'pydantic', 'sklearn') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
