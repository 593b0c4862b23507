"""One scikit-learn pipeline for each candidate: preparation and model together, so that what is served was trained.

Every stock candidate converts to ONNX with equal results; what does not (`categorical_features=`, imputing text,
`add_indicator`, `handle_unknown="infrequent_if_exist"`) is not used here.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import hydra.utils
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, f_classif, f_regression
from sklearn.impute import SimpleImputer
from sklearn.model_selection import KFold, StratifiedKFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler, TargetEncoder
from sklearn.utils import get_tags

from gitloop import targets
from gitloop.errors import InputError
from gitloop.modeling.inputs import Schema
from gitloop.settings import Candidate, Dimension, Features, Prepare, Spec, nearest


def pipeline(
    candidate: Candidate,
    schema: Schema,
    task: str,
    settings: Features,
    parameters: Mapping[str, Any] | None = None,
    *,
    name: str = "*",
) -> Pipeline:
    """The candidate's pipeline, unfitted: `prepare`, `keep` where features.keep is set, and `model`.

    `parameters` override the model's arguments; `name` is the candidate's, for messages. Raises `InputError`.
    """
    spec = candidate.estimator(task)
    if spec is None:
        raise InputError(f"conf/candidate/{name}.yaml: has no {_kind(task)} for the {task} task; add one")
    model = _model(f"conf/candidate/{name}.yaml: {_kind(task)}", {**spec, **(parameters or {})}, task)
    keep = settings.keep is not None
    steps: list[tuple[str, Any]] = [("prepare", _prepare(candidate.prepare, schema, task, keep, _takes_sparse(model)))]
    if keep:
        steps.append(("keep", SelectKBest(f_regression if task == "regression" else f_classif, k=settings.keep)))
    return Pipeline([*steps, ("model", model)])


def space(name: str, candidate: Candidate, task: str) -> dict[str, Dimension]:
    """What of `search` belongs to this task's estimator. Raises `InputError` where it belongs to none."""
    accepted = {}
    for kind, spec in (("classifier", candidate.classifier), ("regressor", candidate.regressor)):
        if spec is not None:
            accepted[kind] = _arguments(targets.locate(f"conf/candidate/{name}.yaml: {kind}", spec["_target_"]))
    known = sorted({argument for arguments in accepted.values() for argument in arguments or ()})
    for key in candidate.search:
        if not any(arguments is None or key in arguments for arguments in accepted.values()):
            raise InputError(
                f"conf/candidate/{name}.yaml: search.{key}: is an argument of no estimator here{nearest(key, known)}"
            )
    own = accepted[_kind(task)]
    return {key: dimension for key, dimension in candidate.search.items() if own is None or key in own}


def _kind(task: str) -> str:
    return "regressor" if task == "regression" else "classifier"


def _prepare(prepare: Prepare, schema: Schema, task: str, keep: bool, sparse: bool) -> ColumnTransformer:
    """Impute, scale, encode. A missing category is the category ""."""
    numeric: list[Any] = []
    if prepare.numeric == "impute" or keep:  # univariate scores need values
        numeric.append(SimpleImputer(strategy="median"))
    if prepare.scale:
        numeric.append(StandardScaler())
    parts: list[tuple[str, Any, Any]] = []
    if schema.numeric:
        parts.append(("numeric", make_pipeline(*numeric) if numeric else "passthrough", list(schema.numeric)))
    if schema.categorical:
        parts.append(("categorical", _encoder(prepare, task), list(schema.categorical)))
    for index, column in enumerate(schema.text):
        parts.append((f"text{index}", TfidfVectorizer(max_features=prepare.text_features), column))
    return ColumnTransformer(parts, sparse_threshold=0.3 if sparse else 0)


def _encoder(prepare: Prepare, task: str) -> Any:
    """A category that training has not seen: no column (onehot), -1 (ordinal), the target's mean (target)."""
    if prepare.categorical == "onehot":
        return OneHotEncoder(max_categories=prepare.max_categories, handle_unknown="ignore")
    if prepare.categorical == "ordinal" or task == "multiclass":  # a target of many classes does not convert to ONNX
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    if task == "regression":
        return TargetEncoder(target_type="continuous", cv=KFold(5, shuffle=True, random_state=0))
    return TargetEncoder(target_type="binary", cv=StratifiedKFold(5, shuffle=True, random_state=0))


def _takes_sparse(model: Any) -> bool:
    """Whether the model says that it takes sparse matrices; one-hot columns are several times faster in them."""
    return hasattr(model, "__sklearn_tags__") and bool(get_tags(model).input_tags.sparse)


def _model(where: str, spec: Spec, task: str) -> Any:
    target = spec["_target_"]
    known = _arguments(targets.locate(where, target))
    for key in spec:
        if known is not None and key not in known and not key.startswith("_"):
            raise InputError(f"{where}: {target} has no argument {key!r}{nearest(key, known)}")
    try:
        model = hydra.utils.instantiate(spec, _convert_="all")
    except Exception as error:  # Hydra wraps whatever the estimator raises
        reason = " ".join(str(error.__cause__ or error).split())
        raise InputError(f"{where}: {target} cannot be made ({reason}); correct its arguments") from error
    needed = "predict" if task == "regression" else "predict_proba"
    if not (hasattr(model, "fit") and hasattr(model, needed)):
        raise InputError(f"{where}: {target} has no `fit` and `{needed}`; choose another estimator")
    return model


def _arguments(factory: Any) -> list[str] | None:
    """Names of the arguments it takes; None where it takes any."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return None
    return [parameter.name for parameter in parameters]
