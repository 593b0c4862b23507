"""The parts of a report below its verdict, in the order in which a reviewer asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gitloop import layout, settings, ui
from gitloop.contract import Contract
from gitloop.gitops import actions, changes, charts, words
from gitloop.gitops.evidence import Evidence
from gitloop.gitops.markdown import Part, plain
from gitloop.gitops.verdict import SAME, Verdict
from gitloop.modeling import report
from gitloop.modeling.report import Section

FOLDED = 25  # points from which a section is folded


def parts(evidence: Evidence, verdict: Verdict) -> Iterator[Part]:
    """What there is to say. Metrics of another state than this one are never shown."""
    now = evidence.now
    if not verdict.valid or now.evaluation is None or now.selected is None:
        yield from changed(evidence)
        yield from cost(evidence)
        yield from where(evidence)
        return
    first, then = [*gates(evidence), metrics(evidence), *compared(evidence)], [candidates(evidence), *worse(evidence)]
    if verdict.mark == SAME and evidence.same:
        # Nothing of the model is to be decided: what is known of it waits until it is asked for.
        yield from changed(evidence)
        yield from (replace(one, folded=True) for one in (*first, *then))
    else:
        yield from first
        yield from changed(evidence)
        yield from then
        yield from drawn(evidence)
    loaded = settings.parse(now.params)
    yield Part(report.data(loaded, now.source, now.validation, now.split), folded=True)
    yield from (Part(one, folded=True) for one in report.parts(now.evaluation, loaded.data))
    yield from cost(evidence)
    yield from where(evidence)


def gates(evidence: Evidence) -> Iterator[Part]:
    """Those that failed first."""
    if evidence.gates is None:
        return
    marks = {True: "✅", False: "❌"}
    judged = [one for one in evidence.gates["verdicts"] if one["passed"] is not None]
    judged.sort(key=lambda one: one["passed"])
    rows = [
        [
            marks[one["passed"]],
            one["rule"],
            one["value"],
            f"{one['sense']} {one['bound']:.4g}" if one["sense"] else None,
        ]
        for one in judged
    ]
    other: dict[str, list[str]] = {}
    for one in evidence.gates["verdicts"]:
        if one["passed"] is None:
            other.setdefault(one["why"], []).append(one["rule"])
    points = [f"Not judged: {', '.join(rules)} ({why})" for why, rules in other.items()]
    yield Part(Section("Gates", ["", "gate", "value", "bound"], rows, points=points))


def metrics(evidence: Evidence) -> Part:
    """The chosen model on its test rows, beside what Git has of the base."""
    now, was = evidence.now.evaluation or {}, (evidence.was.evaluation if evidence.was else None)
    there = was["metrics"] if was and was != now else {}
    other = evidence.was is not None and evidence.was.test != evidence.now.test
    names = sorted(now["metrics"], key=lambda name: name != now["metric"])
    rows = []
    for name in names:
        one, old = now["metrics"][name], there.get(name, {}).get("value")
        beside = [old, *([] if other else [words.change(name, one["value"], old)])] if there else []
        rows.append([name, one["value"], words.interval(one), *beside, now["baseline"][name], now["train"][name]])
    confidence = evidence.now.params.get("evaluation", {}).get("confidence", 0.95)
    header = [
        "metric",
        "test",
        f"{confidence:.0%} interval",
        *([evidence.base] if there else []),
        *(["change"] if there and not other else []),
    ]
    text = f"{now['candidate']} on {now['rows']:,} test rows."
    if there and was and other:
        text += f" Those of {evidence.base} were measured on other rows ({was['rows']:,}): they say little of a change."
    declared = _declared(evidence.now.params)
    said = report.points(now, declared) if declared else []
    return Part(Section("Metrics", [*header, "baseline", "train"], rows, text, said))


def compared(evidence: Evidence) -> Iterator[Part]:
    """With the champion and with main on the same rows."""
    for found in evidence.comparisons:
        who: str = (found.get("champion") or {}).get("revision", "")
        if not found["judged"]:
            if not found.get("same") and found["why"] != "off":
                title = f"Against {who} on the same rows" if who else "Against a champion on the same rows"
                yield Part(Section(title, (), (), f"Not compared: {found['why']}."))
            continue
        metric = found["metric"]
        names = sorted(found["metrics"], key=lambda name: name != metric)
        rows = []
        for name in names:
            old, new = found["metrics"][name]["champion"], found["metrics"][name]["challenger"]
            bounds = words.bounds(found["gain"]) if name == metric else ""
            rows.append([name, new, old, f"{words.change(name, new, old) or '–'}{bounds}"])
        text = f"{found['rows']:,} rows that neither has trained on." + (
            f" Note: {found['note']}." if found["note"] else ""
        )
        header = ["metric", "this model", who, "change"]
        yield Part(Section(f"Against {who} on the same rows", header, rows, text))


def changed(evidence: Evidence) -> Iterator[Part]:
    """Parameters, columns, data and code, and what follows for the version."""
    was, now = evidence.was, evidence.now
    if was is None or not was.params or not now.params:
        return
    points = [*changes.parameters(was.params, now.params), *changes.contract(was.params, now.params)]
    points += _data(was.source, now.source)
    if evidence.code:
        shown = ", ".join(evidence.code[:10])
        points.append(f"code: {shown}" + (f" and {len(evidence.code) - 10} more" if len(evidence.code) > 10 else ""))
    failed = {one["check"] for one in (evidence.checks or {}).get("findings", ())}
    if failed & {"params", "contract"}:
        text = "This is params.yaml as it is committed, which is not what conf/ says."
    elif not points:
        text = f"No parameter, column, data or code differs from {evidence.base}."
    elif was.selected is None:
        text = "There was no model before."
    else:
        step, why = changes.version(was.params, now.params, code=bool(evidence.code), same=evidence.same)
        text = f"Released, it is a {step} version: {why}." if step else f"No new version: {why}."
    yield Part(Section(f"What changed since {evidence.base}", (), (), text, points), folded=len(points) > FOLDED)


def candidates(evidence: Evidence) -> Part:
    selected, was = evidence.now.selected or {}, (evidence.was.selected if evidence.was else None)
    old = (
        {one["candidate"]: one["mean"] for one in was["ranking"]} if was and was["metric"] == selected["metric"] else {}
    )
    rows = [
        [
            one["candidate"],
            one["mean"],
            one["se"],
            *([old.get(one["candidate"])] if old else []),
            one["complexity"],
            "✅" if one["candidate"] == selected["candidate"] else None,
        ]
        for one in selected["ranking"]
    ]
    measured = [f"cross-validated {selected['metric']}", "standard error", *([evidence.base] if old else [])]
    header = ["candidate", *measured, "complexity", "chosen"]
    return Part(Section("Candidates", header, rows, selected["reason"]))


def worse(evidence: Evidence) -> Iterator[Part]:
    """Slices in which the model is worse than what it is compared with, the worst first."""
    found = _first(evidence)
    if found is None or not found["slices"]:
        return
    who, metric = found["champion"]["revision"], found["metric"]
    every = [(f"{column} {name}", one) for column, of in found["slices"].items() for name, one in of.items()]
    bad = [(name, one) for name, one in every if one["gain"]["value"] is not None and one["gain"]["value"] < 0]
    bad.sort(key=lambda pair: pair[1]["gain"]["value"])
    sure = sum(words.sure(one["gain"]) for _, one in bad)
    rows = [
        [
            name,
            one["rows"],
            one["challenger"],
            one["champion"],
            words.gain(one["gain"]),
            "yes" if words.sure(one["gain"]) else "no",
        ]
        for name, one in bad
    ]
    text = f"{len(bad)} of {len(every)} slices are worse than with {who}, {sure} of them beyond chance."
    header = ["slice", "rows", f"{metric}", who, "gain", "beyond chance"]
    yield Part(Section("Slices that got worse", header if rows else (), rows, text), folded=bool(rows) and not sure)


def drawn(evidence: Evidence) -> Iterator[Part]:
    now = evidence.now
    found = [
        charts.slices(now.evaluation or {}, _first(evidence)),
        charts.candidates(now.selected or {}),
        charts.calibration(now.evaluation or {}),
    ]
    if any(found):
        yield Part(Section("Charts", (), ()), more="\n\n".join(filter(None, found)))


def cost(evidence: Evidence) -> Iterator[Part]:
    run = evidence.run
    if run is None:
        return
    took = sorted(run["seconds"].items(), key=lambda pair: -pair[1])
    ran = ", ".join(f"{name} ({words.time(seconds)})" for name, seconds in took) or "none"
    text = f"{words.time(run['total_seconds'])}. Stages that ran: {ran}; that did not need to: {len(run['cached'])}."
    yield Part(Section("Cost of the run", (), (), f"{text} Data fetched: {words.size(run['pulled_bytes'])}."))


def where(evidence: Evidence) -> Iterator[Part]:
    """The run and its files; on a laptop the files alone."""
    said = f"Commit {(evidence.commit or '')[:12]}" + (f" of {plain(evidence.branch, 100)}" if evidence.branch else "")
    if evidence.actions and (url := actions.page()):
        yield Part(
            Section("", (), ()),
            more=f"{said} · [the run and its log]({url}) · [report, numbers, plots]({url}#artifacts)",
        )
        return
    pages = (layout.PROFILE, layout.PLOTS, layout.EVALUATION, layout.GATES, layout.COMPARISON)
    there = [path.as_posix() for path in pages if Path(path).exists()]
    if there:
        yield Part(Section("Where to look", (), (), points=there))


def _declared(params: dict[str, Any]) -> Contract | None:
    """The contract of a version, as far as today's code can read it."""
    data = params.get("data")
    try:
        return Contract.model_validate({key: data[key] for key in ("task", "columns")}) if data else None
    except (KeyError, TypeError, ValidationError):
        return None


def _first(evidence: Evidence) -> dict[str, Any] | None:
    return next((one for one in evidence.comparisons if one["judged"]), None)


def _data(was: dict[str, Any] | None, now: dict[str, Any] | None) -> list[str]:
    if not was or not now:
        return []
    found = [f"data: {key} {ui.cell(was[key])} → {ui.cell(now[key])}" for key in ("rows",) if was[key] != now[key]]
    if was["sha256"] != now["sha256"]:
        found.append(f"data: fingerprint {was['sha256'][:12]} → {now['sha256'][:12]}")
    return found
