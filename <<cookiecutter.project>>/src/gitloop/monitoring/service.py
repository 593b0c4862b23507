"""Whether the service and its log are well: requests, latency, lines lost or repeated, clocks, feedback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pyarrow.compute as pc

from gitloop.monitoring.findings import Finding
from gitloop.monitoring.watched import Watched
from gitloop.serving.tallied import Requests
from gitloop.settings import QualityBounds

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
HOUR = 3600.0


def latency(watched: Watched) -> dict[str, float]:
    """Quantiles in milliseconds; empty where none was logged."""
    known = watched.rows.column("_latency_ms").drop_null().to_numpy()
    return {name: float(np.quantile(known, at)) for name, at in QUANTILES.items()} if len(known) else {}


def requests(watched: Watched) -> dict[str, int]:
    """How many there were, and of those how many were refused and failed; empty where none was counted."""
    of = watched.requests
    return {"count": of.count, "refused": of.refused, "failed": of.failed} if of.count else {}


def findings(watched: Watched, bounds: QualityBounds, min_rows: int) -> Iterator[Finding]:
    rows, lines = watched.rows.num_rows, watched.lines
    for name in lines.broken:
        yield Finding("broken", f"{name}: this file of the log holds no line that can be read; it is left out")
    if watched.requests.count >= min_rows:
        yield from _requests(watched.requests, bounds.errors)
    if rows < min_rows:
        return
    if (found := latency(watched)) and found["p95"] > bounds.latency_ms:
        words = f"5 of 100 predictions took longer than {found['p95']:.3g} ms; the bound is {bounds.latency_ms:g} ms"
        yield Finding("latency", words, None, found["p95"], bounds.latency_ms, rows)
    lost = lines.torn + int(pc.sum(pc.is_null(watched.rows.column("_prediction"))).as_py() or 0)
    yield from _share("errors", lost, rows + lines.torn, bounds.errors, "lines are torn or hold no prediction")
    yield from _share("repeated", lines.repeated, lines.predictions, bounds.errors, "lines repeat the id of another")
    last = pc.max(watched.rows.column("_time")).as_py()
    silent = (watched.until - last) / timedelta(hours=1)
    if silent > bounds.stale_hours:
        words = f"no prediction in the last {silent:.3g} hours of the window; the bound is {bounds.stale_hours:g}"
        yield Finding("stale", words, None, silent, bounds.stale_hours, rows)
    yield from _clocks(watched, bounds.errors)
    yield from _share("unknown", lines.unknown, lines.told, bounds.errors, "truths were told of ids never predicted")
    yield from _share(
        "contradicted", lines.contradicted, lines.truths, bounds.errors, "predictions have more than one truth"
    )


def _requests(of: Requests, bound: float) -> Iterator[Finding]:
    yield from _share("failed", of.failed, of.count, bound, f"requests failed, most with {of.most_failed}")
    yield from _share("refused", of.refused, of.count, bound, f"requests were refused, most with {of.most_refused}")


def _clocks(watched: Watched, bound: float) -> Iterator[Finding]:
    lines = watched.lines
    if lines.truths and lines.early / lines.truths > bound:
        words = (
            f"{lines.early:,} of {lines.truths:,} truths ({lines.early / lines.truths:.2%}) were told before their "
            f"prediction was made, by {lines.early_hours:.3g} hours in the median: a clock is wrong"
        )
        yield Finding("clock", words, None, lines.early_hours, 0.0, lines.truths)
    if lines.predictions and lines.future / lines.predictions > bound:
        share = lines.future / lines.predictions
        words = (
            f"{lines.future:,} of {lines.predictions:,} predictions ({share:.2%}) are of the future: a clock is wrong"
        )
        yield Finding("clock", words, None, share, bound, lines.predictions)


def _share(kind: str, count: int, of: int, bound: float, what: str) -> Iterator[Finding]:
    if of and count / of > bound:
        words = f"{count:,} of {of:,} ({count / of:.2%}) {what}; the bound is {bound:.2%}"
        yield Finding(kind, words, None, count / of, bound, of)  # type: ignore[arg-type]
