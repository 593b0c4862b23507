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

    name: str = Field(description="What the model is called")
    package: str = Field(description="The folder of your code, src/<package>/")
    owner: str = Field(description="Who answers for the model")
    contact: str = Field(description="Where the owner is reached")
    description: str = Field(
        default="", description="What the model is meant for; a release needs it, and the model card shows it"
    )
    limits: str = Field(
        default="", description="What the model is not meant for; a release needs it, and the model card shows it"
    )


class Split(Frozen):
    """The test slice: the latest by time; without a timestamp drawn by `seed`, stratified or kept whole by `group`."""

    test: float = Field(default=0.2, gt=0, lt=1, description="The share of rows that is set aside as the test slice")
    group: str | None = Field(
        default=None, description="Without a timestamp: the column whose groups stay whole on one side"
    )
    seed: int = Field(default=0, description="Without a timestamp: what rows are drawn by")
    reference: int = Field(
        default=5000,
        ge=100,
        description="How many training rows are kept as the sample that later data is compared with",
    )


class Data(Contract):
    """One data configuration: a source, a window and the contract."""

    name: str = Field(description="The name of the file in conf/data/")
    source: Spec = Field(description="Where rows come from: the class of a source as `_target_`, and its arguments")
    window: Window = Window()
    split: Split = Split()
    metric: str = Field(description="The metric by which models are chosen")
    threshold: float = Field(
        default=0.5, gt=0, lt=1, description="Of a binary task: a row counts as positive from this probability on"
    )
    slices: tuple[str, ...] = Field(default=(), description="Columns by whose values the model is also judged")

    _source = field_validator("source")(_target)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.metric not in METRICS[self.task]:
            raise ValueError(
                f"metric: {self.metric!r} is not a {self.task} metric; use one of {', '.join(METRICS[self.task])}"
            )
        groups = [self.split.group] if self.split.group else []
        for key, names, there in (("slices", self.slices, self.kept), ("split.group", groups, self.parted)):
            for name in names:
                if name not in there:
                    raise ValueError(f"{key}: {name!r} is not a column that is kept{nearest(name, there)}")
        if groups and self.timestamp:
            raise ValueError("split.group: a table with a timestamp is split by time; remove the group")
        if (self.window.since or self.window.until) and not self.timestamp:
            raise ValueError("window: needs a column with `role: timestamp`; declare it or remove the window")
        return self

    @property
    def parted(self) -> list[str]:
        """Columns that the split sees: those that are kept, and hashes by which it tells rows or groups apart."""
        needed = {*self.keys, self.split.group}
        kept = set(self.kept)
        return [name for name, one in self.columns.items() if name in kept or (one.hashed and name in needed)]


class Features(Frozen):
    """From columns to what a model sees."""

    derive: str | None = Field(
        default=None,
        description="Dotted name of a pure function from columns to further columns; null: nothing is derived",
    )
    drop_constant: bool = Field(default=True, description="Whether columns of one value are left out")
    drop_duplicate: bool = Field(default=True, description="Whether copies of another column are left out")
    drop_missing: float = Field(
        default=0.95, gt=0, le=1, description="Columns with a larger share of nulls are left out"
    )
    keep: int | None = Field(
        default=None, ge=1, description="At most so many encoded features, the best by univariate score; null: all"
    )


class Prepare(Frozen):
    """Preprocessing that suits one kind of model."""

    numeric: Literal["impute", "pass"] = Field(
        default="impute",
        description="Nulls of numbers become the median (impute), or the model handles them itself (pass)",
    )
    scale: bool = Field(default=False, description="Whether numbers are brought to mean 0 and standard deviation 1")
    categorical: Literal["onehot", "ordinal", "target"] = Field(
        default="onehot", description="How categories become numbers: a column each, their rank, or their mean target"
    )
    max_categories: int = Field(
        default=50, ge=2, description="onehot: at most so many columns for one; the rarer categories share the last"
    )
    text_features: int = Field(default=256, ge=1, description="How many words of a text column take part, by TF-IDF")


class Dimension(Frozen):
    """One searched argument: a range (integers where both ends are) or a list of choices."""

    low: int | float | None = Field(
        default=None, description="The lowest value that is tried; whole numbers are tried where both ends are"
    )
    high: int | float | None = Field(default=None, description="The highest value that is tried")
    log: bool = Field(default=False, description="Whether values are drawn evenly by their logarithm")
    choices: tuple[bool | int | float | str | None, ...] | None = Field(
        default=None, description="A list of values to try, in place of a range"
    )

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

    complexity: int = Field(ge=0, description="Among equally good candidates the lowest is chosen; 0 is the baseline")
    classifier: Spec | None = Field(
        default=None, description="The estimator of classes: its class as `_target_`, and its arguments"
    )
    regressor: Spec | None = Field(
        default=None, description="The estimator of numbers: its class as `_target_`, and its arguments"
    )
    prepare: Prepare = Prepare()
    search: dict[str, Dimension] = Field(
        default_factory=dict,
        description="The estimator's arguments that tuning may set, by name; empty: it is trained as it stands",
    )

    _classifier = field_validator("classifier")(_target)
    _regressor = field_validator("regressor")(_target)

    def estimator(self, task: str) -> Spec | None:
        return self.regressor if task == "regression" else self.classifier


