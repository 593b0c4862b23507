"""From a window of the log and the references of its versions to what is found in it. Reads and writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from gitloop.contract import Column
from gitloop.monitoring import drift, performance, quality, scored, service
from gitloop.monitoring.findings import Distance, Finding, Part, Result, Status
from gitloop.monitoring.quality import COMPARED, Values
from gitloop.monitoring.references import Lookup, Reference
from gitloop.monitoring.watched import Watched
from gitloop.settings import Settings

TESTS = 4  # of each column: drift, nulls, new categories, one value only
HALF = 0.5  # of the level is for columns; the other half for performance
LEAST = 100  # values of a column that is compared
USUAL = 8  # windows before, whose median is the usual volume
BROKEN = ("empty", "gone", "type")  # a column of which the drift says nothing


@dataclass(frozen=True)
class Looked:
    """A version's rows and what Evidently can be given of them."""

    version: str
    reference: Reference
    rows: pa.Table
    columns: dict[str, Column]


@dataclass
class _Version:
    findings: list[Finding] = field(default_factory=list)
    distances: dict[str, Distance] = field(default_factory=dict)
    missing: dict[str, float] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    whole: list[str] = field(default_factory=list)  # columns whose values can be checked
    columns: dict[str, Column] = field(default_factory=dict)  # those that can be compared


def watch(
    loaded: Settings, watched: Watched, lookup: Lookup, before: Sequence[Result] = ()
) -> tuple[Result, list[Looked]]:
    """What is found in a window, and the rows for the pages. `before`: results of earlier windows, oldest first."""
    how, rows = loaded.monitoring, watched.rows
    findings = list(service.findings(watched, how.quality, how.min_rows))
    earlier = [one for one in before if one.until < watched.until.isoformat() and _length(one) == _length(watched)]
    usual = {one.until: one.rows for one in earlier[-USUAL:]}
    findings += quality.of_volume(watched.count, usual, how.quality.volume)
    target = loaded.data.columns[loaded.data.target]
    findings += quality.of_truth(loaded.data.target, target.type, watched.lines, loaded.data.rules.max_invalid)
    counts = pc.value_counts(rows.column("_version")).to_pylist()
    sizes = {str(one["values"]): int(one["counts"]) for one in counts}
    order = sorted(sizes, key=lambda name: (-sizes[name], name))
    large = sum(size >= how.min_rows for size in sizes.values())
    parts: dict[str, Part] = {}
    looked: list[Looked] = []
    for version in order:
        if sizes[version] < how.min_rows:
            parts[version] = Part(sizes[version], "not enough data")
            continue
        reference = lookup(version)
        if reference is None:
            words = f"{version}: what it was trained on is not here; run `gitloop fetch {version}`, or fetch the tags"
            findings.append(Finding("reference", words, rows=sizes[version], version=version))
            parts[version] = Part(sizes[version], "judged")
            continue
        mine = rows.filter(pc.equal(rows.column("_version"), version))
        part, found, columns = _version(loaded, watched, mine, reference, large)
        parts[version] = part
        findings += [replace(one, version=version) for one in found]
        looked.append(Looked(version, reference, mine, columns))
    status: Status = "empty" if not rows.num_rows else "judged" if large else "not enough data"
    result = Result(
        since=watched.since.isoformat(),
        until=watched.until.isoformat(),
        status=status,
        rows=watched.count,
        share=watched.share,
        error=0.0 if watched.share == 1 else 0.98 / max(rows.num_rows, 1) ** 0.5,
        versions=parts,
        findings=tuple(findings),
        latency_ms=service.latency(watched),
        requests=service.requests(watched),
    )
    return result, looked


def _length(one: Result | Watched) -> timedelta:
    if isinstance(one, Watched):
        return one.until - one.since
    return one.end - one.start


def _version(
    loaded: Settings, watched: Watched, rows: pa.Table, reference: Reference, parts: int
) -> tuple[Part, list[Finding], dict[str, Column]]:
    """One version's rows beside its reference. `parts`: versions that share the level of the window."""
    how, contract = loaded.monitoring, reference.signature.contract
    names = quality.watchable(contract, reference.rows)
    level = how.alarms * HALF / max(parts, 1) / (TESTS * len(names) + 2)
    seen = _Version()
    for name in names:
        _column(name, loaded, watched, rows, reference, level, seen)
    findings = seen.findings
    needed = [name for name in reference.signature.inputs if name in seen.whole]
    findings += quality.of_contract(rows.select(seen.whole), contract, needed, loaded.data.rules.max_invalid)
    prediction = _predictions(rows, reference, how.drift.wasserstein, level, how.min_rows)
    if prediction is not None and prediction.drifted:
        findings.append(Finding("prediction drift", _words("the predictions", prediction), None, *_numbers(prediction)))
    told, groups, found = performance.truth(rows, reference, loaded)
    findings += found
    if (target := _target(rows, reference, loaded, level)) is not None and target.drifted:
        words = _words(f"{contract.target} where truth has come", target)
        findings.append(Finding("target drift", words, contract.target, *_numbers(target)))
    part = Part(
        rows=rows.num_rows,
        status="judged",
        trained_until=reference.trained_until,
        columns=seen.distances,
        missing=seen.missing,
        prediction=prediction,
        truth=told,
        fairness={name: {rate: one["value"] for rate, one in of.items()} for name, of in groups.items()},
        groups=groups,
        left_out=seen.left_out,
    )
    return part, findings, seen.columns


