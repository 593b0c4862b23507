"""May it be merged: one line that says what and why, and below it what a reviewer must not overlook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gitloop import ui
from gitloop.gitops.commit import FORK
from gitloop.gitops.evidence import OF_MAIN, Evidence
from gitloop.gitops.markdown import plain

YES, NO, SAME = "✅", "❌", "➖"
MOST = 10  # reasons


class Verdict(NamedTuple):
    """`valid`: whether metrics of this run are there to be shown."""

    mark: str
    line: str
    reasons: Sequence[str] = ()
    valid: bool = True


def judge(evidence: Evidence) -> Verdict:
    """The first of what stands in the way decides; bounds that were loosened are named in any case."""
    found = _stopped(evidence) or _judged(evidence)
    looser = [f"⚠️ {_loosened(one)}" for one in evidence.loosened]
    if looser and found.mark == YES:
        found = found._replace(line=f"{found.line}; {_number(looser, 'bound')} loosened")
    return found._replace(reasons=[*looser, *found.reasons])


def render(verdict: Verdict, name: str) -> str:
    """The head of the report in Markdown."""
    reasons = [plain(one) for one in verdict.reasons[:MOST]]
    if len(verdict.reasons) > MOST:
        reasons.append(f"and {len(verdict.reasons) - MOST} more")
    points = "".join(f"- {one}\n" for one in reasons)
    title = f"## {verdict.mark} {plain(name, 100)}: {plain(verdict.line)}\n\n"
    return title + (f"{points}\n" if points else "")


def _stopped(evidence: Evidence) -> Verdict | None:
    """Where the run did not come as far as a model that could be judged."""
    checks, run = evidence.checks, evidence.run
    not_trained = "nothing was trained"
    if checks and not checks["passed"]:
        found = checks["findings"]
        reasons = [f"{NO} {one['where']}: {one['why']}; {one['mend']}" for one in found]
        return _refused(evidence, f"{_number(found, 'check')} failed, {not_trained}", reasons)
    if run and not run["ok"]:
        what = f"stage {run['failed']}" if run.get("failed") else "the pipeline"
        return _refused(
            evidence, f"{what} failed, there is no model to judge", [f"{NO} {what} failed: {_log(evidence)}"]
        )
    if not evidence.actions:
        return None
    for said, what in ((checks, "the checks"), (run, "the pipeline")):
        if said is None:
            return _refused(evidence, f"{what} could not be run, {not_trained}", [f"{NO} {_log(evidence)}"])
    return None


def _judged(evidence: Evidence) -> Verdict:
    chosen = (evidence.now.selected or {}).get("candidate", "the model")
    gates = evidence.gates
    if gates is None:
        if evidence.actions:
            reasons = [f"{NO} {_log(evidence)}"]
            return _refused(evidence, "the gates could not be checked", reasons, valid=True)
        return Verdict(SAME, f"{chosen} is not judged yet; run `gitloop gate`")
    failed = [one for one in gates["verdicts"] if one["passed"] is False]
    kept = [one for one in gates["verdicts"] if one["passed"]]
    if failed:
        names = ", ".join(one["rule"] for one in failed[:3]) + (", …" if len(failed) > 3 else "")
        reasons = [f"{NO} {one['rule']}: {one['why']}" for one in failed]
        return _refused(evidence, f"{_number(failed, 'gate')} failed ({names})", reasons, valid=True)
    if lock := _lock(evidence):
        return _refused(evidence, "dvc.lock is out of step", [f"{NO} {lock}"], valid=True)
    word = f"keeps {'the one gate' if len(kept) == 1 else f'all {len(kept)} gates'}" if kept else "has no gate to keep"
    if evidence.same:
        whose = "main's" if evidence.base == OF_MAIN else f"that of {evidence.base}"
        return Verdict(SAME, f"the model stays as it is: {chosen} is {whose} and {word}")
    return Verdict(YES, f"{'in order' if evidence.on_main else 'may be merged'}: {chosen} {word}{_headline(evidence)}")


def _refused(evidence: Evidence, why: str, reasons: Sequence[str], *, valid: bool = False) -> Verdict:
    return Verdict(NO, f"{'not in order' if evidence.on_main else 'not to be merged'}: {why}", reasons, valid)


def _lock(evidence: Evidence) -> str:
    """Why what the run made will not be committed to the branch; empty where it will be, or need not."""
    if not evidence.actions or not evidence.unmade:
        return ""
    if evidence.fork:
        return f"dvc.lock {FORK}"
    if evidence.trained:
        return "the commit was made by a run and is stale again: a stage does not give the same twice; set its seed"
    if evidence.on_main:
        return "the last merge left dvc.lock stale; merge the pull request that this run opens, which mends it"
    return ""


def _loosened(one: dict[str, Any]) -> str:
    now = "off" if one["now"] is None else ui.cell(one["now"])
    word = f"{one['gate']} was loosened from {ui.cell(one['was'])} to {now}"
    return f"{word}, and the model needs that" if one["breaks"] else word


def _headline(evidence: Evidence) -> str:
    evaluation = evidence.now.evaluation
    if evaluation is None:
        return ""
    metric = evaluation["metric"]
    there = ((evidence.was and evidence.was.evaluation) or {}).get("metrics", {}).get(metric)
    word = f", {metric} {ui.cell(evaluation['metrics'][metric]['value'])}"
    return f"{word} ({evidence.base}: {ui.cell(there['value'])})" if there else word


def _log(evidence: Evidence) -> str:
    return "why stands in the log of the run" if evidence.actions else "run it again to see why"


def _number(found: Sequence[object], what: str) -> str:
    return f"{len(found)} {what}{'' if len(found) == 1 else 's'}"
