"""Model files: skops, never pickle. The same model is the same bytes; a changed one is not loaded."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Collection
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import skops.io

from gitloop import threads
from gitloop.arrays import Array, Columns
from gitloop.errors import InputError
from gitloop.files import whole
from gitloop.modeling.features import frame
from gitloop.modeling.inputs import Schema

ABOUT = "gitloop.json"  # in the file, beside skops's own

# What scikit-learn's estimators hold beside the types that skops trusts by itself. Reviewed: numbers, arrays and two
# scoring functions, rebuilt without running anything from the file. skops leaves trees out because forged indices can
# crash the process that predicts; a forged file does not have the hash that Git records, which `load` checks first.
TRUSTED = frozenset(
    {
        "numpy.dtype",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._dist_metrics.ManhattanDistance64",
        "sklearn.metrics._dist_metrics.MinkowskiDistance64",
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
    }
)


@dataclass(frozen=True)
class Model:
    """A fitted pipeline with what is needed to use it."""

    name: str
    task: str
    schema: Schema
    pipeline: Any
    classes: tuple[str, ...] | None  # multiclass: what the columns of the scores mean
    threshold: float  # binary: positive from this probability on
    trained_from: str | None  # first and last timestamp, ISO 8601, UTC
    trained_until: str | None
    rows: int

    def scores(self, columns: Columns) -> Array:
        """Built columns of n rows → float64: binary (n,) P(positive), multiclass (n, k), regression (n,) values."""
        table = frame(columns, self.schema)
        # Threads would add up a forest's votes in any order: the last digits would differ from run to run.
        with joblib.parallel_config(backend="sequential"), threads.suited(table.size):
            if self.task == "regression":
                return np.asarray(self.pipeline.predict(table), dtype=np.float64).reshape(len(table))
            probability: Array = np.asarray(self.pipeline.predict_proba(table), dtype=np.float64)
        if self.task == "binary":
            return probability[:, 1]
        classes = self.classes or ()
        spread = np.zeros((len(table), len(classes)))  # a fold may lack a class
        spread[:, [classes.index(name) for name in self.pipeline.classes_]] = probability
        return spread

    def labels(self, scores: Array) -> Array:
        """Binary int8 by the threshold, multiclass the likeliest class (str), regression the scores themselves."""
        if self.task == "binary":
            return np.asarray(scores >= self.threshold, dtype=np.int8)
        if self.task == "multiclass":
            names: Array = np.asarray(self.classes, dtype=object)
            labels: Array = names[scores.argmax(axis=1)]
            return labels
        return scores


def save(path: Path, model: Model, packages: Collection[str] = ()) -> str:
    """Write the model; the file's sha256. Raises `InputError` where it cannot be written so that `load` takes it."""
    where = f"conf/candidate/{model.name}.yaml: the trained model"
    about = {field.name: getattr(model, field.name) for field in fields(model) if field.name != "pipeline"}
    try:
        content = _canonical(skops.io.dumps(model.pipeline), {**about, "schema": model.schema.model_dump(mode="json")})
    except Exception as error:  # whatever the estimator's state makes skops raise
        raise InputError(f"{where} cannot be written without pickle ({error}); choose another estimator") from error
    if refused := _untrusted(content, packages)[1]:
        raise InputError(f"{where} holds {', '.join(refused)}, which no file may bring; choose another estimator")
    with whole(path) as temporary:
        temporary.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def load(path: Path, sha256: str | None = None, packages: Collection[str] = ()) -> Model:
    """Read a model. `sha256`: of the file, as recorded. `packages`: whose types it may hold beside scikit-learn's.

    They are the packages of the `_target_`s in conf/candidate/ (`targets.packages`): the configuration is reviewed and
    has their code run anyway. The file has no say in what is trusted.
    Raises `InputError` where the file is missing, another one, broken, or holds a type that is not trusted.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; run `dvc pull {path}`, or `dvc repro train@{path.stem}`") from error
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{path}: is not the model recorded (its sha256 differs); run `dvc checkout {path}`")
    try:
        trusted, refused = _untrusted(content, packages)
        if not refused:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                about = json.loads(archive.read(ABOUT))
            about["schema"] = Schema.model_validate(about["schema"])
            about["classes"] = None if about["classes"] is None else tuple(about["classes"])
            return Model(pipeline=skops.io.loads(content, trusted=trusted), **about)
    except Exception as error:  # whatever a broken file makes zipfile, json, numpy or skops raise
        raise InputError(
            f"{path}: is not a whole model file ({type(error).__name__}); run `dvc checkout {path}`"
        ) from error
    raise InputError(f"{path}: holds {', '.join(refused)}, which is not trusted; if it is yours, train it again")


def _untrusted(content: bytes, packages: Collection[str]) -> tuple[list[str], list[str]]:
    """The types that skops does not trust by itself: those that we do, and those that we do not either."""
    found = skops.io.get_untrusted_types(data=content)
    trusted = [name for name in found if name in TRUSTED or name.partition(".")[0] in set(packages) - {"sklearn"}]
    return trusted, [name for name in found if name not in trusted]


def _canonical(dumped: bytes, about: dict[str, Any]) -> bytes:
    """Number objects and files by first appearance; skops names them by memory address and dates files by the clock."""
    with zipfile.ZipFile(io.BytesIO(dumped)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    ids: dict[int, int] = {}
    files: dict[str, str] = {}

    def renumber(node: Any) -> Any:
        if isinstance(node, list):
            return [renumber(item) for item in node]
        if not isinstance(node, dict):
            return node
        node = {key: renumber(value) for key, value in node.items()}
        if "__loader__" in node:
            if isinstance(node.get("file"), str):
                name = node["file"]
                node["file"] = files.setdefault(name, f"{len(files)}{Path(name).suffix}")
            # Whether two numbers are one object is chance; it matters for arrays and estimators only.
            number = node.pop("__id__", None)
            if number is not None and node["__loader__"] != "JsonNode":
                node["__id__"] = ids.setdefault(number, len(ids) + 1)
            if node["__class__"] == "_BinMapper":  # of gradient boosting; it notes how many cores this machine has
                node["content"]["content"]["n_threads"]["content"] = "1"
        if "_stop_words_id" in node:  # of a text vectorizer: a memory address, looked at in fitting alone
            node["_stop_words_id"]["content"] = "0"
        return node

    schema = renumber(json.loads(members.pop("schema.json")))
    members = {files[name]: content for name, content in members.items()}
    members["schema.json"] = json.dumps(schema).encode()
    members[ABOUT] = json.dumps(about, ensure_ascii=False).encode()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name), members[name], zipfile.ZIP_DEFLATED)  # dated 1980
    return buffer.getvalue()
