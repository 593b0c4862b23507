"""Tune, cross-validate and train one candidate."""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from dvclive import Live
from scmrepo.exceptions import SCMError
from sklearn.pipeline import Pipeline

from gitloop import layout, settings, targets, threads, ui
from gitloop.arrays import Array, Columns
from gitloop.data.table import arrays, read
from gitloop.errors import InputError
from gitloop.files import write_json
from gitloop.modeling import candidates, features, inputs, metrics, tuning
from gitloop.modeling.store import Model, save
from gitloop.settings import Settings, nearest


def run(arguments: argparse.Namespace) -> None:
    """`gitloop train NAME`."""
    loaded = settings.load()
    name = arguments.name
    if name not in loaded.candidate:
        raise InputError(f"conf/candidate/{name}.yaml: there is no such candidate{nearest(name, [*loaded.candidate])}")
    table = read(layout.TRAIN, "gitloop split")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model, result, trials = train(name, loaded, table)
    for message in _messages(caught):
        ui.warn(f"{name}: {message}")
    path = layout.candidate_model(name)
    sha256 = save(path, model, targets.packages(loaded.candidate[name].estimator(loaded.data.task)))
    result = metrics.rounded({**result, "model": {"path": path.as_posix(), "sha256": sha256}})
    _log(result, trials, loaded.data.metric)
    write_json(layout.candidate_metrics(name), result)
    score = result["cv"][loaded.data.metric]
    ui.say(f"{name}: {loaded.data.metric} {score['mean']:.4g} ± {score['se']:.2g} (cross-validated)")


def train(name: str, loaded: Settings, table: pa.Table) -> tuple[Model, dict[str, Any], list[tuning.Trial]]:
    """The trained model, what is told of it (metrics/candidates/<name>.json but for the file), and the search's trials.

    `table` is what `gitloop split` wrote: canonical columns, in the order of time where there is a timestamp.
    """
    bench = _bench(name, loaded, table)
    everything = np.arange(len(bench.y))
    parameters, trials = bench.tune()
    folds = bench.folds(everything)
    scores = []
    with ui.progress(f"cross-validate {name}", len(folds)) as advance:
        for fit, check in folds:
            scores.append(bench.score(bench.fit(fit, parameters), check))
            advance()
    cv = {metric: _summary([score[metric] for score in scores]) for metric in scores[0]}
    metric = loaded.data.metric
    if np.isnan(cv[metric]["mean"]):
        raise InputError(
            f"{tuning.CONF}: folds: {metric} is not defined on any of {len(folds)} folds; use fewer folds or more rows"
        )
    first, last = _span(table, loaded.data.timestamp)
    model = replace(bench.fit(everything, parameters), trained_from=first, trained_until=last)
    kept = model.pipeline[:-1].get_feature_names_out().tolist() if "keep" in model.pipeline.named_steps else None
    result = {
        "candidate": name,
        "complexity": loaded.candidate[name].complexity,
        "metric": metric,
        "cv": cv,
        "train": bench.score(model, everything),
        "parameters": parameters,
        "features": {**model.schema.model_dump(mode="json"), "kept": kept},
        "rows": model.rows,
        "trained_from": first,
        "trained_until": last,
    }
    return model, result, trials


