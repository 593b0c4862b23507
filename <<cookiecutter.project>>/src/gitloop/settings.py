"""Typed settings: `params.yaml` as frozen values. What is wrong is said by file and key, with the nearest right one."""

from __future__ import annotations

import difflib
import os
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from gitloop import layout
from gitloop.contract import Contract, Frozen, Window
from gitloop.errors import InputError

# Metrics by task; greater is better unless listed in LOSSES. Computed in gitloop.modeling.metrics.
METRICS: dict[str, tuple[str, ...]] = {
    "binary": (
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "accuracy",
        "balanced_accuracy",
        "f1",
        "precision",
        "recall",
    ),
    "multiclass": ("roc_auc", "log_loss", "accuracy", "balanced_accuracy", "f1"),
    "regression": ("r2", "mae", "rmse", "median_error"),
}
LOSSES = frozenset({"log_loss", "brier", "mae", "rmse", "median_error"})
# What may differ between groups of a sensitive column, by task. Computed in gitloop.modeling.slices.
RATES: dict[str, tuple[str, ...]] = {
    "binary": ("selection_rate", "true_positive_rate", "false_positive_rate"),
    "multiclass": ("accuracy",),
    "regression": ("mean_error",),
}
Bounds = dict[str, float]  # metric name → bound
Spec = dict[str, Any]  # a Hydra object: `_target_` and arguments


def _target(value: Spec | None) -> Spec | None:
    if value is not None and not isinstance(value.get("_target_"), str):
        raise ValueError("needs `_target_: package.module.Name`")
    return value


class Project(Frozen):
    """Who the repository belongs to."""

    name: str
    package: str
    owner: str
    contact: str
    description: str = ""  # what the model is meant for; a release needs it
    limits: str = ""  # what it is not meant for; a release needs it


class Split(Frozen):
    """The test slice: the latest by time; without a timestamp drawn by `seed`, stratified or kept whole by `group`."""

    test: float = Field(default=0.2, gt=0, lt=1)
    group: str | None = None
    seed: int = 0
    reference: int = Field(default=5000, ge=100)  # rows kept as the reference sample


class Data(Contract):
    """One data configuration: a source, a window and the contract."""

    name: str
    source: Spec
    window: Window = Window()
    split: Split = Split()
    metric: str  # the one by which models are chosen
    threshold: float = Field(default=0.5, gt=0, lt=1)  # binary: predicted positive from this probability on
    slices: tuple[str, ...] = ()

    _source = field_validator("source")(_target)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.metric not in METRICS[self.task]:
            raise ValueError(
                f"metric: {self.metric!r} is not a {self.task} metric; use one of {', '.join(METRICS[self.task])}"
            )
        groups = [self.split.group] if self.split.group else []
        for key, names in (("slices", self.slices), ("split.group", groups)):
            for name in names:
                if name not in self.kept:
                    raise ValueError(f"{key}: {name!r} is not a column that is kept{nearest(name, self.kept)}")
        if groups and self.timestamp:
            raise ValueError("split.group: a table with a timestamp is split by time; remove the group")
        if (self.window.since or self.window.until) and not self.timestamp:
            raise ValueError("window: needs a column with `role: timestamp`; declare it or remove the window")
        return self


class Features(Frozen):
    """From columns to what a model sees."""

    derive: str | None = None  # dotted name of a pure function from columns to further columns
    drop_constant: bool = True
    drop_duplicate: bool = True
    drop_missing: float = Field(default=0.95, gt=0, le=1)  # share of nulls from which a column is left out
    keep: int | None = Field(default=None, ge=1)  # at most so many encoded features, by univariate score


class Prepare(Frozen):
    """Preprocessing that suits one kind of model."""

    numeric: Literal["impute", "pass"] = "impute"  # pass: the model handles nulls itself
    scale: bool = False
    categorical: Literal["onehot", "ordinal", "target"] = "onehot"
    max_categories: int = Field(default=50, ge=2)  # onehot: the rarer ones share a column
    text_features: int = Field(default=256, ge=1)  # text: TF-IDF terms


