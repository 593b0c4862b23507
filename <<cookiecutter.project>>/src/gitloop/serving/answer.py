"""What callers are told: one prediction, and its type for the API's description."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, Field, create_model

from gitloop.arrays import Array
from gitloop.serving.request import described
from gitloop.serving.runtime import Served
from gitloop.serving.signature import Signature


def answer_type(signature: Signature) -> type[BaseModel]:
    """The body of an answer to one row."""
    contract = signature.contract
    target = contract.columns[contract.target]
    kind: Any = {"boolean": bool, "numeric": float}.get(target.type) or Literal[signature.labels]
    fields: dict[str, Any] = {
        "id": (str, Field(description="Names the prediction, for /feedback")),
        "version": (str, Field(description="Of the model that answered")),
        "prediction": (kind, Field(description=described(target))),
    }
    if contract.task == "binary":
        about = f"Of {contract.target} being {signature.labels[1]}; predicted from {signature.threshold:g} on"
        fields["probability"] = (float, Field(ge=0, le=1, description=about))
    elif contract.task == "multiclass":
        fields["probabilities"] = (dict[str, float], Field(description="Of each category"))
    return create_model("Answer", **fields)


def outcomes(served: Served, scores: Array) -> list[dict[str, Any]]:
    """What is said of each row: `prediction` and, of a classifier, `probability` or `probabilities`.

    Empty for a row of which nothing can be said: its numbers are too large for the model.
    """
    labels = served.labels(scores)
    task = served.signature.contract.task
    if task == "binary":
        return [
            {"prediction": label, "probability": score} if math.isfinite(score) else {}
            for label, score in zip(labels, scores.tolist(), strict=True)
        ]
    if task == "multiclass":
        names = served.signature.labels
        return [
            {"prediction": label, "probabilities": dict(zip(names, row, strict=True))}
            if all(map(math.isfinite, row))
            else {}
            for label, row in zip(labels, scores.tolist(), strict=True)
        ]
    return [{"prediction": label} if math.isfinite(label) else {} for label in labels]


def record(answer: dict[str, Any], inputs: dict[str, Any], time: datetime, seconds: float) -> dict[str, Any]:
    """The line of the prediction log."""
    return {
        **answer,
        "time": time.astimezone(UTC).isoformat(),
        "inputs": inputs,
        "latency_ms": round(seconds * 1000, 3),
    }
