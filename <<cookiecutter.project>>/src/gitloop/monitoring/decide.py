"""What the last windows ask for: nothing, an alert, a retraining or a retirement; and a sentence that says why.

- retire: the live metric is below `performance.floor` in `retire` windows in a row.
- retrain: the same drift or loss of quality is found in `needed` of the last `windows` windows, and it is not too soon.
- alert: the newest window shows that rows, service or log are not well, or that rows are too broken to be trained on.
- nothing: else; also where there is not enough data.

Only windows with enough data count, and of them only those of the version that is in use. A column that drifts because
it is broken asks for an alert, not for a retraining on broken rows.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from gitloop import layout, settings, ui
from gitloop.errors import InputError
from gitloop.files import write_json
from gitloop.modeling.metrics import rounded
from gitloop.monitoring import findings
from gitloop.monitoring.findings import Finding, Result
from gitloop.settings import Policy

Action = Literal["nothing", "alert", "retrain", "retire"]
MODEL = ("performance", "calibration", "slice", "fairness", "drift", "prediction drift", "target drift")  # worst first
BROKEN = ("empty", "gone", "constant", "type", "missing", "unseen", "contract")  # rows not to be trained on
ROOT = ("empty", "gone", "type", "contract")  # of any column: the rows as a whole are not to be trained on
YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Decision:
    """What is to be done about the newest window."""

    action: Action
    why: str  # a sentence, with the numbers
    until: str | None = None  # of the newest window
    version: str | None = None  # that is in use
    wanted: Action = "nothing"  # what the findings ask for, whether it is too soon or not
    evidence: tuple[Finding, ...] = ()  # of the newest window that shows each reason
    windows: tuple[str, ...] = ()  # ends of the windows that were looked at
    alerts: tuple[Finding, ...] = ()  # what somebody should look at, whatever the action
    season: str = ""  # what the same time of last year was like
    acted: str | None = None  # end of the window after which a retraining or retirement was last asked for, before


_DECISION = TypeAdapter(Decision)


def decide(history: Sequence[Result], policy: Policy, acted: datetime | None = None) -> Decision:
    """The decision after the newest of the windows, in any order. `acted`: when something was last asked for."""
    known = sorted(history, key=lambda one: (one.until, one.since))
    if not known:
        return Decision("nothing", "No window has been looked at yet; run `gitloop monitor`.")
    newest = known[-1]
    alerts = tuple(one for one in newest.findings if one.kind not in (*MODEL, "floor"))
    told = None if acted is None else acted.isoformat()
    base = Decision("nothing", "", newest.until, newest.version, alerts=alerts, acted=told)
    if newest.status != "judged":
        why = f"The window to {newest.until} holds {newest.rows:,} predictions: {newest.status}"
        return _alerted(replace(base, why=f"{why}."), alerts)
    mine = [one for one in known if one.status == "judged" and one.version == newest.version]
    low = [_of(one, ("floor",)) for one in mine[-policy.retire :]]
    if len(low) == policy.retire and all(low):
        why = f"Below the floor in {policy.retire} windows in a row: {low[-1][0].words}."
        ends = tuple(one.until for one in mine[-policy.retire :])
        return replace(base, action="retire", wanted="retire", why=why, evidence=tuple(low[-1]), windows=ends)
    looked = mine[-policy.windows :]
    base = replace(base, season=season(newest, known), windows=tuple(one.until for one in looked))
    return _retrained(base, newest, looked, _cooling(newest, known, policy, acted), policy)


def _retrained(base: Decision, newest: Result, looked: Sequence[Result], cooling: str, policy: Policy) -> Decision:
    """A retraining where enough of the windows ask for it. `cooling`: why it would be too soon."""
    reasons, pending = _reasons(looked, policy)
    if not reasons:
        return _alerted(replace(base, why=_quiet(newest, pending, policy)), base.alerts)
    why = "; ".join(words for _, words in reasons) + "."
    why = why[0].upper() + why[1:] + (f" {base.season}" if base.season else "")
    wanted = replace(base, wanted="retrain", evidence=tuple(finding for finding, _ in reasons), why=why)
    if broken := [one for one in newest.findings if one.kind in ROOT]:
        return replace(wanted, action="alert", why=f"Not retrained on broken rows ({broken[0].words}), though: {why}")
    if cooling:
        return _alerted(replace(wanted, why=f"{cooling}, though: {why}"), base.alerts)
    return replace(wanted, action="retrain")


def _alerted(quiet: Decision, alerts: Sequence[Finding]) -> Decision:
    """An alert where there is anything to look at."""
    if not alerts:
        return quiet
    more = f", and {len(alerts) - 1} more" if len(alerts) > 1 else ""
    why = f"{alerts[0].words[0].upper()}{alerts[0].words[1:]}{more}. {quiet.why}"
    wanted: Action = "alert" if quiet.wanted == "nothing" else quiet.wanted
    return replace(quiet, action="alert", wanted=wanted, why=why, evidence=quiet.evidence or tuple(alerts))


def _of(result: Result, kinds: Sequence[str]) -> list[Finding]:
    """Findings of these kinds about the version that made most of the predictions."""
    return [one for one in result.findings if one.kind in kinds and one.version in (None, result.version)]


def _asking(result: Result) -> dict[tuple[str, str | None, str | None], Finding]:
    """What asks for a retraining: not the drift of a column that is broken."""
    broken = {one.column for one in _of(result, BROKEN) if one.column}
    asking = [one for one in _of(result, MODEL) if one.kind != "drift" or one.column not in broken]
    return {(one.kind, one.column, one.slice): one for one in asking}


def _reasons(windows: Sequence[Result], policy: Policy) -> tuple[list[tuple[Finding, str]], list[Finding]]:
    """What is found in enough of the windows, with words, the worst first; and what is not yet."""
    found = [_asking(one) for one in windows]
    keys = sorted(
        {key for one in found for key in one}, key=lambda key: (MODEL.index(key[0]), key[1] or "", key[2] or "")
    )
    reasons, pending = [], []
    for key in keys:
        shown = [one[key] for one in found if key in one]
        if len(shown) >= policy.needed:
            reasons.append((shown[-1], f"{shown[-1].words} (found in {len(shown)} of the last {len(windows)} windows)"))
        elif found[-1].get(key):
            pending.append(shown[-1])
    return reasons, pending


def _quiet(newest: Result, pending: Sequence[Finding], policy: Policy) -> str:
    if not pending:
        return f"Nothing of the model was found in the {newest.rows:,} predictions to {newest.until}."
    more = f", and {len(pending) - 1} more" if len(pending) > 1 else ""
    needed = f"{policy.needed} of {policy.windows} windows are needed for a retraining"
    return f"Not in enough windows yet: {pending[0].words}{more}; {needed}."


def _cooling(newest: Result, known: Sequence[Result], policy: Policy, acted: datetime | None) -> str:
    """Why it is too soon for a retraining; empty where it is not."""
    rest = timedelta(days=policy.cooling_days)
    if acted is not None and newest.end - acted < rest:
        return f"A retraining was asked for after the window to {acted.isoformat()}, less than {rest.days} days before"
    first = next(one for one in known if one.version == newest.version)
    other = any(one.version not in (None, newest.version) for one in known if one.until < first.until)
    if other and newest.end - first.start < rest:
        return f"{newest.version} has been in use since {first.since}, less than {rest.days} days"
    return ""


def season(newest: Result, known: Sequence[Result]) -> str:
    """Whether the window nearest to a year earlier showed the same; empty where there is none."""
    then = newest.end - YEAR
    near = [one for one in known if one.status == "judged" and abs(one.end - then) <= newest.end - newest.start]
    if not near:
        return ""
    old = min(near, key=lambda one: (abs(one.end - then), one.until))
    now, before = ({one.column for one in _of(result, ("drift",)) if one.column} for result in (newest, old))
    if same := sorted(now & before):
        return f"A year earlier, to {old.until}, the same had drifted: {', '.join(same)}."
    if now:
        return f"A year earlier, to {old.until}, it had not drifted."
    return ""


def run(_: argparse.Namespace) -> None:
    """`gitloop decide`. Run again after the same window it decides the same."""
    history = findings.history()
    decision = decide(history, settings.load().monitoring.policy, acted(history))
    write_json(layout.DECISION, rounded(asdict(decision)))
    ui.say(f"{decision.action}: {decision.why}")


def acted(history: Sequence[Result]) -> datetime | None:
    """When a retraining or retirement was last asked for, before the newest window. Raises `InputError`."""
    before = last()
    if before is None or before.until is None:
        return None
    again = bool(history) and before.until >= max(one.until for one in history)
    asked = before.acted if again or before.action not in ("retrain", "retire") else before.until
    return datetime.fromisoformat(asked) if asked else None


def last() -> Decision | None:
    """The decision that was written last. Raises `InputError` where its file is broken."""
    try:
        return parse(layout.DECISION.read_bytes(), str(layout.DECISION))
    except FileNotFoundError:
        return None


def parse(content: bytes, place: str) -> Decision:
    """A decision as it is written. Raises `InputError` where it is none."""
    try:
        return _DECISION.validate_json(content)
    except ValidationError as error:
        raise InputError(f"{place}: is not what `gitloop decide` writes; delete it and run again") from error