@dataclass(frozen=True)
class _Bench:
    """Training rows as arrays of length n, and what a candidate makes of any of them."""

    name: str
    loaded: Settings
    schema: inputs.Schema
    columns: Columns
    y: Array
    groups: Array | None
    classes: tuple[str, ...] | None

    def pipeline(self, parameters: Mapping[str, Any] | None = None) -> Pipeline:
        candidate, task = self.loaded.candidate[self.name], self.loaded.data.task
        return candidates.pipeline(candidate, self.schema, task, self.loaded.features, parameters, name=self.name)

    def fit(self, rows: Array, parameters: Mapping[str, Any]) -> Model:
        data = self.loaded.data
        pipeline = self.pipeline(parameters)
        try:
            with threads.suited(len(rows) * len(self.columns)):
                pipeline.fit(features.frame(self._take(rows), self.schema), self.y[rows])
        except (ValueError, TypeError) as error:  # what scikit-learn raises where arguments or values do not suit
            raise InputError(
                f"conf/candidate/{self.name}.yaml: {type(pipeline['model']).__name__} cannot be trained "
                f"({' '.join(str(error).split())}); correct its arguments or `prepare`"
            ) from error
        return Model(
            self.name, data.task, self.schema, pipeline, self.classes, data.threshold, None, None, rows=len(rows)
        )

    def score(self, model: Model, rows: Array) -> dict[str, float]:
        data = self.loaded.data
        scores = model.scores(self._take(rows))
        return metrics.compute(data.task, self.y[rows], scores, data.threshold, self.classes)

    def folds(self, rows: Array) -> tuning.Folds:
        """Folds of some rows, as numbers of all rows."""
        data = self.loaded.data
        groups = None if self.groups is None else self.groups[rows]
        cut = tuning.folds(self.y[rows], data.task, self.loaded.tuning, data.timestamp is not None, groups)
        return [(rows[fit], rows[check]) for fit, check in cut]

    def objective(self, parameters: Mapping[str, Any], rows: Array) -> float:
        """The metric's mean over the folds where it is defined; NaN where it is in none."""
        metric = self.loaded.data.metric
        return float(
            _summary([self.score(self.fit(fit, parameters), check)[metric] for fit, check in self.folds(rows)])["mean"]
        )

    def tune(self) -> tuple[dict[str, Any], list[tuning.Trial]]:
        """Search on the latest rows or, where there is no time, on rows drawn by the seed."""
        data, candidate, how = self.loaded.data, self.loaded.candidate[self.name], self.loaded.tuning
        rows, ordered = np.arange(len(self.y)), data.timestamp is not None
        if how.rows is not None and how.rows < len(rows):
            drawn = np.random.default_rng(how.seed).choice(rows, how.rows, replace=False)
            rows = rows[-how.rows :] if ordered else np.sort(drawn)
        space = candidates.space(self.name, candidate, data.task)
        steps = [rows] if how.method != "halving" else tuning.ladder(rows, ordered, self._possible)
        best, trials = tuning.search(
            self.name,
            space,
            own=self.pipeline()["model"].get_params(),
            objective=self.objective,
            rows=steps,
            settings=how,
            greater_is_better=metrics.greater_is_better(data.metric),
        )
        return metrics.rounded(best), trials  # trained with what is written down

    def _possible(self, rows: Array) -> bool:
        try:
            return bool(self.folds(rows))
        except InputError:
            return False

    def _take(self, rows: Array) -> Columns:
        return {name: values[rows] for name, values in self.columns.items()}


def _bench(name: str, loaded: Settings, table: pa.Table) -> _Bench:
    data = loaded.data
    if table.num_rows == 0:
        raise InputError(f"{layout.TRAIN}: has no rows; widen the window in {layout.data_conf(data.name)}")
    derive = inputs.derivation(loaded.features)
    raw = arrays(table, data.columns, inputs.visible(data))
    inputs.check_pure(derive, raw, data)
    columns = inputs.build(raw, data, derive)
    y = features.target(table, data)
    if data.task != "regression" and len(np.unique(y)) < 2:
        raise InputError(
            f"{layout.TRAIN}: {data.target}: has one class only, so there is nothing to learn; "
            f"widen the window in {layout.data_conf(data.name)}"
        )
    group = data.split.group
    groups = None if group is None else table.column(group).cast(pa.string()).fill_null("").to_numpy()
    classes = tuple(sorted(set(y.tolist()))) if data.task == "multiclass" else None
    return _Bench(name, loaded, features.schema(columns, data, loaded.features), columns, y, groups, classes)


def _summary(values: list[float]) -> dict[str, Any]:
    """Mean, standard deviation and standard error over the folds where the metric is defined."""
    known = np.array([value for value in values if not np.isnan(value)])
    mean = float(known.mean()) if known.size else float("nan")
    std = float(known.std(ddof=1)) if known.size > 1 else 0.0
    return {"mean": mean, "std": std, "se": std / max(known.size, 1) ** 0.5, "folds": values}


def _span(table: pa.Table, timestamp: str | None) -> tuple[str | None, str | None]:
    if timestamp is None:
        return None, None
    times = table.column(timestamp).to_numpy().astype("datetime64[us]")
    return np.nanmin(times).item().isoformat(), np.nanmax(times).item().isoformat()


def _messages(caught: list[warnings.WarningMessage]) -> list[str]:
    """What libraries warn of, each once, and nothing that only their developers can act on."""
    told = [one for one in caught if not issubclass(one.category, DeprecationWarning | PendingDeprecationWarning)]
    return sorted({" ".join(str(one.message).split()) for one in told})


def _log(result: dict[str, Any], trials: list[tuning.Trial], metric: str) -> None:
    """DVCLive's log of the search, a step a trial, and of the final metrics."""
    best = None
    pick = max if metrics.greater_is_better(metric) else min
    path = str(layout.candidate_log(result["candidate"]))
    try:
        live = Live(path, save_dvc_exp=False, dvcyaml=None, report=None)
    except SCMError as error:  # DVCLive asks for the commit that an experiment starts from
        raise InputError(f".git: {error}; commit once (`git add --all && git commit`), then run again") from error
    with live:
        for trial in trials:
            if trial.complete:
                best = trial.value if best is None else pick(best, trial.value)
            shown = {"value": trial.value, "best": best, **trial.parameters}
            for key, value in metrics.rounded(shown).items():
                if value is not None:
                    live.log_metric(f"tuning/{key}", value)
            live.next_step()
        for key, summary in result["cv"].items():
            if summary["mean"] is not None:
                live.log_metric(f"cv/{key}", summary["mean"], plot=False)
