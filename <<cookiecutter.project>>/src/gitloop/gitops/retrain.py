"""A retraining is a pull request of one line: the end of the data's window moves. CI trains, people decide."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from gitloop import config, git, layout, ui
from gitloop.errors import InputError, Refused
from gitloop.gitops import actions, charts, forge, limits, proposal
from gitloop.gitops.lines import replaced
from gitloop.gitops.markdown import Part, plain
from gitloop.modeling.report import Section
from gitloop.monitoring import findings
from gitloop.monitoring.decide import Decision
from gitloop.monitoring.findings import Result

BRANCH, LABEL = "gitloop/retrain", "gitloop:retrain"
SHOWN = 12  # windows


def propose(base: str, decision: Decision, history: Sequence[Result]) -> None:
    """Open the pull request on main's commit `base`, or bring it up to date.

    Nothing where the window ends as late already, or where the same evidence was answered with not now. Raises
    `Refused` where the window has no end to move.
    """
    assert decision.until is not None  # noqa: S101 -- there is a window, or nothing would be wanted
    files, was = moved(base, datetime.fromisoformat(decision.until))
    if not files:
        ui.say(f"the data's window ends at {was} already: nothing to propose; `make train` reads what is new in it")
        return
    here, mark = forge.here(), evidence(decision)
    before = [one for one in here.pulls(head=BRANCH, state="all") if one.state != "merged"]
    opened = any(one.state == "open" for one in before)
    if not opened and before and mark in before[-1].body:
        ui.say("a retraining for this was proposed and closed, which means not now")
        return
    if not opened and decision.action != "retrain":
        return
    title = f"Retrain with data until {decision.until[:10]}"
    made = proposal.commit(base, files, title)
    text = body(decision, history, was, mark, str(_params(base)["data"]["metric"]))
    pull = proposal.propose(BRANCH, made, title, text, LABEL)
    ui.say(f"{title}: {pull.url or f'pull request {pull.number}'}")
    actions.output(pull=pull.number)


def moved(base: str, end: datetime) -> tuple[dict[Path, bytes], str]:
    """The files of a commit in which the window ends at `end`, and where it ends now; no files where that is later."""
    params = _params(base)
    path = layout.data_conf(params["data"]["name"])
    until = (params["data"].get("window") or {}).get("until")
    if until is None:
        raise Refused(
            f"{path}: window.until: is null, so there is no end to move: each training reads all there is; "
            "`gitloop dispatch train.yml` on a branch"
        )
    if datetime.fromisoformat(str(until)) >= end:
        return {}, str(until)
    content = git.content(base, path)
    changed = None if content is None else replaced(content, ["window", "until"], shown(end))
    if changed is None:
        raise InputError(f"{path}: window.until: cannot be moved; write it as `until: 2013-04-01`, on one line")
    return {path: changed, layout.PARAMS: _composed(base, path, changed)}, str(until)


def _params(base: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(git.content(base, layout.PARAMS) or b"{}")
    return found


def shown(end: datetime) -> str:
    """As people write it: a midnight is a day."""
    return end.date().isoformat() if end == datetime.combine(end.date(), datetime.min.time()) else end.isoformat()


def _composed(base: str, path: Path, content: bytes) -> bytes:
    """params.yaml as conf/ of the commit composes to it, with another content of one file."""
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        if not git.extracted(base, layout.CONF.as_posix(), Path(folder)):
            raise InputError(f"{layout.CONF}: is not in {base[:10]}; commit it")
        (Path(folder) / path).write_bytes(content)
        config.sync(Path(folder), check=False)
        return (Path(folder) / layout.PARAMS).read_bytes()


def evidence(decision: Decision) -> str:
    """A line that is the same for the same reasons, whatever the numbers and the window."""
    reasons = sorted({(one.kind, one.column or "", one.slice or "") for one in decision.evidence})
    return forge.line(f"evidence-{hashlib.sha256(repr((decision.version, reasons)).encode()).hexdigest()[:16]}")


def body(decision: Decision, history: Sequence[Result], was: str, mark: str, metric: str) -> str:
    """What a reviewer decides from. `metric`: that models are chosen by."""
    known = [one for one in history if one.version == decision.version or one.status != "judged"][-SHOWN:]
    rows: list[list[object]] = [
        [one.kind, " ".join(filter(None, (one.column, one.slice))) or None, one.value, one.bound, one.rows]
        for one in decision.evidence
    ]
    parts = [
        Part(Section("What was found", ["what", "where", "value", "bound", "rows"], rows)),
        _windows(known, metric),
        Part(Section("What this changes", (), ()), more=_changes(decision, history, was)),
        _pages(decision),
        Part(Section("Not now?", (), (), "Close this pull request: it is not opened again for these reasons.")),
    ]
    return limits.fit(f"{mark}\n{plain(decision.why, 2000)}\n\n", parts)


def _changes(decision: Decision, history: Sequence[Result], was: str) -> str:
    end = datetime.fromisoformat(str(decision.until))
    since = [one for one in history if datetime.fromisoformat(was) < one.end <= end]
    truths = sum(part.truth.rows for one in since for part in one.versions.values() if part.truth)
    return (
        f"The end of the data's window, from {plain(was)} to {shown(end)}, one line. In the windows since then "
        f"{sum(one.rows for one in since):,} predictions were made, and truth had come of {truths:,} when they were "
        "looked at. The run of this branch trains with the longer window and says whether the new model is better, "
        "on rows that neither has seen."
    )


def _pages(decision: Decision) -> Part:
    """Where Evidently's pages are, with each column of the window beside the reference."""
    if url := actions.page():
        return Part(Section("Where to look", (), ()), more=f"[The run]({url}) · [the whole report]({url}#artifacts)")
    name = findings.named(datetime.fromisoformat(str(decision.until)))
    return Part(Section("Where to look", (), (), points=[f"{layout.MONITORING}/{name}/"]))


def _windows(known: Sequence[Result], metric: str) -> Part:
    rows: list[list[object]] = []
    live: list[tuple[str, float | None]] = []
    drift: list[tuple[str, float | None]] = []
    for one in known:
        part = one.versions.get(one.version or "")
        value = (part.truth.metrics if part and part.truth else {}).get(metric, {}).get("value")
        drifted = sum(column.drifted for column in part.columns.values()) if part else None
        coverage = part.truth.coverage if part and part.truth else None
        rows.append([one.until[:16], one.status, one.rows, drifted, value, coverage])
        live.append((one.until[:10], value))
        drift.append((one.until[:10], drifted))
    header = ["window to", "status", "predictions", "columns that drifted", metric, "share with truth"]
    drawn = [
        charts.bars(f"{metric} by window", metric, live),
        charts.bars("Columns that drifted, by window", "columns", drift, level=False),
    ]
    return Part(Section("The windows", header, rows), more="\n\n".join(filter(None, drawn)))