class Dimension(Frozen):
    """One searched argument: a range (integers where both ends are) or a list of choices."""

    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    choices: tuple[bool | int | float | str | None, ...] | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        ranged = self.low is not None and self.high is not None
        if ranged == (self.choices is not None):
            raise ValueError("give either `low` and `high`, or `choices`")
        if ranged and not typing.cast(float, self.low) < typing.cast(float, self.high):
            raise ValueError("`low` is not below `high`")
        if self.log and (not ranged or typing.cast(float, self.low) <= 0):
            raise ValueError("`log` needs a range above zero")
        return self


class Candidate(Frozen):
    """One model that may be chosen."""

    complexity: int = Field(ge=0)  # among equals the lowest wins; 0 is the baseline
    classifier: Spec | None = None
    regressor: Spec | None = None
    prepare: Prepare = Prepare()
    search: dict[str, Dimension] = Field(default_factory=dict)

    _classifier = field_validator("classifier")(_target)
    _regressor = field_validator("regressor")(_target)

    def estimator(self, task: str) -> Spec | None:
        return self.regressor if task == "regression" else self.classifier


class Tuning(Frozen):
    """How hard to search, declared in trials so that two runs do the same work."""

    method: Literal["none", "optuna", "halving"] = "optuna"
    trials: int = Field(default=10, ge=1)
    rows: int | None = Field(default=20_000, ge=50)  # search on the latest so many rows; null: all
    folds: int = Field(default=4, ge=2)
    seed: int = 0


class Evaluation(Frozen):
    """How the chosen model is judged on the test slice."""

    bootstrap: int = Field(default=200, ge=20)
    confidence: float = Field(default=0.95, gt=0.5, lt=1)
    importance_rows: int = Field(default=2000, ge=50)
    slice_rows: int = Field(default=200, ge=10)  # smaller slices are not judged
    seed: int = 0


def _known(bounds: Bounds | None, by_task: dict[str, tuple[str, ...]], what: str) -> Bounds | None:
    known = sorted({name for names in by_task.values() for name in names})
    for name in bounds or {}:
        if name not in known:
            raise ValueError(f"{name!r} is not a {what}{nearest(name, known)}")
    return bounds


class Gates(Frozen):
    """Bounds that a model must keep to be merged. null switches a gate off."""

    floor: Bounds | None  # metric → worst value allowed
    baseline: float | None  # share of the way from the dummy to perfect that must be won
    champion: float | None  # how much worse than the champion the interval may allow (for losses: share of the dummy's)
    slice_floor: Bounds | None  # metric → worst value allowed in any slice
    slice_regression: float | None  # how much worse than the champion any slice may be
    fairness: Bounds | None  # rate → largest difference between groups of a sensitive column
    calibration: float | None  # largest expected calibration error (regression: bias in standard deviations)
    gap: float | None  # how much better than on test the model may be on its training rows
    leakage: float | None  # largest skill (share of the way to perfect) of any single feature
    behaviour: str | None  # folder of pytest tests of the model's behaviour

    @field_validator("floor", "slice_floor")
    @classmethod
    def _metrics(cls, value: Bounds | None) -> Bounds | None:
        return _known(value, METRICS, "metric")

    @field_validator("fairness")
    @classmethod
    def _rates(cls, value: Bounds | None) -> Bounds | None:
        return _known(value, RATES, "rate")


class Log(Frozen):
    """Where predictions and truths are kept: JSON lines in `folder`, sent on to a database where one is named."""

    folder: str = "predictions"
    url: str | None = None  # of SQLAlchemy
    url_env: str | None = None  # the environment variable that holds it
    keep_days: int = Field(default=90, ge=1)  # older files are deleted
    max_megabytes: int = Field(default=1024, ge=1)  # on this disk; what is beyond is dropped, and counted

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if self.url is not None and self.url_env is not None:
            raise ValueError("give `url` or `url_env`, not both")
        return self