class Tuning(Frozen):
    """How hard to search, declared in trials so that two runs do the same work."""

    method: Literal["none", "optuna", "halving"] = Field(
        default="optuna", description="How settings are searched: not at all, by Optuna's TPE, or by successive halving"
    )
    trials: int = Field(default=10, ge=1, description="How many settings are tried for each candidate")
    rows: int | None = Field(
        default=20_000,
        ge=50,
        description="The search runs on at most so many rows, the latest where there is a timestamp; null: on all",
    )
    folds: int = Field(default=4, ge=2, description="Folds of the cross-validation, by time where there is a timestamp")
    seed: int = Field(default=0, description="What settings and rows are drawn by")


class Evaluation(Frozen):
    """How the chosen model is judged on the test slice."""

    bootstrap: int = Field(default=200, ge=20, description="Resamples behind each interval")
    confidence: float = Field(default=0.95, gt=0.5, lt=1, description="How sure an interval is to hold the true value")
    importance_rows: int = Field(
        default=2000, ge=50, description="Permutation importance is measured on at most so many rows"
    )
    slice_rows: int = Field(default=200, ge=10, description="Slices and groups of fewer rows are not judged")
    seed: int = Field(default=0, description="What resamples and shuffles are drawn by")


def _known(bounds: Bounds | None, by_task: dict[str, tuple[str, ...]], what: str) -> Bounds | None:
    known = sorted({name for names in by_task.values() for name in names})
    for name in bounds or {}:
        if name not in known:
            raise ValueError(f"{name!r} is not a {what}{nearest(name, known)}")
    return bounds


class Gates(Frozen):
    """Bounds that a model must keep to be merged. null switches a gate off."""

    floor: Bounds | None = Field(description="The worst value allowed on the test slice, by metric")
    baseline: float | None = Field(description="At least this share of the way from the dummy to perfect must be won")
    champion: float | None = Field(
        description="At most this much worse than the champion (end of the interval; of a loss: share of the dummy's)"
    )
    slice_floor: Bounds | None = Field(description="The worst value allowed in any slice, by metric")
    slice_regression: float | None = Field(description="No slice may be this much worse than the champion's")
    fairness: Bounds | None = Field(
        description="The largest difference allowed between groups of a sensitive column, by rate"
    )
    calibration: float | None = Field(
        description="The largest expected calibration error; of numbers: the bias in standard deviations"
    )
    gap: float | None = Field(
        description="How much better than on the test slice the model may be on rows that it was trained on"
    )
    leakage: float | None = Field(description="How far any feature alone may go from chance to perfect")
    behaviour: str | None = Field(description="The folder of tests of the model's behaviour")

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

    folder: str = Field(default="predictions", description="Where the lines are written, a folder")
    url: str | None = Field(
        default=None, description="A database of SQLAlchemy's, to which lines are sent on; without a password"
    )
    url_env: str | None = Field(
        default=None, description="The environment variable that holds the database's URL; null: there is none"
    )
    keep_days: int = Field(default=90, ge=1, description="Older files are deleted")
    max_megabytes: int = Field(
        default=1024, ge=1, description="Room on this disk; lines beyond it are dropped, and counted"
    )

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if self.url is not None and self.url_env is not None:
            raise ValueError("give `url` or `url_env`, not both")
        return self


class Serving(Frozen):
    """How the chosen model answers."""

    port: int = Field(default=3000, ge=1, le=65535, description="The port that is listened on")
    workers: int = Field(default=1, ge=1, description="How many processes answer")
    max_rows: int = Field(default=1000, ge=1, description="The most rows in one request")
    max_kilobytes: int = Field(default=1024, ge=1, description="The largest body of a request")
    token_env: str | None = Field(
        default=None, description="The environment variable that holds the token callers must send; null: none is asked"
    )
    log: Log | None = Field(description="Where predictions and their truth are kept; null: nowhere")


class Scoring(Frozen):
    """Where a batch of rows comes from and where its predictions go: a database where one is named, else files."""

    source: Spec | None = Field(default=None, description="Where rows come from, as in conf/data/; null: from there")
    folder: str = Field(default="scores", description="Where Parquet files of predictions go")
    url: str | None = Field(
        default=None, description="A database of SQLAlchemy's, to which predictions go instead; without a password"
    )
    url_env: str | None = Field(
        default=None,
        description="The environment variable that holds the database's URL; null: predictions go into files",
    )
    table: str = Field(default="scores", min_length=1, description="The table in the database")

    _source = field_validator("source")(_target)

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if self.url is not None and self.url_env is not None:
            raise ValueError("give `url` or `url_env`, not both")
        return self


