"""What a project writes by hand: FastAPI, pandas and the scikit-learn pipeline. Run by benchmarks.serving."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
from fastapi import FastAPI
from late_flights.features import derive
from pydantic import BaseModel, create_model

PIPELINE = joblib.load("pipeline.joblib")
SCHEMA = json.loads(Path("schema.json").read_text())
TYPES: dict[str, Any] = {"time": str, "number": float | None, "word": str}
FIELDS: dict[str, Any] = {name: (TYPES[kind], ...) for name, kind in SCHEMA["columns"].items()}
Row = create_model("Row", **FIELDS)
app = FastAPI()


class Answer(BaseModel):
    prediction: bool
    probability: float


@app.post("/predict")
def predict(row: Row) -> Answer:  # type: ignore[valid-type]
    given = row.model_dump()
    columns: dict[str, Any] = {}
    for name, kind in SCHEMA["columns"].items():
        kinds = {"time": "datetime64[us]", "number": np.float64, "word": object}
        columns[name] = np.array([np.nan if given[name] is None else given[name]], dtype=kinds[kind])
    built = columns | derive(columns)
    frame = pd.DataFrame({name: built[name] for name in SCHEMA["numeric"]})
    for name in SCHEMA["categorical"]:
        frame[name] = pd.Series(built[name], dtype=object)
    probability = float(PIPELINE.predict_proba(frame)[0, 1])
    return Answer(prediction=probability >= SCHEMA["threshold"], probability=probability)
