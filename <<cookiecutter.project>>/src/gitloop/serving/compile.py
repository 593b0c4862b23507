"""From a fitted pipeline to ONNX, where it is proven equal; else a sentence why not."""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer

from gitloop.arrays import Array, Columns
from gitloop.errors import InputError
from gitloop.modeling.inputs import Derive, build
from gitloop.modeling.store import Model
from gitloop.serving.boundary import boundary
from gitloop.serving.runtime import TOLERANCE, Predict, apart, onnx
from gitloop.serving.signature import Signature

OPSET = {"": 18, "ai.onnx.ml": 3}  # fixed, so that the same model is the same bytes
CHUNK = 100_000  # rows that are compared at a time
LONGEST = 160  # characters of a reason
TEXT = "ONNX's operator for text follows the languages installed where it runs"


class Compiled(NamedTuple):
    """`content` is None where the pipeline is served as it is; `why` is a sentence either way."""

    content: bytes | None
    why: str
    threshold: float  # binary: of the compiled probabilities, so that every label is the pipeline's
    unit: float  # of the scores: see `runtime.apart`

    @property
    def format(self) -> Literal["onnx", "skops"]:
        return "skops" if self.content is None else "onnx"


def compiled(model: Model, signature: Signature, rows: Columns, derive: Derive | None) -> Compiled:
    """The model as ONNX if it says the same of `rows` (the signature's inputs) and of the boundary rows."""
    test = build(rows, signature.contract, derive)
    edges = _edges(rows, signature, derive)
    unit = (float(np.std(model.scores(test))) or 1.0) if model.task == "regression" else 1.0
    proof = Proof(model.threshold, unit)
    try:
        content = converted(model)
        predict = onnx(content, signature)
        for what, columns in (("test", test), ("boundary", edges)):
            proof.compare(model, predict, columns, what)
    except Unequal as found:
        return Compiled(None, f"Served by scikit-learn: compiled to ONNX, {found}.", model.threshold, unit)
    except Exception as error:  # converters and the runtime raise anything for what they do not know
        why = f"Served by scikit-learn: it cannot be compiled to ONNX ({_told(error)})."
        return Compiled(None, why, model.threshold, unit)
    return Compiled(content, proof.said(model.task), proof.threshold, unit)


def _edges(rows: Columns, signature: Signature, derive: Derive | None) -> Columns:
    try:
        return build(boundary(rows, signature.inputs), signature.contract, derive)
    except InputError as error:
        raise InputError(f"{error} (on rows at the edges of the contract, which a service must answer)") from error


def converted(model: Model) -> bytes:
    """The pipeline as an ONNX file with the inputs that `runtime.feed` gives. Raises whatever the converters raise."""
    prepare, schema = model.pipeline[0], model.schema
    if schema.text:
        raise NotImplementedError(TEXT)
    if not isinstance(prepare, ColumnTransformer):
        raise TypeError("the pipeline does not begin with a ColumnTransformer")
    names = [*schema.numeric, *schema.categorical]
    numbered = copy.copy(prepare)  # columns by position: one matrix of numbers is a faster input than each alone
    numbered.transformers_ = [
        (part, fitted, [names.index(name) for name in of]) for part, fitted, of in prepare.transformers_
    ]
    pipeline = copy.copy(model.pipeline)
    pipeline.steps = [("prepare", numbered), *model.pipeline.steps[1:]]
    inputs: list[tuple[str, Any]] = []
    if schema.numeric:
        inputs.append(("numeric", FloatTensorType([None, len(schema.numeric)])))
    inputs += [(f"categorical{index}", StringTensorType([None, 1])) for index in range(len(schema.categorical))]
    options = None if model.task == "regression" else {"zipmap": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        proto = convert_sklearn(pipeline, "model", inputs, target_opset=OPSET, options=options)
    domains = sorted(proto.opset_import, key=lambda one: one.domain)  # skl2onnx has them in the order of a set
    del proto.opset_import[:]
    proto.opset_import.extend(domains)
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


class Unequal(Exception):
    """Why a compiled model is not the pipeline."""


@dataclass
class Proof:
    """What was compared. `threshold` moves with what is seen, by a rounding error, to keep every label."""

    threshold: float
    unit: float  # of regression: what differences are relative to, or the value where that is larger
    worst: float = 0.0
    below: float = -math.inf  # the highest compiled probability of a row that the pipeline calls negative
    above: float = math.inf  # the lowest of one that it calls positive
    rows: tuple[str, ...] = ()

    def compare(self, model: Model, predict: Predict, columns: Columns, what: str) -> None:
        """Raises `Unequal` where a label differs, or a score by more than the tolerance."""
        count, other = len(next(iter(columns.values()))), 0
        for start in range(0, count, CHUNK):
            part = {name: values[start : start + CHUNK] for name, values in columns.items()}
            reference, scores = model.scores(part), predict(part)
            self.worst = max(self.worst, apart(scores, reference, self.unit))
            if self.worst > TOLERANCE:
                raise Unequal(f"it differs by {self.worst:.1g} on a {what} row, more than {TOLERANCE:g}")
            other += self._labels(model, reference, scores)
        if other:
            raise Unequal(f"it gives {other:,} of {count:,} {what} rows another label")
        self.rows += (f"{count:,} {what} rows",)

    def _labels(self, model: Model, reference: Array, scores: Array) -> int:
        """How many labels differ, whatever the threshold."""
        if model.task == "multiclass":
            return int(np.sum(reference.argmax(axis=1) != scores.argmax(axis=1)))
        if model.task == "regression":
            return 0
        positive = reference >= model.threshold
        self.below = max(self.below, float(scores[~positive].max(initial=-math.inf)))
        self.above = min(self.above, float(scores[positive].min(initial=math.inf)))
        if self.below >= self.above:
            return int(np.sum(positive != (scores >= model.threshold)))
        # 0.7 as float32 is below 0.7: what a tree calls positive at the threshold itself would be called negative.
        self.threshold = min(max(model.threshold, float(np.nextafter(self.below, math.inf))), self.above)
        return 0

    def said(self, task: str) -> str:
        bound = f"by less than 1e{math.floor(math.log10(self.worst)) + 1}" if self.worst else "nowhere"
        if task == "regression":
            found = f"values differ {bound} of their spread from scikit-learn's"
        else:
            found = f"no label differs from scikit-learn's, and probabilities differ {bound}"
        return f"Compiled to ONNX: on {' and '.join(self.rows)} {found}."


def _told(error: Exception) -> str:
    """The first sentence of it."""
    text = " ".join(str(error).split()).partition(". ")[0] or type(error).__name__
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"