class DriftBounds(Frozen):
    """The distance between window and reference from which a column has drifted, by the method of its type."""

    wasserstein: float = Field(
        default=0.1, gt=0, description="Of numbers: the distance in standard deviations of the reference"
    )
    jensenshannon: float = Field(
        default=0.1, gt=0, lt=1, description="Of categories and yes/no: the distance between their shares"
    )


class QualityBounds(Frozen):
    """What is still good enough in the rows of a window. What breaks the contract is bounded by its own rules."""

    missing: float = Field(default=0.05, gt=0, lt=1, description="The share of nulls beyond the reference's")
    unseen: float = Field(
        default=0.01, gt=0, lt=1, description="The share of values that are no category of the reference"
    )
    volume: float = Field(
        default=0.5, gt=0, lt=1, description="Fewer rows than this share of the windows before, or more by as much"
    )
    stale_hours: float = Field(default=24, gt=0, description="Hours without any prediction at the window's end")
    latency_ms: float = Field(default=250, gt=0, description="Milliseconds that 95 of 100 predictions must keep")
    errors: float = Field(
        default=0.01, gt=0, lt=1, description="The share of failed or refused requests, and of torn or repeated lines"
    )


class PerformanceBounds(Frozen):
    """How good the model must stay where truth has come. Slices, fairness, calibration: the bounds of the gates."""

    drop: float = Field(
        default=0.05,
        gt=0,
        description="How much worse than on the test slice it may be; of a loss: share of the dummy's",
    )
    floor: Bounds = Field(
        default_factory=lambda: {"roc_auc": 0.55, "r2": 0.0},
        description="Below it the model is to be retired, by metric",
    )

    @field_validator("floor")
    @classmethod
    def _metrics(cls, value: Bounds) -> Bounds:
        return _known(value, METRICS, "metric") or {}


class Policy(Frozen):
    """When findings become an act."""

    windows: int = Field(default=3, ge=1, description="The last so many windows with enough data are looked at")
    needed: int = Field(default=2, ge=1, description="So many of them must show it for a retraining")
    retire: int = Field(default=3, ge=1, description="So many in a row below the floor ask for a retirement")
    earlier: int = Field(default=5, ge=1, description="So many versions before it are scored anew, for a way back")
    cooling_days: int = Field(
        default=14, ge=0, description="No retraining so soon after a new version, or after one that was asked for"
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.needed > self.windows:
            raise ValueError(f"`needed` {self.needed} of {self.windows} `windows` can never be; lower one")
        return self


class Labels(Frozen):
    """Which predictions are worth a label (`gitloop label export`)."""

    tasks: int = Field(default=200, ge=1, description="At most so many tasks in one export")
    uncertain: float = Field(default=0.4, ge=0, le=1, description="The share of which the model is least sure")
    drifted: float = Field(default=0.3, ge=0, le=1, description="The share least like the rows it was trained on")
    random: float = Field(default=0.3, ge=0, le=1, description="The share that is drawn at random")
    show: bool = Field(
        default=False, description="Whether annotators see the prediction: quicker, but they tend to agree with it"
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        total = self.uncertain + self.drifted + self.random
        if abs(total - 1) > 1e-9:
            raise ValueError(f"uncertain, drifted and random make {total:g}; they are shares, and must make 1")
        return self


class Monitoring(Frozen):
    """What is looked for in the predictions of a window, and what is done about it."""

    window: int = Field(default=7, ge=1, description="How many days a window has")
    min_rows: int = Field(default=500, ge=100, description="Fewer predictions are not enough data, and never an alarm")
    sample: int = Field(default=50_000, ge=1000, description="Of a larger window so many predictions are drawn")
    truth_rows: int = Field(
        default=10_000, ge=500, description="Intervals are computed from at most so many rows with truth"
    )
    page_rows: int = Field(default=5_000, ge=500, description="At most so many rows are on Evidently's page")
    truth_days: int = Field(default=30, ge=1, description="How long truth is awaited")
    alarms: float = Field(
        default=0.01,
        gt=0,
        lt=0.5,
        description="In at most this share of undrifted windows anything may be found, over all columns together",
    )
    seed: int = Field(default=0, description="What rows are drawn by")
    drift: DriftBounds = DriftBounds()
    quality: QualityBounds = QualityBounds()
    performance: PerformanceBounds = PerformanceBounds()
    policy: Policy = Policy()
    labels: Labels = Labels()


class Settings(Frozen):
    """Everything in params.yaml."""

    project: Project
    data: Data
    features: Features
    candidate: dict[str, Candidate] = Field(
        description="The models of which one is chosen, by the names of their files in conf/candidate/"
    )
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
