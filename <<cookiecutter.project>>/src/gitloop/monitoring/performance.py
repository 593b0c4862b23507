"""How good the model is where the truth has come, by the same code as on the test slice.

A bound is broken where the value is beyond it and chance alone would hardly put it there: by the standard error of the
bootstrap, at a level shared out over what is tested (Bonferroni).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from gitloop.contract import Contract
from gitloop.modeling import diagnosis
from gitloop.modeling.intervals import Draws, Interval, bootstrap
from gitloop.modeling.metrics import gain
from gitloop.modeling.verdicts import scaled
from gitloop.monitoring.chance import beyond, critical, error_of
from gitloop.monitoring.findings import Differences, Finding, Truth
from gitloop.monitoring.groups import differences, groups, of_fairness, of_slices, selected
from gitloop.monitoring.references import Reference
from gitloop.monitoring.scored import Judged, judged, with_truth
from gitloop.settings import LOSSES, Settings


def truth(rows: pa.Table, reference: Reference, loaded: Settings) -> tuple[Truth, Differences, list[Finding]]:
    """What is known of the truth, the differences between groups, and what is found."""
    how, contract = loaded.monitoring, reference.signature.contract
    known = with_truth(rows, contract)
    delay = np.asarray(known.column("_delay_hours").drop_null().to_numpy(), dtype=np.float64)
    middle, slow = (float(np.quantile(delay, at)) for at in (0.5, 0.9)) if len(delay) else (None, None)
    coverage = known.num_rows / max(rows.num_rows, 1)
    told = Truth(known.num_rows, coverage, middle, slow)
    findings = list(_labels(rows, known, contract, loaded.data.rules.max_invalid))
    one = judged(rows, reference.signature, how.truth_rows, how.seed)
    why = _why(one, contract, how.min_rows)
    if why:
        of_groups = selected(rows, reference.signature, loaded) if contract.task == "binary" else {}
        return Truth(told.rows, coverage, middle, slow, why=why), differences(of_groups), findings
    evaluation = loaded.evaluation
    draws = Draws(evaluation.bootstrap, evaluation.confidence, how.seed)
    intervals = bootstrap(contract.task, one.y, one.scored, draws)
    findings += _metrics(intervals, reference.evaluation, loaded, len(one.y))
    error = diagnosis.calibration(contract.task, one.y, one.scored)
    findings += _calibration(error, contract.task, loaded, len(one.y))
    findings += of_slices(one, contract, loaded, draws)
    of_groups = groups(one, contract, loaded, draws)
    findings += of_fairness(of_groups, loaded)
    test = reference.evaluation["metrics"]
    metrics = {name: {**of._asdict(), "test": test.get(name, {}).get("value")} for name, of in intervals.items()}
    full = Truth(told.rows, coverage, middle, slow, metrics, error["error"])
    return full, differences(of_groups), findings


def _labels(rows: pa.Table, known: pa.Table, contract: Contract, bound: float) -> Iterator[Finding]:
    told = rows.num_rows - rows.column("_truth").null_count
    strange = told - known.num_rows
    if told and strange / told > bound:
        words = (
            f"{contract.target}: {strange:,} of {told:,} truths ({strange / told:.2%}) are no category of the "
            f"contract; rules.max_invalid is {bound:.2%}"
        )
        yield Finding("contract", words, contract.target, strange / told, bound, told)


def _why(one: Judged, contract: Contract, least: int) -> str:
    """Why nothing can be said of the model's quality; empty where something can."""
    if len(one.y) < least:
        return f"truth has come of {len(one.y):,} predictions, {least:,} are needed"
    if contract.task != "regression" and len(np.unique(one.y)) < 2:
        return f"all {len(one.y):,} truths are of one class"
    return ""


def _metrics(
    intervals: Mapping[str, Interval], evaluation: Mapping[str, Any], loaded: Settings, rows: int
) -> Iterator[Finding]:
    bounds, confidence = loaded.monitoring.performance, loaded.evaluation.confidence
    floors = {name: bound for name, bound in bounds.floor.items() if name in intervals}
    errors = critical(1 + len(floors), loaded.monitoring.alarms)
    metric = evaluation["metric"]
    now, test = intervals[metric], evaluation["metrics"].get(metric, {})
    if test.get("value") is not None:
        worse = gain(metric, test["value"], now.value)
        drop = scaled(bounds.drop, dict(evaluation)) or bounds.drop
        error = math.hypot(error_of(now, confidence), error_of(test, confidence))
        if worse >= drop and beyond(worse, error, errors):
            kind = "above" if metric in LOSSES else "below"
            words = (
                f"{metric} is {now.value:.4g} ({now.low:.4g} to {now.high:.4g}) on {rows:,} rows with truth, "
                f"{worse:.4g} {kind} the {test['value']:.4g} of the test slice; the bound is {drop:.4g}"
            )
            yield Finding("performance", words, None, now.value, test["value"] - gain(metric, drop, 0), rows)
    for name, bound in floors.items():
        one = intervals[name]
        if beyond(gain(name, bound, one.value), error_of(one, confidence), errors):
            words = (
                f"{name} is {one.value:.4g} ({one.low:.4g} to {one.high:.4g}) on {rows:,} rows with truth, "
                f"beyond the floor of {bound:g}"
            )
            yield Finding("floor", words, None, one.value, bound, rows)


def _calibration(found: Mapping[str, Any], task: str, loaded: Settings, rows: int) -> Iterator[Finding]:
    """Of the error, what chance alone gives is taken off: of ideal predictions it is not zero on few rows."""
    bound = loaded.gates.calibration
    if bound is None:
        return
    error = float(found["error"])
    if task == "regression":
        scale = abs(found["bias"]) / error if error else math.inf
        noise = 3 * found["spread"] / scale / math.sqrt(rows)
    else:
        noise = sum(
            one["rows"] / rows * math.sqrt(2 / math.pi * one["observed"] * (1 - one["observed"]) / one["rows"])
            for one in found["bins"]
        )
    if error - noise > bound:
        what = f"the calibration error is {error:.4g}"
        if task == "regression":
            side = "above" if found["bias"] > 0 else "below"
            what = f"predicted is on average {error:.4g} standard deviations {side} actual ({abs(found['bias']):.4g})"
        words = f"{what} on {rows:,} rows with truth, of which chance gives {noise:.2g}; gates.calibration is {bound:g}"
        yield Finding("calibration", words, None, error, bound, rows)
