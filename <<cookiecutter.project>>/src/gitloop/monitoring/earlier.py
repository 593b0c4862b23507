"""Versions on the same recent rows with truth: which would do better than the one that is in use.

As on the test slice: each is asked through the runtime that serves it, with the features of its own time, and judged by
the same metrics with the same intervals. Rows that any of them was trained on are left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from gitloop import git, layout
from gitloop.arrays import Array
from gitloop.contract import Contract
from gitloop.data.table import arrays
from gitloop.errors import InputError
from gitloop.modeling.champion import code
from gitloop.modeling.features import target
from gitloop.modeling.intervals import Draws, Interval, Scored, bootstrap
from gitloop.modeling.metrics import gain
from gitloop.monitoring import watched
from gitloop.monitoring.scored import with_truth
from gitloop.serving import integrity, runtime, signature
from gitloop.serving.integrity import LINEAGE
from gitloop.settings import Settings


@dataclass(frozen=True)
class Asked:
    """What one version says of the rows."""

    version: str
    scored: Scored
    trained_until: str | None  # by the contract's timestamp


@dataclass(frozen=True)
class Standing:
    """How one version does; without metrics where `why` says what stands in the way."""

    version: str
    rows: int = 0
    metrics: Mapping[str, Interval] = field(default_factory=dict)
    trained_until: str | None = None
    why: str = ""


def recent(loaded: Settings, since: datetime, until: datetime) -> pa.Table:
    """Predictions of a time (naive UTC) whose truth has come, at most `truth_rows`; the target is a column.

    Raises `InputError` where the log cannot be read.
    """
    how, log = loaded.monitoring, loaded.serving.log
    if log is None:
        raise InputError("conf/serving/: log: null keeps no predictions; name a folder")
    seen = watched.read(log, loaded.data, since, until, most=how.sample, truth_days=how.truth_days, now=until)
    known = with_truth(seen.rows, loaded.data)
    if known.num_rows <= how.truth_rows:
        return known
    drawn = np.random.default_rng(how.seed).choice(known.num_rows, size=how.truth_rows, replace=False)
    return known.take(pa.array(np.sort(drawn)))


def ask(version: str, commit: str, folder: Path, rows: pa.Table, today: Contract) -> Asked:
    """Have the model in a folder, which is that of a commit, score the rows. Raises `InputError` where it cannot."""
    package = integrity.verified(folder)
    signed = signature.parse(folder / signature.FILE, package.json(signature.FILE))
    _fits(version, signed.contract, list(signed.inputs), rows, today)
    with _then(commit, signed.derive) as root:
        served = runtime.load(folder, root)
        scores = served.scores(arrays(rows, signed.contract.columns, signed.inputs))
    if not np.isfinite(scores).all():
        raise InputError(f"{version}: {int((~np.isfinite(scores)).sum()):,} rows have no score by it")
    labels = signed.labels if signed.contract.task == "multiclass" else None
    until = package.json(LINEAGE)["data"].get("trained_until")
    return Asked(version, Scored(scores, signed.threshold, labels), until)


def standings(asked: Sequence[Asked], rows: pa.Table, loaded: Settings) -> list[Standing]:
    """Each on the same rows, which are later than what any of them was trained on, in the order given.

    One that has seen so much of them that fewer than `min_rows` are left is not judged.
    """
    data, how = loaded.data, loaded.evaluation
    later = {one.version: _later(one, rows, data) for one in asked}
    enough = {name for name, mask in later.items() if mask.sum() >= loaded.monitoring.min_rows}
    unseen = np.logical_and.reduce([later[name] for name in sorted(enough)]) if enough else np.zeros(0, dtype=bool)
    draws = Draws(how.bootstrap, how.confidence, how.seed)
    y = target(rows, data)
    found = []
    for one in asked:
        if one.version not in enough:
            why = (
                f"was trained on rows until {one.trained_until}: of {rows.num_rows:,} rows with truth "
                f"{int(later[one.version].sum()):,} are later, {loaded.monitoring.min_rows:,} are needed"
            )
            found.append(Standing(one.version, trained_until=one.trained_until, why=why))
            continue
        scored = one.scored._replace(scores=one.scored.scores[unseen])
        metrics = bootstrap(data.task, y[unseen], scored, draws)
        found.append(Standing(one.version, int(unseen.sum()), metrics, one.trained_until))
    return found


def broken(one: Standing, floor: Mapping[str, float]) -> list[str]:
    """The floors that a version is not above; `floor` as in `performance.floor`."""
    bounds = {name: bound for name, bound in floor.items() if name in one.metrics}
    return [
        f"{name} {one.metrics[name].value:.4g} is not above the floor of {bound:g}"
        for name, bound in bounds.items()
        if not gain(name, one.metrics[name].value, bound) > 0
    ]


def best(found: Sequence[Standing], loaded: Settings) -> Standing | None:
    """The best of those above every floor, by the metric that models are chosen by; of equals the first given."""
    metric = loaded.data.metric
    kept = [one for one in found if one.metrics and not broken(one, loaded.monitoring.performance.floor)]
    kept = [one for one in kept if not np.isnan(one.metrics[metric].value)]
    return max(kept, key=lambda one: gain(metric, one.metrics[metric].value, 0.0), default=None)


def _later(one: Asked, rows: pa.Table, data: Contract) -> Array:
    """The rows that it cannot have been trained on. Without an end of its training that is not known: all of them."""
    if one.trained_until is None:
        return np.ones(rows.num_rows, dtype=bool)
    name = data.timestamp if data.timestamp in rows.column_names else "_time"
    times = rows.column(name).to_numpy().astype("datetime64[us]")
    return np.asarray(times > np.datetime64(one.trained_until, "us"), dtype=bool)


def _fits(version: str, then: Contract, needed: Sequence[str], rows: pa.Table, today: Contract) -> None:
    was, now = (
        (one.task, one.target, one.columns[one.target].type, one.columns[one.target].positive) for one in (then, today)
    )
    if was != now:
        raise InputError(f"{version}: predicts {then.target} ({then.task}) as then declared")
    for name in needed:
        if name not in rows.column_names:
            raise InputError(f"{version}: needs column {name}, which the prediction log does not hold")
        if then.columns[name].type != today.columns[name].type:
            raise InputError(f"{version}: needs column {name} as {then.columns[name].type}")


@contextmanager
def _then(commit: str, derive: str | None) -> Iterator[Path]:
    """A root with the configuration of a commit, and its code of the features in the place of today's."""
    with code(commit, derive) as root:
        if not git.extracted(commit, layout.PARAMS.as_posix(), root):
            raise InputError(f"{layout.PARAMS}: is not in {commit[:10]}")
        yield root