class Serving(Frozen):
    """How the chosen model answers."""

    port: int = Field(default=3000, ge=1, le=65535)
    workers: int = Field(default=1, ge=1)  # processes
    max_rows: int = Field(default=1000, ge=1)  # in one request
    max_kilobytes: int = Field(default=1024, ge=1)  # of one request's body
    token_env: str | None = None  # the environment variable that holds the token callers must send; null: none
    log: Log | None  # null: predictions are not kept


class Scoring(Frozen):
    """Where a batch of rows comes from and where its predictions go: a database where one is named, else files."""

    source: Spec | None = None  # null: that of the data configuration
    folder: str = "scores"  # of Parquet files
    url: str | None = None  # of SQLAlchemy
    url_env: str | None = None  # the environment variable that holds it
    table: str = Field(default="scores", min_length=1)  # in the database

    _source = field_validator("source")(_target)

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if self.url is not None and self.url_env is not None:
            raise ValueError("give `url` or `url_env`, not both")
        return self


class DriftBounds(Frozen):
    """The distance between window and reference from which a column has drifted, by the method of its type."""

    wasserstein: float = Field(default=0.1, gt=0)  # numeric: in standard deviations of the reference
    jensenshannon: float = Field(default=0.1, gt=0, lt=1)  # categorical and boolean


class QualityBounds(Frozen):
    """What is still good enough in the rows of a window. What breaks the contract is bounded by its own rules."""

    missing: float = Field(default=0.05, gt=0, lt=1)  # share of nulls beyond the reference's
    unseen: float = Field(default=0.01, gt=0, lt=1)  # share of values that are no category of the reference
    volume: float = Field(default=0.5, gt=0, lt=1)  # fewer rows than this share of the windows before, or more by it
    stale_hours: float = Field(default=24, gt=0)  # without any prediction at the window's end
    latency_ms: float = Field(default=250, gt=0)  # that 95 of 100 predictions must keep
    errors: float = Field(default=0.01, gt=0, lt=1)  # share of lines that are torn, repeated or without a prediction


class PerformanceBounds(Frozen):
    """How good the model must stay where truth has come. Slices, fairness, calibration: the bounds of the gates."""

    drop: float = Field(default=0.05, gt=0)  # how much worse than on the test slice; of a loss: share of the dummy's
    floor: Bounds = Field(default_factory=lambda: {"roc_auc": 0.55, "r2": 0.0})  # below it the model is retired

    @field_validator("floor")
    @classmethod
    def _metrics(cls, value: Bounds) -> Bounds:
        return _known(value, METRICS, "metric") or {}


class Policy(Frozen):
    """When findings become an act."""

    windows: int = Field(default=3, ge=1)  # the last so many that had enough data are looked at
    needed: int = Field(default=2, ge=1)  # so many of them must show it
    retire: int = Field(default=3, ge=1)  # so many in a row below the floor
    cooling_days: int = Field(default=14, ge=0)  # after a new version, or a retraining that was asked for

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.needed > self.windows:
            raise ValueError(f"`needed` {self.needed} of {self.windows} `windows` can never be; lower one")
        return self


class Monitoring(Frozen):
    """What is looked for in the predictions of a window, and what is done about it."""

    window: int = Field(default=7, ge=1)  # days
    min_rows: int = Field(default=500, ge=100)  # fewer are not enough data
    sample: int = Field(default=50_000, ge=1000)  # larger windows are drawn from
    truth_rows: int = Field(default=10_000, ge=500)  # rows with truth that intervals are computed from, at most
    page_rows: int = Field(default=5_000, ge=500)  # rows on Evidently's page, at most
    truth_days: int = Field(default=30, ge=1)  # truth is awaited so long
    alarms: float = Field(default=0.01, gt=0, lt=0.5)  # share of undrifted windows in which something may be found
    seed: int = 0
    drift: DriftBounds = DriftBounds()
    quality: QualityBounds = QualityBounds()
    performance: PerformanceBounds = PerformanceBounds()
    policy: Policy = Policy()


