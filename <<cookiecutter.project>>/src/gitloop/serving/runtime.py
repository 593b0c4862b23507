"""The packaged model in a process: verified, loaded once, and asked. Loads NumPy and ONNX Runtime, no pandas."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gitloop import layout, settings, targets
from gitloop.arrays import Array, Columns
from gitloop.contract import Column, Contract
from gitloop.errors import InputError
from gitloop.modeling.inputs import LARGEST, Derive, Schema, build
from gitloop.serving.integrity import CARD, EXPECTED, LINEAGE, MEND, METRICS, Package, agree, verified
from gitloop.serving.origin import origin
from gitloop.serving.signature import FILE, Signature, parse
from gitloop.settings import Settings

MODELS = {"onnx": "model.onnx", "skops": "model.skops"}
TOLERANCE = 1e-5  # in the units of `apart`

Predict = Callable[[Columns], Array]  # built columns → scores


@dataclass(frozen=True)
class Served:
    """The model with all that is known of it."""

    signature: Signature
    version: str  # the name that its origin gives it, else 12 hex digits of the manifest's sha256
    lineage: dict[str, Any]
    metrics: dict[str, Any]
    card: str
    derive: Derive | None = field(repr=False)
    predict: Predict = field(repr=False)

    def scores(self, columns: Columns) -> Array:
        """The signature's inputs in canonical types, n rows → float64: binary (n,), multiclass (n, k), regression (n,).

        A row's scores do not depend on the other rows. Not finite where numbers are too large for the model.
        """
        return self.predict(build(columns, self.signature.contract, self.derive))

    def labels(self, scores: Array) -> list[Any]:
        """One value of the target's type for each row: bool, the category, or the number."""
        return labels(self.signature, scores)


def labels(signature: Signature, scores: Array) -> list[Any]:
    """What scores mean, as in `Served.labels`."""
    contract = signature.contract
    if contract.task == "regression":
        return list(scores.tolist())
    if contract.task == "multiclass":
        return [signature.labels[index] for index in scores.argmax(axis=1).tolist()]
    positive = (scores >= signature.threshold).tolist()
    if contract.columns[contract.target].type == "boolean":
        return list(positive)
    no, yes = signature.labels
    return [yes if one else no for one in positive]


def load(
    folder: Path = layout.MODEL, root: Path = Path(), contract: Contract | None = None, threads: int = 1
) -> Served:
    """Read what `gitloop package` wrote, and see that it is whole, fits the code, and says what it said then.

    `contract`: today's, which must agree on the inputs and the target. `threads`: more than one helps large batches.
    Raises `InputError`, one line for each thing that is wrong.
    """
    package = verified(folder)
    signature = parse(folder / FILE, package.json(FILE))
    if contract is not None:
        agree(folder, signature.contract, contract)
    reviewed = settings.load(root) if (root / layout.PARAMS).exists() else None
    served = Served(
        signature=signature,
        version=origin(root).version or package.sha256[:12],
        lineage=package.json(LINEAGE),
        metrics=package.json(METRICS),
        card=package.content(CARD).decode(errors="replace"),
        derive=_derive(folder, signature, reviewed),
        predict=_predict(package, signature, threads, reviewed),
    )
    _check(folder, served, package.json(EXPECTED))
    return served


def _predict(package: Package, signature: Signature, threads: int, reviewed: Settings | None) -> Predict:
    name = MODELS[signature.format]
    content, path = package.content(name), package.folder / name
    if signature.format == "skops":
        from gitloop.modeling.store import load as load_pipeline

        # What a model file may bring stands in the reviewed configuration, not in the file nor beside it.
        trusted = targets.packages(reviewed.model_dump()["candidate"]) if reviewed else ()
        return load_pipeline(path, hashlib.sha256(content).hexdigest(), trusted).scores
    try:
        return onnx(content, signature, threads)
    except Exception as error:  # ONNX Runtime has no common error
        raise InputError(f"{path}: ONNX Runtime cannot load it ({type(error).__name__}); {MEND}") from error


def onnx(content: bytes, signature: Signature, threads: int = 1) -> Predict:
    """A compiled model, ready to be asked."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 4  # errors are raised, not printed
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    output = [session.get_outputs()[-1].name]
    task, schema = signature.contract.task, signature.features

    def predict(columns: Columns) -> Array:
        answer: Array = session.run(output, feed(columns, schema))[0].astype(np.float64)
        if task == "multiclass":
            return answer
        return answer[:, 1] if task == "binary" else answer.reshape(-1)

    return predict


def feed(columns: Columns, schema: Schema) -> dict[str, Array]:
    """The inputs of a compiled model: all numbers as one matrix (n, k) of float32, each category by itself."""
    given: dict[str, Array] = {}
    if schema.numeric:
        numbers = np.empty((len(columns[schema.numeric[0]]), len(schema.numeric)))
        for index, name in enumerate(schema.numeric):
            numbers[:, index] = columns[name]
        given["numeric"] = numbers.clip(-LARGEST, LARGEST, out=numbers).astype(np.float32)
    for index, name in enumerate(schema.categorical):
        given[f"categorical{index}"] = columns[name].reshape(-1, 1)
    return given


def source_sha256(derive: Derive) -> str | None:
    """Of the file that holds the function."""
    file = getattr(sys.modules.get(derive.__module__), "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None


def _derive(folder: Path, signature: Signature, reviewed: Settings | None) -> Derive | None:
    if reviewed is not None and reviewed.features.derive != signature.derive:
        raise InputError(
            f"{layout.PARAMS}: features.derive is {reviewed.features.derive}, and the model in {folder} was trained "
            f"with {signature.derive}; run `dvc repro`, or take the change back"
        )
    if signature.derive is None:
        return None
    derive: Derive = targets.locate(f"{folder / FILE}: derive", signature.derive)
    if source_sha256(derive) != signature.derive_sha256:
        raise InputError(
            f"{folder / FILE}: {signature.derive} is not the code that the model was trained with; run `dvc repro`"
        )
    return derive


def _check(folder: Path, served: Served, expected: dict[str, Any]) -> None:
    """See that the model says of the expected rows what it said when it was packaged."""
    columns = canonical(expected["rows"], served.signature.inputs)
    scores, before = served.scores(columns), np.asarray(expected["scores"], dtype=np.float64)
    relabelled = served.signature.contract.task != "regression" and served.labels(scores) != expected["labels"]
    if relabelled or apart(scores, before, expected["unit"]) > TOLERANCE:
        raise InputError(
            f"{folder / MODELS[served.signature.format]}: does not say of the rows in {EXPECTED} what it said when it "
            "was packaged: the libraries differ; install requirements.txt, or run `dvc repro package`"
        )


def apart(scores: Array, reference: Array, unit: float) -> float:
    """The largest difference in units, of values above one unit relative to them; infinite where one is not a number.

    The unit of probabilities is 1, that of a regression's values their spread: rounding errors follow the summands,
    which may be large where their sum is near zero.
    """
    if scores.shape != reference.shape:
        return float("inf")
    if not scores.size:
        return 0.0
    found = float(np.max(np.abs(scores - reference) / np.maximum(np.abs(reference), unit)))
    return found if np.isfinite(found) else float("inf")


def canonical(rows: Sequence[dict[str, Any]], columns: dict[str, Column]) -> Columns:
    """JSON values as arrays of canonical types; a datetime is ISO 8601 text in UTC."""
    return {name: _array([row[name] for row in rows], column.type) for name, column in columns.items()}


def _array(values: list[Any], kind: str) -> Array:
    if kind in ("categorical", "text"):
        return np.array([value or "" for value in values], dtype=object)
    if kind == "datetime":
        return np.array(["NaT" if value is None else value for value in values], dtype="datetime64[us]")
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
