"""Parts of a window's rows with truth: slices, and groups of people, by the same code as on the test slice."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from gitloop.contract import Contract
from gitloop.data.table import arrays
from gitloop.modeling import slices
from gitloop.modeling.intervals import Draws, Scored, bootstrap
from gitloop.modeling.metrics import gain
from gitloop.monitoring.chance import beyond, critical, error_of
from gitloop.monitoring.findings import Differences, Finding
from gitloop.monitoring.scored import Judged, scores
from gitloop.serving.signature import Signature
from gitloop.settings import Settings


def of_slices(one: Judged, contract: Contract, loaded: Settings, draws: Draws) -> Iterator[Finding]:
    floors = loaded.gates.slice_floor or {}
    names = [name for name in loaded.data.slices if name in one.rows.column_names and name in contract.columns]
    parts = slices.parts(arrays(one.rows, contract.columns, names), contract.columns)
    found = slices.judged(contract.task, one.y, one.scored, parts, loaded.evaluation.slice_rows)
    tests = sum(len(of) for of in found.values()) * len(floors)
    errors = critical(tests, loaded.monitoring.alarms)
    for column, of in found.items():
        for part, about in of.items():
            for metric, bound in floors.items():
                value = about["metrics"].get(metric, math.nan)
                if not gain(metric, bound, value) > 0:
                    continue
                inside = parts[column].astype(str) == part
                interval = bootstrap(contract.task, one.y[inside], slices.within(one.scored, inside), draws)[metric]
                if beyond(gain(metric, bound, value), error_of(interval, draws.confidence), errors):
                    words = (
                        f"{column} = {part}: {metric} is {value:.4g} ({interval.low:.4g} to {interval.high:.4g}) on "
                        f"{about['rows']:,} rows with truth; gates.slice_floor is {bound:g}"
                    )
                    yield Finding("slice", words, column, value, bound, about["rows"], slice=part)


def groups(one: Judged, contract: Contract, loaded: Settings, draws: Draws) -> dict[str, Any]:
    sensitive = [name for name in contract.named("sensitive") if name in one.rows.column_names]
    parts = slices.parts(arrays(one.rows, contract.columns, sensitive), contract.columns)
    return {
        name: slices.fairness(contract.task, one.y, one.scored, of, rows=loaded.evaluation.slice_rows, draws=draws)
        for name, of in parts.items()
    }


def selected(rows: pa.Table, signature: Signature, loaded: Settings) -> dict[str, Any]:
    """Selection rates need no truth."""
    said = scores(rows, signature)
    known = np.flatnonzero(~np.isnan(said))
    most, how = loaded.monitoring.truth_rows, loaded.evaluation
    if len(known) > most:
        known = np.sort(np.random.default_rng(loaded.monitoring.seed).choice(known, size=most, replace=False))
    if not len(known):
        return {}
    draws = Draws(how.bootstrap, how.confidence, loaded.monitoring.seed)
    some = Judged(
        rows.take(pa.array(known)), np.zeros(len(known), dtype=np.int8), Scored(said[known], signature.threshold)
    )
    found = groups(some, signature.contract, loaded, draws)
    return {
        name: {**of, "difference": {rate: one for rate, one in of["difference"].items() if rate == "selection_rate"}}
        for name, of in found.items()
    }


def differences(groups: Mapping[str, Any]) -> Differences:
    """Column → rate → the largest difference and its interval; None where it is not defined."""
    return {
        name: {
            rate: {end: _number(one[end]) for end in ("value", "low", "high")} for rate, one in of["difference"].items()
        }
        for name, of in groups.items()
    }


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value


def of_fairness(groups: Mapping[str, Any], loaded: Settings) -> Iterator[Finding]:
    bounds = loaded.gates.fairness or {}
    tests = sum(rate in bounds for of in groups.values() for rate in of["difference"])
    errors = critical(tests, loaded.monitoring.alarms)
    for column, of in groups.items():
        for rate, one in of["difference"].items():
            if rate not in bounds:
                continue
            if beyond(one["value"] - bounds[rate], error_of(one, loaded.evaluation.confidence), errors):
                rows = sum(group["rows"] for group in of["groups"].values())
                unit = " standard deviations" if rate == "mean_error" else ""
                words = (
                    f"{column}: the {rate} of its groups differs by {one['value']:.4g}{unit} ({one['low']:.4g} to "
                    f"{one['high']:.4g}) on {rows:,} rows; gates.fairness is {bounds[rate]:g}"
                )
                yield Finding("fairness", words, column, one["value"], bounds[rate], rows)
