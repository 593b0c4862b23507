"""`gitloop train`: what it writes for each task, that it repeats itself to the byte, and what it refuses."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from gitloop import layout, targets
from gitloop.cli import main
from gitloop.data.table import arrays
from gitloop.modeling import inputs
from gitloop.modeling.store import load
from gitloop.settings import METRICS, Settings

Change = Callable[[dict[str, Any]], None]
Study = Callable[..., Settings]
TASKS = tuple(METRICS)


def quick(more: Change | None = None) -> Change:
    """Smaller models and no search, then what a test changes."""

    def change(values: dict[str, Any]) -> None:
        values["tuning"] |= {"method": "none", "folds": 3}
        for kind in ("classifier", "regressor"):
            values["candidate"]["forest"][kind]["n_estimators"] = 10
            values["candidate"]["boosting"][kind]["max_iter"] = 15
        if more:
            more(values)

    return change


def without_time(values: dict[str, Any]) -> None:
    values["data"]["columns"]["at"]["role"] = "ignored"


def trained(name: str) -> dict[str, Any]:
    assert main(["train", name]) == 0
    told: dict[str, Any] = json.loads(layout.candidate_metrics(name).read_text())
    return told


def refused(name: str, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that says why it does not train; nothing is written."""
    before = sorted(Path().rglob("*"))
    assert main(["train", name]) == 2
    assert sorted(Path().rglob("*")) == before
    error = capsys.readouterr().err.strip()
    assert "\n" not in error
    return error


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", ["dummy", "linear", "forest", "boosting"])
def test_what_is_told_of_a_candidate(name: str, task: str, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = study(task, quick())
    told = trained(name)
    assert list(told) == [
        *("candidate", "complexity", "metric", "cv", "train", "parameters", "features", "rows"),
        *("trained_from", "trained_until", "model"),
    ]
    assert (told["candidate"], told["complexity"]) == (name, loaded.candidate[name].complexity)
    assert list(told["cv"]) == list(told["train"]) == list(METRICS[task])
    one = told["cv"][loaded.data.metric]
    assert one["mean"] == pytest.approx(np.mean(one["folds"]), rel=1e-5)
    assert one["se"] == pytest.approx(np.std(one["folds"], ddof=1) / 3**0.5, rel=1e-4, abs=1e-9)
    assert set(told["features"]) == {"numeric", "categorical", "text", "dropped", "kept"}
    assert "outcome" not in str(told["features"])
    assert "ward" not in str(told["features"])  # audited, not a feature
    rows = pq.read_metadata(layout.TRAIN).num_rows
    assert told["rows"] == rows
    assert told["trained_from"] == "2020-01-01T00:00:00"
    assert told["trained_until"] == str(np.datetime64("2020-01-01T00:00:00") + np.timedelta64(rows - 1, "h"))
    metric = loaded.data.metric
    assert f"{name}: {metric} {one['mean']:.4g} ± {one['se']:.2g} (cross-validated)" in capsys.readouterr().out

    path = layout.candidate_model(name)
    content = path.read_bytes()
    assert told["model"] == {"path": path.as_posix(), "sha256": hashlib.sha256(content).hexdigest()}
    model = load(path, told["model"]["sha256"])
    assert (model.name, model.task, model.rows, model.trained_until) == (name, task, rows, told["trained_until"])


@pytest.mark.parametrize("task", TASKS)
def test_models_are_better_than_the_dummy(task: str, study: Study) -> None:
    """Judged by the declared metric, greater or smaller is better as it may be."""
    metric = study(task, quick()).data.metric
    dummy, linear = (trained(name)["cv"][metric]["mean"] for name in ("dummy", "linear"))
    assert (linear < 0.7 * dummy) if metric == "log_loss" else (linear > dummy + 0.2)


PROGRAM = "import sys; from gitloop.cli import main; sys.exit(max(main(['train', name]) for name in sys.argv[1:]))"


def test_a_second_training_gives_the_same_bytes(study: Study) -> None:
    """In another process, with other hashes and another number of threads; the search included."""

    def search(values: dict[str, Any]) -> None:
        values["tuning"] |= {"method": "optuna", "trials": 3, "rows": 200}
        values["features"]["keep"] = 4

    study("binary", quick(search))
    results = []
    for threads in ("1", "2"):
        more = {"PYTHONHASHSEED": threads, "OMP_NUM_THREADS": threads, "GIT_DIR": "none"}
        command = [sys.executable, "-c", PROGRAM, "linear", "forest", "boosting"]
        subprocess.run(command, check=True, env={**os.environ, **more})
        found = [path for folder in ("models", "metrics", "logs") for path in sorted(Path(folder).rglob("*"))]
        results.append({path: path.read_bytes() for path in found if path.is_file()})
    assert len(results[0]) > 9
    assert results[0] == results[1]


@pytest.mark.parametrize("method", ["optuna", "halving"])
def test_the_search_and_its_log(method: str, study: Study) -> None:
    def search(values: dict[str, Any]) -> None:
        values["tuning"] |= {"method": method, "trials": 4, "rows": 150}
        values["data"]["metric"] = "log_loss"

    study("binary", quick(search))
    told = trained("boosting")
    assert set(told["parameters"]) == {"learning_rate", "max_leaf_nodes", "min_samples_leaf"}
    fitted = load(layout.candidate_model("boosting")).pipeline["model"].get_params()
    assert {key: fitted[key] for key in told["parameters"]} == told["parameters"]

    folder = layout.candidate_log("boosting")
    log = json.loads((folder / "metrics.json").read_text())
    assert log["cv"]["log_loss"] == told["cv"]["log_loss"]["mean"]

    def logged(name: str) -> list[float]:
        lines = (folder / f"plots/metrics/tuning/{name}.tsv").read_text().splitlines()
        assert lines[0] == f"step\t{name}"
        return [float(line.split("\t")[1]) for line in lines[1:]]

    assert len(logged("value")) == 4
    assert logged("best") == np.minimum.accumulate(logged("value")).tolist()
    learned = [value for value, best in zip(logged("learning_rate"), logged("value"), strict=True)]
    assert told["parameters"]["learning_rate"] == learned[int(np.argmin(logged("value")))]


def test_rows_without_time_are_shuffled_and_groups_kept_whole(study: Study) -> None:
    study("regression", quick(without_time))
    alone = trained("linear")
    assert (alone["trained_from"], alone["trained_until"]) == (None, None)

    def grouped(values: dict[str, Any]) -> None:
        without_time(values)
        values["data"]["columns"]["ward"] = {"type": "categorical"}
        values["data"]["split"] = {"group": "ward"}

    study("regression", quick(grouped))
    assert trained("linear")["cv"]["r2"]["folds"] != alone["cv"]["r2"]["folds"]


def test_groups_fewer_than_folds_are_refused(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    def grouped(values: dict[str, Any]) -> None:
        without_time(values)
        values["data"]["split"] = {"group": "ward"}
        values["tuning"]["folds"] = 4

    study("binary", quick(grouped))
    assert "folds: 4 folds cannot be cut, for there are 3 groups" in refused("linear", capsys)


def test_useless_columns_are_left_out_and_told(study: Study, rows_of: Callable[[str], pa.Table]) -> None:
    rows = rows_of("binary")
    name = rows.column_names[2]
    void = pa.nulls(rows.num_rows, pa.float64())
    rows = rows.append_column("void", void).append_column("flat", pa.array([1.0] * rows.num_rows))
    rows = rows.append_column("twin", rows.column(name))

    def declare(values: dict[str, Any]) -> None:
        for extra in ("void", "flat", "twin"):
            values["data"]["columns"][extra] = {"type": "numeric", "nullable": True}

    loaded = study("binary", quick(declare), rows)
    told = trained("linear")
    assert told["features"]["dropped"] == {
        "void": "missing share 1",
        "flat": "constant",
        "twin": f"duplicate of {name}",
    }
    assert told["features"]["kept"] is None
    columns = inputs.build(arrays(rows, loaded.data.columns, inputs.visible(loaded.data)), loaded.data, None)
    assert np.isfinite(load(layout.candidate_model("linear")).scores(columns)).all()


def test_the_features_kept_are_told(study: Study) -> None:
    study("binary", quick(lambda values: values["features"].update(keep=2)))
    told = trained("boosting")
    assert len(told["features"]["kept"]) == 2
    assert all(name.startswith("numeric__") for name in told["features"]["kept"])


MODULE = """
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin

def shifted(columns):
    return {"next": np.roll(columns["mean_area"], 1)}

def leak(columns):
    return {"clever": columns["outcome"]}

def area(columns):
    return {"side": np.sqrt(columns["mean_area"])}

class Share(ClassifierMixin, BaseEstimator):
    def __init__(self, shift=0.0):
        self.shift = shift

    def fit(self, X, y):
        if self.shift > 1:
            raise ValueError("shift is too\\nlarge")
        self.classes_, self.share_ = np.unique(y), float(np.mean(y))
        return self

    def predict_proba(self, X):
        return np.tile([1 - self.share_, self.share_], (len(X), 1))

    def predict(self, X):
        return np.full(len(X), int(self.share_ > 0.5))
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package of the user's."""
    (tmp_path / "src/study").mkdir(parents=True)
    (tmp_path / "src/study/mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "src")
    for name in [name for name in sys.modules if name.split(".")[0] == "study"]:
        monkeypatch.delitem(sys.modules, name)
    return "study.mine"


def test_a_derived_column_is_a_feature(study: Study, mine: str) -> None:
    study("binary", quick(lambda values: values["features"].update(derive=f"{mine}.area")))
    assert "side" in trained("linear")["features"]["numeric"]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("shifted", "study.mine.shifted: next: depends on other rows or on chance"),
        ("leak", "study.mine.leak: failed with KeyError: 'outcome'; mend it (it is given at, mean_radius"),
        (
            "areas",
            "conf/features/default.yaml: derive: there is no 'study.mine.areas'; did you mean 'study.mine.area'?",
        ),
    ],
)
def test_a_derivation_that_would_skew_or_leak_is_refused(
    function: str, message: str, study: Study, mine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study("binary", quick())
    params = yaml.safe_load(layout.PARAMS.read_text())
    params["features"]["derive"] = f"{mine}.{function}"
    layout.PARAMS.write_text(yaml.safe_dump(params, sort_keys=False))
    assert message in refused("linear", capsys)


def share(method: str, **arguments: Any) -> Change:
    def change(values: dict[str, Any]) -> None:
        values["candidate"]["share"] = {
            "complexity": 1,
            "classifier": {"_target_": "study.mine.Share", **arguments},
            "search": {"shift": {"low": 0.0, "high": 0.5}},
        }
        values["tuning"] |= {"method": method, "trials": 2}

    return quick(change)


def test_an_estimator_of_ones_own(study: Study, mine: str) -> None:
    """Its model file holds a type of its package, which the configuration vouches for, and nobody else."""
    loaded = study("binary", share("optuna"))
    told = trained("share")
    spec = loaded.candidate["share"].estimator("binary")
    model = load(Path(told["model"]["path"]), told["model"]["sha256"], targets.packages(spec))
    assert type(model.pipeline["model"]).__name__ == "Share"

    selected = json.loads(layout.SELECTED.read_text()) | {"candidate": "share", "model": told["model"]}
    layout.SELECTED.write_text(json.dumps(selected))
    assert main(["evaluate"]) == 0


def test_an_estimator_that_will_not_be_trained_is_told_in_one_line(
    study: Study, mine: str, capsys: pytest.CaptureFixture[str]
) -> None:
    study("binary", share("none", shift=2.0))
    assert "conf/candidate/share.yaml: Share cannot be trained (shift is too large); correct" in refused(
        "share", capsys
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"C": -1.0}, "conf/candidate/linear.yaml: LogisticRegression cannot be trained (The 'C' parameter of"),
        (
            {"max_itr": 1},
            "linear.yaml: classifier: sklearn.linear_model.LogisticRegression has no argument 'max_itr'; did you mean",
        ),
        ({"_target_": "sklearn.linear_model.Logistic"}, "there is no 'sklearn.linear_model.Logistic'; did you mean"),
    ],
)
def test_wrong_arguments(
    change: dict[str, Any], message: str, study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    study("binary", quick(lambda values: values["candidate"]["linear"]["classifier"].update(change)))
    assert message in refused("linear", capsys)


def test_an_unknown_candidate(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    study("binary", quick())
    error = refused("bosting", capsys)
    assert error == "gitloop train: conf/candidate/bosting.yaml: there is no such candidate; did you mean 'boosting'?"


def test_no_rows_to_train_on(
    study: Study, rows_of: Callable[[str], pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    study("binary", quick())
    pq.write_table(rows_of("binary").slice(0, 0), layout.TRAIN)
    assert "data/train.parquet: has no rows; widen the window in conf/data/study.yaml" in refused("linear", capsys)
    pq.write_table(rows_of("binary").slice(0, 5), layout.TRAIN)
    assert "folds: 3 folds cannot be cut, for there are 5 rows" in refused("linear", capsys)
    layout.TRAIN.unlink()
    assert "data/train.parquet: not there; run `gitloop split` first" in refused("linear", capsys)


def test_a_target_of_one_class(
    study: Study, rows_of: Callable[[str], pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    study("binary", quick())
    rows = rows_of("binary")
    place = rows.column_names.index("outcome")
    pq.write_table(rows.set_column(place, "outcome", pa.array(["benign"] * rows.num_rows)), layout.TRAIN)
    assert "data/train.parquet: outcome: has one class only" in refused("linear", capsys)
    late = pa.array(["benign"] * (rows.num_rows - 9) + ["malignant"] * 9)
    pq.write_table(rows.set_column(place, "outcome", late), layout.TRAIN)
    assert "of 3 folds one would train on a single class" in refused("linear", capsys)


def test_a_metric_that_no_fold_defines(
    study: Study, rows_of: Callable[[str], pa.Table], capsys: pytest.CaptureFixture[str]
) -> None:
    """Two classes early, one class ever after: no validation slice has a ROC curve."""
    study("binary", quick())
    rows = rows_of("binary")
    early = pa.array(["malignant", "benign"] * 20 + ["benign"] * (rows.num_rows - 40))
    pq.write_table(rows.set_column(rows.column_names.index("outcome"), "outcome", early), layout.TRAIN)
    assert "roc_auc is not defined on any of 3 folds; use fewer folds or more rows" in refused("linear", capsys)


def test_a_class_that_early_folds_lack(study: Study, rows_of: Callable[[str], pa.Table]) -> None:
    """By time, a class may begin late: its probability is 0 until then."""
    rows = rows_of("multiclass")
    place = rows.column_names.index("outcome")
    labels = np.array(rows.column("outcome").to_pylist())
    labels[:60][labels[:60] == "class_2"] = "class_1"
    study("multiclass", quick(), rows.set_column(place, "outcome", pa.array(labels)))
    for name in ("linear", "forest", "boosting"):
        assert 0 < trained(name)["cv"]["accuracy"]["mean"] < 1


def test_a_warning_is_shown_once(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    study("binary", quick(lambda values: values["candidate"]["linear"]["classifier"].update(max_iter=1)))
    trained("linear")
    error = capsys.readouterr().err
    assert error.count("warning:") == 1
    assert error.startswith("warning: linear: lbfgs failed to converge")


def test_a_repository_without_a_commit_is_told_to_commit(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    """DVCLive cannot work in one."""
    study("binary", quick())
    subprocess.run(["git", "init", "--quiet"], check=True)
    subprocess.run(["dvc", "init", "--quiet"], check=True)
    assert main(["train", "dummy"]) == 2
    error = capsys.readouterr().err
    assert ".git: Empty git repo; commit once (`git add --all && git commit`), then run again" in error
    assert not layout.candidate_metrics("dummy").exists()
