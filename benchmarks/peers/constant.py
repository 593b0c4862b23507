"""A BentoML service that takes the same body and answers a constant of the same shape. Run by benchmarks.serving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bentoml
from pydantic import BaseModel, create_model

SCHEMA = json.loads(Path("schema.json").read_text())
TYPES: dict[str, Any] = {"time": str, "number": float | None, "word": str}
FIELDS: dict[str, Any] = {name: (TYPES[kind], ...) for name, kind in SCHEMA["columns"].items()}
Row = create_model("Row", **FIELDS)


class Answer(BaseModel):
    id: str
    version: str
    prediction: bool
    probability: float


ANSWER = Answer(id="0" * 32, version="0" * 12, prediction=False, probability=0.1)


@bentoml.service(logging={"access": {"enabled": False}})
class Constant:
    @bentoml.api
    async def predict(self, row: Row, /) -> Answer:  # type: ignore[valid-type]  # noqa: ARG002
        return ANSWER
