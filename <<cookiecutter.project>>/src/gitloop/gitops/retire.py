"""A version below the floor goes: back to the earlier one that does best on the same recent rows, else to none."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from gitloop import git, layout, settings, ui
from gitloop.errors import GitloopError
from gitloop.gitops import environment, fetch, origin, promote, registry
from gitloop.gitops.environment import NEWEST
from gitloop.gitops.markdown import Part
from gitloop.gitops.registry import Registry, Version
from gitloop.modeling.report import Section
from gitloop.monitoring import earlier
from gitloop.monitoring.decide import Decision
from gitloop.monitoring.earlier import Asked, Standing
from gitloop.monitoring.findings import Result
from gitloop.monitoring.monitor import deployed
from gitloop.serving.journal import parts
from gitloop.settings import Settings


@dataclass(frozen=True)
class Way:
    """To which version (None: to none), why, and what it was chosen from."""

    to: Version | None
    why: str
    parts: tuple[Part, ...] = ()


def propose(decision: Decision, history: Sequence[Result]) -> None:
    """For each environment in which the version runs: a pull request that takes it back, or down."""
    found, base = registry.read(), origin.main()
    names = [name for name in found.stages if (one := found.runs(name)) and one.name == decision.version]
    if not names:
        ui.say(f"{decision.version} is recorded to run in no environment, so there is nothing to take down")
    loaded = settings.load()
    for name in names:
        content = git.content(base, layout.environment(name))
        if content and environment.parse(name, content).version == NEWEST:
            ui.say(f"{name} follows the newest version by itself; it is left as it is")
            continue
        way = back(loaded, found, name, decision, history)
        kind = "rollback" if way.to else "retire"
        promote.propose(found, base, name, way.to, kind, f"{decision.why} {way.why}", way.parts)


def back(loaded: Settings, found: Registry, name: str, decision: Decision, history: Sequence[Result]) -> Way:
    """Of the last `policy.earlier` versions before the one in use, the best that is above the floor.

    Where too little truth is in reach to score them it is the version that ran there before, and the words say so.
    """
    now = found.named(str(decision.version))
    rivals = [one for one in found.versions if one < now][-loaded.monitoring.policy.earlier :][::-1]
    if not rivals:
        return Way(None, f"There is no version before {now.name}.")
    since, until = _span(loaded, decision, history)
    try:
        rows = earlier.recent(_reached(loaded, name), since, until)
    except GitloopError as error:
        return _before(found, name, now, _first(error))
    least = loaded.monitoring.min_rows
    if rows.num_rows < least:
        return _before(found, name, now, f"truth of {rows.num_rows:,} predictions is in reach, {least:,} are needed")
    standings = _standings(loaded, [now, *rivals], rows)
    best = earlier.best(standings[1:], loaded)
    table = _table(loaded, standings, best, since, until)
    if not any(one.metrics for one in standings[1:]):
        return replace(_before(found, name, now, "none could be fetched and asked"), parts=(table,))
    if best is None:
        return Way(None, f"No version before {now.name} is above the floor on the same rows.", (table,))
    metric = loaded.data.metric
    value = best.metrics[metric].value
    why = f"Of the versions before it {best.version} does best on the same rows, {metric} {value:.4g}."
    return Way(found.named(best.version), why, (table,))


def _span(loaded: Settings, decision: Decision, history: Sequence[Result]) -> tuple[datetime, datetime]:
    """From the begin of the first window that counted to the end of the last."""
    until = datetime.fromisoformat(str(decision.until))
    how = loaded.monitoring
    default = until - timedelta(days=how.window * how.policy.retire)
    return min((one.start for one in history if one.until in decision.windows), default=default), until


def _reached(loaded: Settings, name: str) -> Settings:
    """With the log of the environment where that is on this machine, else with that of conf/serving/."""
    there = deployed(loaded, name)
    log = there.serving.log
    return there if log is not None and (log.url or log.url_env or parts(Path(log.folder))) else loaded


def _before(found: Registry, name: str, now: Version, why: str) -> Way:
    before = found.before(name, now.commit)
    ran = f"{before.name} ran in {name} before" if before else f"nothing ran in {name} before"
    return Way(before, f"No version was scored on recent rows ({why}); {ran}.")


def _standings(loaded: Settings, versions: Sequence[Version], rows: pa.Table) -> list[Standing]:
    """In the order given; what cannot be fetched or asked says why."""
    asked: dict[str, Asked] = {}
    failed: dict[str, Standing] = {}
    for one in versions:
        try:
            asked[one.name] = _asked(loaded, one, rows)
        except GitloopError as error:
            failed[one.name] = Standing(one.name, why=_first(error))
    judged = {one.version: one for one in earlier.standings(list(asked.values()), rows, loaded)}
    return [(judged | failed)[one.name] for one in versions]


def _asked(loaded: Settings, version: Version, rows: pa.Table) -> Asked:
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        model = Path(folder) / "model"
        fetch.fetch(version, model)
        return earlier.ask(version.name, version.commit, model, rows, loaded.data)


def _first(error: Exception) -> str:
    return str(error).splitlines()[0]


def _table(
    loaded: Settings, found: Sequence[Standing], best: Standing | None, since: datetime, until: datetime
) -> Part:
    metric, floor = loaded.data.metric, loaded.monitoring.performance.floor
    rows: list[list[object]] = []
    for number, one in enumerate(found):
        interval = one.metrics.get(metric)
        known = [interval.value, interval.low, interval.high, one.rows] if interval else [None] * 4
        words = [
            "in use" if not number else "",
            "proposed" if one is best else "",
            *earlier.broken(one, floor),
            f"left out: {one.why.removeprefix(f'{one.version}: ')}" if one.why else "",
        ]
        rows.append([one.version, *known, one.trained_until, "; ".join(filter(None, words)) or None])
    scored = [one for one in found if one.metrics]
    count = f"{scored[0].rows:,}" if scored else "no"
    ends = sorted(one.trained_until for one in scored if one.trained_until)
    seen = f" Rows until {ends[-1]}, which one of them was trained on, are left out." if ends else ""
    unknown = [one.version for one in scored if one.trained_until is None]
    note = f" Of {', '.join(unknown)} it is not known which rows it was trained on." if unknown else ""
    text = f"Each on the same {count} predictions from {since} to {until} (UTC) whose truth has come.{seen}{note}"
    return Part(
        Section(
            "Versions on the same recent rows",
            ["version", metric, "low", "high", "rows", "trained until", ""],
            rows,
            text,
        )
    )
