"""`gitloop act`: do what was decided: an issue, a proposal to retrain, or one to go back or retire."""

from __future__ import annotations

import argparse

from gitloop import layout, ui
from gitloop.errors import InputError
from gitloop.gitops import forge, origin, retrain, windows
from gitloop.gitops.markdown import plain
from gitloop.monitoring import decide, findings
from gitloop.monitoring.decide import Decision

MARK, LABEL = "monitoring", "gitloop:alert"


def run(_: argparse.Namespace) -> None:
    """May be repeated: one issue, one pull request, brought up to date. Raises `InputError` without a decision."""
    decision = decide.last()
    if decision is None:
        raise InputError(f"{layout.DECISION}: not there; run `gitloop monitor` and `gitloop decide` first")
    if decision.until is None:
        ui.say(decision.why)
        return
    if windows.keep(decision.until):
        ui.say(f"the window to {decision.until} is kept on branch {windows.BRANCH}")
    _alert(decision)
    if decision.wanted == "retrain":
        retrain.propose(origin.main(), decision, findings.history())
    elif decision.action == "retire":
        from gitloop.gitops import retire  # loads what models need

        retire.propose(decision, findings.history())


def _alert(decision: Decision) -> None:
    """One issue, as long as there is something that a person should look at."""
    here = forge.here()
    if not decision.alerts:
        here.close_issue(MARK, f"The window to {decision.until} shows nothing of this any more.")
        return
    points = "\n".join(f"- {plain(one.words)}" for one in decision.alerts)
    body = f"Found in the predictions to {decision.until}, of {plain(str(decision.version))} most:\n\n{points}\n"
    number = here.issue(MARK, "Predictions need a look", body, (LABEL,))
    ui.say(f"issue {number}: {decision.alerts[0].words}")