def _column(
    name: str, loaded: Settings, watched: Watched, rows: pa.Table, reference: Reference, level: float, seen: _Version
) -> None:
    column, how = reference.signature.contract.columns[name], loaded.monitoring
    today = loaded.data.columns.get(name)
    if name not in rows.column_names or today is None:
        words = (
            f"{name}: the column is gone from the contract, so that no line holds it; the version was trained with it"
        )
        seen.findings.append(Finding("gone", words, name, 1.0, 0.0, rows.num_rows))
        seen.left_out[name] = "gone"
        return
    if today.type != column.type:
        words = f"{name}: is {today.type} in the contract and was {column.type} when the version was trained"
        seen.findings.append(Finding("type", words, name, None, None, rows.num_rows))
        seen.left_out[name] = "type"
        return
    one = quality.values(name, column, reference.rows, rows)
    seen.missing[name] = one.missing
    found = list(quality.of_column(one, watched.lines, how, level, column.categories or ()))
    seen.findings += found
    if why := _unfit(one, found):
        seen.left_out[name] = why
        return
    seen.whole.append(name)
    if column.type not in COMPARED:
        return
    if len(one.now) < LEAST:
        seen.left_out[name] = "not enough data"
        return
    seen.columns[name] = column
    distance = drift.column(one.kind, one.before, one.now, how.drift, level)
    seen.distances[name] = distance
    if distance.drifted:
        words = f"{_words(name, distance)}{_moved(one)}"
        seen.findings.append(Finding("drift", words, name, *_numbers(distance)))


def _unfit(one: Values, found: Sequence[Finding]) -> str:
    """Why a column cannot be compared; empty where it can."""
    if not len(one.now):
        return next((finding.kind for finding in found if finding.kind in BROKEN), "empty")
    return "" if len(one.before) else "the reference has no value"


def _words(what: str, of: Distance) -> str:
    unit = " standard deviations" if of.method.startswith("wasserstein") else ""
    return (
        f"{what}: drifted by {of.distance:.4g}{unit} ({of.method}) on {of.rows:,} values; "
        f"the bound is {of.bound:g}, and chance gives as much {_chance(of.p)}"
    )


def _chance(p: float) -> str:
    return "in less than one window of a million" if p < 1e-6 else f"in {p:.1g} of windows"


def _moved(one: Values) -> str:
    if one.kind != "numeric":
        return ""
    return f"; the mean went from {np.mean(one.before):.4g} to {np.mean(one.now):.4g}"


def _numbers(of: Distance) -> tuple[float, float, int]:
    return of.distance, of.bound, of.rows


def _predictions(rows: pa.Table, reference: Reference, bound: float, level: float, least: int) -> Distance | None:
    said = scored.headline(scored.scores(rows, reference.signature))
    bins = reference.evaluation.get("calibration", {}).get("bins", [])
    return drift.predictions(bins, said, bound, level) if len(said) >= least else None


def _target(rows: pa.Table, reference: Reference, loaded: Settings, level: float) -> Distance | None:
    """Of the truth that has come, beside that of the training rows."""
    contract, how = reference.signature.contract, loaded.monitoring
    known = scored.with_truth(rows, contract)
    if contract.target not in reference.rows.column_names:
        return None
    one = quality.values(contract.target, contract.columns[contract.target], reference.rows, known)
    if len(one.now) < how.min_rows or not len(one.before):
        return None
    return drift.column(one.kind, one.before, one.now, how.drift, level)


def said(result: Result) -> Iterator[str]:
    """What a person is told of a window."""
    for name, part in result.versions.items():
        if part.status == "not enough data":
            yield f"{name}: {part.rows:,} predictions are not enough data to be judged"
        elif part.truth is not None:
            delay = (
                "" if part.truth.delay_hours is None else f", {part.truth.delay_hours:.3g} hours later in the median"
            )
            why = f"; {part.truth.why}" if part.truth.why else ""
            yield f"{name}: truth has come of {part.truth.rows:,} of {part.rows:,} predictions{delay}{why}"
