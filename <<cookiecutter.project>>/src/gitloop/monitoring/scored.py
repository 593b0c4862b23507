"""The log's rows as the evaluation wants them: scores, truth, both."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gitloop.arrays import Array
from gitloop.contract import Contract
from gitloop.modeling.features import target
from gitloop.modeling.intervals import Scored
from gitloop.serving.signature import Signature


@dataclass(frozen=True)
class Judged:
    """Rows with truth, as the evaluation wants them."""

    rows: pa.Table
    y: Array
    scored: Scored


def scores(rows: pa.Table, signature: Signature) -> Array:
    """What was predicted of each row: (n,), of many classes (n, k); NaN where the log does not say."""
    task = signature.contract.task
    if task == "binary":
        return np.asarray(rows.column("_probability").to_numpy(zero_copy_only=False), dtype=np.float64)
    if task == "regression":
        return np.asarray(rows.column("_prediction").to_numpy(zero_copy_only=False), dtype=np.float64)
    said = [json.loads(one) if one else {} for one in rows.column("_probabilities").to_pylist()]
    shares: Array = np.array([[one.get(name, math.nan) for name in signature.labels] for one in said], dtype=np.float64)
    shares = shares.reshape(len(said), len(signature.labels))
    shares /= shares.sum(axis=1, keepdims=True)  # a compiled model's sum to 1 within seven digits
    return shares


def likely(said: str | None) -> list[tuple[str, float]]:
    """Of a line's `probabilities` the two likeliest classes, with their probabilities."""
    found: dict[str, float] = json.loads(said) if said else {}
    return sorted(found.items(), key=lambda one: (-one[1], one[0]))[:2]


def headline(found: Array) -> Array:
    """Of each row the score whose distribution is followed, without NaN: of many classes that of the likeliest."""
    known = found[~np.isnan(found).any(axis=1)].max(axis=1) if found.ndim == 2 else found[~np.isnan(found)]
    return np.asarray(known, dtype=np.float64)


def with_truth(rows: pa.Table, contract: Contract) -> pa.Table:
    """Rows whose truth has come and is a value that the contract allows, with the truth as the target's column."""
    known = rows.filter(pc.is_valid(rows.column("_truth")))
    categories = contract.columns[contract.target].categories
    if categories is not None:
        known = known.filter(pc.is_in(known.column("_truth"), pa.array(categories, pa.string())))
    return known.append_column(contract.target, known.column("_truth"))


def judged(rows: pa.Table, signature: Signature, most: int, seed: int) -> Judged:
    """At most `most` of the rows with truth, drawn by seed, in their order."""
    known = with_truth(rows, signature.contract)
    if known.num_rows > most:
        drawn = np.sort(np.random.default_rng(seed).choice(known.num_rows, size=most, replace=False))
        known = known.take(pa.array(drawn))
    said = scores(known, signature)
    whole = ~(np.isnan(said).any(axis=1) if said.ndim == 2 else np.isnan(said))
    known = known.filter(pa.array(whole))
    labels = signature.labels if signature.contract.task == "multiclass" else None
    return Judged(known, target(known, signature.contract), Scored(said[whole], signature.threshold, labels))
