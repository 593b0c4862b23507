"""`gitloop act`: do what was decided: an issue, a proposal to retrain, or one to go back or retire."""

from __future__ import annotations

import argparse

from gitloop import layout, ui
from gitloop.errors import InputError
from gitloop.gitops import forge, origin, promote, registry, retrain, windows
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
        _retire(decision)


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


def _retire(decision: Decision) -> None:
    """Where the version runs: back to what ran before it there, else to none."""
    found, base = registry.read(), origin.main()
    names = [name for name in found.stages if (one := found.runs(name)) and one.name == decision.version]
    if not names:
        ui.say(f"{decision.version} is recorded to run in no environment, so there is nothing to take down")
    for name in names:
        last = found.last(name)
        before = found.before(name, last.commit if last else None)
        promote.propose(found, base, name, before, "rollback" if before else "retire", decision.why)