class Settings(Frozen):
    """Everything in params.yaml."""

    project: Project
    data: Data
    features: Features
    candidate: dict[str, Candidate]
    tuning: Tuning
    evaluation: Evaluation
    gates: Gates
    serving: Serving
    scoring: Scoring = Scoring()
    monitoring: Monitoring = Monitoring()

    @model_validator(mode="after")
    def _comparable(self) -> Self:
        if not self.candidate:
            raise ValueError("candidate: none is declared; add a file to conf/candidate/")
        kind = "regressor" if self.data.task == "regression" else "classifier"
        for name, candidate in self.candidate.items():
            if candidate.estimator(self.data.task) is None:
                raise ValueError(
                    f"candidate.{name}: has no `{kind}` for the {self.data.task} task; add one or remove the file"
                )
        if not any(candidate.complexity == 0 for candidate in self.candidate.values()):
            raise ValueError(
                "candidate: no baseline to compare with; keep one of `complexity: 0` (conf/candidate/dummy.yaml)"
            )
        return self


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean …?`, or the possible names where none is near."""
    match = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {match[0]!r}?" if match else f"; use one of {', '.join(known)}"


def secret(variable: str | None, place: str) -> str | None:
    """What the environment variable holds; None where none is named. Raises `InputError` where it is not set."""
    if variable is None:
        return None
    if not (value := os.environ.get(variable)):
        raise InputError(f"{place}: the environment variable {variable} is not set; set it, or put null in its place")
    return value


def load(root: Path = Path()) -> Settings:
    """Read params.yaml below `root`. Raises `InputError` naming the file in conf/ and the key."""
    path = root / layout.PARAMS
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; run `gitloop params` in the root of the repository") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path}: is not valid YAML ({' '.join(str(error).split())}); run `gitloop params`") from error
    return parse(raw)


def parse(raw: Any) -> Settings:
    """Check composed configuration. Raises `InputError`, one line for each thing that is wrong."""
    if not isinstance(raw, dict):
        raise InputError(f"{layout.PARAMS}: is empty or not a mapping; run `gitloop params`")
    try:
        return Settings.model_validate(raw)
    except ValidationError as error:
        raise InputError("\n".join(_line(detail, raw) for detail in error.errors())) from error


def _line(detail: ErrorDetails, raw: dict[str, Any]) -> str:
    place = [part for part in detail["loc"] if part != "[key]"]
    key = ".".join(str(part) for part in place)
    if detail["type"] == "extra_forbidden":
        known = keys(Settings, place[:-1])
        return f"{file_of(place, raw)}: {key}: unknown key{nearest(str(place[-1]), known)}"
    if detail["type"] == "missing":
        return f"{file_of(place, raw)}: {key}: is missing; add it"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{file_of(place, raw)}: {key + ': ' if key else ''}{message[0].lower() + message[1:]}"


def file_of(place: Sequence[str | int], raw: dict[str, Any]) -> str:
    """The file in conf/ that sets the key, as far as the composed configuration tells."""
    group = str(place[0]) if place else ""
    if group == "candidate" and len(place) > 1:
        return f"{layout.CONF}/candidate/{place[1]}.yaml"
    if group == "data":
        data = raw.get("data")
        name = data.get("name") if isinstance(data, dict) else None
        return layout.data_conf(name or "*").as_posix()
    if group == "project":
        return f"{layout.CONF}/project.yaml"
    files = sorted((layout.CONF / group).glob("*.yaml")) if group else []
    return (
        files[0].as_posix()
        if len(files) == 1
        else f"{layout.CONF}/{group}/"
        if group in Settings.model_fields
        else f"{layout.CONF}/config.yaml"
    )


def keys(model: Any, place: Sequence[str | int]) -> list[str]:
    """Keys that are allowed at `place`, following models, optional values and mappings."""
    for part in place:
        if isinstance(model, type) and issubclass(model, BaseModel):
            model = model.model_fields[str(part)].annotation
        else:
            model = typing.get_args(model)[-1]
        if typing.get_origin(model) in (typing.Union, types.UnionType):
            model = next(arg for arg in typing.get_args(model) if arg is not type(None))
    return sorted(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []
