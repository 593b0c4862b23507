"""Saves the pipeline for `mlflow models serve`. Run by benchmarks.serving."""

import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(
    joblib.load("pipeline.joblib"),
    "mlflow-model",
    pyfunc_predict_fn="predict_proba",
    serialization_format="cloudpickle",
    pip_requirements=[],
)
