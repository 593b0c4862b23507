"""Put the chosen model and all that is known of it into model/: what is served, built and released."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from gitloop import layout, settings, ui
from gitloop.arrays import Array, Columns
from gitloop.contract import Column, Contract
from gitloop.data import table
from gitloop.errors import InputError
from gitloop.files import read_json, whole_folder, write_json, write_text
from gitloop.modeling import chosen, inputs
from gitloop.modeling.card import card
from gitloop.modeling.store import Model
from gitloop.serving import runtime
from gitloop.serving.compile import Compiled, compiled
from gitloop.serving.integrity import CARD, EXPECTED, LINEAGE, MANIFEST, METRICS, REFERENCE
from gitloop.serving.runtime import MODELS, TOLERANCE
from gitloop.serving.signature import FILE, Signature
from gitloop.settings import Settings

ROWS = 10  # whose scores are checked wherever the model is loaded
MADE_BY = ("data", "features", "candidate", "tuning", "evaluation")  # the parameters that a model follows from
LIBRARIES = ("numpy", "onnx", "onnxruntime", "pandas", "pyarrow", "scikit-learn", "skl2onnx", "skops")


def run(_: argparse.Namespace) -> None:
    """`gitloop package`."""
    loaded = settings.load()
    model, derive = chosen.model(loaded), inputs.derivation(loaded.features)
    selected, evaluation = chosen.selected(), read_json(layout.EVALUATION, "gitloop evaluate")
    signature = signed(loaded, model, derive)
    test = table.read(layout.TEST, "gitloop split", list(signature.inputs))
    if test.num_rows == 0:
        raise InputError(f"{layout.TEST}: has no rows; widen the window in conf/data/")
    rows = table.arrays(test, loaded.data.columns, signature.inputs)
    found = compiled(model, signature, rows, derive)
    signature = signature.model_copy(update={"format": found.format, "threshold": found.threshold})
    told = {path.stem: read_json(path, "dvc repro") for path in (layout.SOURCE, layout.VALIDATION, layout.SPLIT)}
    text = card(loaded, model, selected, evaluation, told, served=found.why)
    with whole_folder(layout.MODEL) as folder:
        path = folder / MODELS[signature.format]
        path.write_bytes(found.content or Path(selected["model"]["path"]).read_bytes())
        write_text(folder / FILE, signature.model_dump_json(indent=2) + "\n")
        reference = table.read(layout.REFERENCE, "gitloop split")
        _no_personal_data(reference.column_names, loaded.data)
        (folder / REFERENCE).write_bytes(layout.REFERENCE.read_bytes())
        write_json(folder / EXPECTED, {"unit": found.unit, **expected(model, signature, rows, derive)})
        write_json(folder / LINEAGE, lineage(loaded, model, selected, told, found))
        write_json(folder / METRICS, evaluation)
        write_text(folder / CARD, text)
        write_json(folder / MANIFEST, manifest(folder))
        runtime.load(folder, contract=loaded.data)
    write_text(layout.CARD, text)
    ui.say(f"{model.name}: {found.why}")


def signed(loaded: Settings, model: Model, derive: inputs.Derive | None) -> Signature:
    """The signature, said to be in ONNX until that is proven or not."""
    data = loaded.data
    return Signature(
        name=model.name,
        contract=Contract(task=data.task, columns={name: data.columns[name] for name in data.kept}, rules=data.rules),
        features=model.schema,
        derive=loaded.features.derive,
        derive_sha256=None if derive is None else runtime.source_sha256(derive),
        format="onnx",
        labels=labels(data, model),
        threshold=model.threshold,
    )


def labels(contract: Contract, model: Model) -> tuple[str, ...]:
    """Binary: negative, positive; multiclass: what the columns of the scores mean; regression: none."""
    if contract.task == "regression":
        return ()
    if contract.task == "multiclass":
        return model.classes or ()
    target = contract.columns[contract.target]
    if target.type == "boolean":
        return ("false", "true")
    negative = next(name for name in target.categories or () if name != target.positive)
    return (negative, str(target.positive))


def expected(model: Model, signature: Signature, rows: Columns, derive: inputs.Derive | None) -> dict[str, Any]:
    """Ten rows from the lowest score to the highest, and what the pipeline says of them.

    Rows on the edge between two labels are left out where others are there: on another processor the last digit
    of a sum, and with it the label, may differ.
    """
    scores = model.scores(inputs.build(rows, signature.contract, derive))
    sure = np.flatnonzero(_margin(scores, signature) > TOLERANCE)
    among = sure if len(sure) else np.arange(len(scores))
    order = among[np.argsort(scores[among].reshape(len(among), -1)[:, 0], kind="stable")]
    picked = order[np.unique(np.linspace(0, len(order) - 1, ROWS).astype(int))]
    values = {name: _json(of[picked], signature.inputs[name]) for name, of in rows.items()}
    return {
        "rows": [{name: of[index] for name, of in values.items()} for index in range(len(picked))],
        "scores": scores[picked].tolist(),
        "labels": runtime.labels(signature, scores[picked]),
    }


def _margin(scores: Array, signature: Signature) -> Array:
    """How far each row's score is from another label."""
    if signature.contract.task == "regression":
        return np.full(len(scores), np.inf)
    if signature.contract.task == "binary":
        return np.abs(scores - signature.threshold)
    best = np.sort(scores, axis=1)
    return best[:, -1] - best[:, -2] if best.shape[1] > 1 else np.full(len(scores), np.inf)


def _json(values: Array, column: Column) -> list[Any]:
    """Canonical values as JSON; what is missing is null."""
    if column.type == "datetime":
        return [None if value == "NaT" else value for value in np.datetime_as_string(values).tolist()]
    if column.type in ("categorical", "text"):
        return [value or None for value in values.tolist()]
    if column.type == "boolean":
        return [None if math.isnan(value) else bool(value) for value in values.tolist()]
    return [None if math.isnan(value) else value for value in values.tolist()]


def lineage(
    loaded: Settings, model: Model, selected: dict[str, Any], told: dict[str, Any], found: Compiled
) -> dict[str, Any]:
    """What the model was made from and with. Nothing of the clock or of Git: see gitloop.serving.origin."""
    source, split = told["source"], told["split"]
    params = loaded.model_dump(mode="json", include=set(MADE_BY))
    return {
        "candidate": model.name,
        "pipeline": selected["model"],
        "params_sha256": hashlib.sha256(json.dumps(params, sort_keys=True).encode()).hexdigest(),
        "data": {
            "source": source["source"],
            "window": source["window"],
            "sha256": source["sha256"],
            "rows": source["rows"],
            "train": split["rows"]["train"],
            "test": split["rows"]["test"],
            "trained_from": model.trained_from,
            "trained_until": model.trained_until,
        },
        "python": ".".join(platform.python_version_tuple()[:2]),
        "libraries": {name: version(name) for name in LIBRARIES},
        "format": found.format,
        "why": found.why,
    }


def manifest(folder: Path) -> dict[str, Any]:
    files = sorted(path for path in folder.iterdir())
    return {"files": {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}}


def _no_personal_data(names: list[str], contract: Contract) -> None:
    kept = set(contract.kept)
    if personal := [name for name in names if name not in kept]:
        raise InputError(
            f"{layout.REFERENCE}: {', '.join(personal)}: personal data or an ignored column is never packaged; "
            "run `dvc repro split`"
        )
