"""What a reviewer decides from: the same text in the pull request, on the page of the run, and on the laptop."""

from __future__ import annotations

import argparse

from gitloop import layout, ui
from gitloop.errors import InputError
from gitloop.files import write_text
from gitloop.gitops import actions, limits, sections, verdict
from gitloop.gitops.evidence import Evidence, gather
from gitloop.gitops.markdown import Part

LONGEST = 100  # rows of a table in the terminal


def run(arguments: argparse.Namespace) -> None:
    """`gitloop report [--base REV]`. It judges nothing itself: gates and checks have. Raises `InputError`."""
    evidence = gather(arguments.base)
    found = verdict.judge(evidence)
    if found.valid and not evidence.actions:
        for path, side, made_by in (
            (layout.EVALUATION, evidence.now.evaluation, "gitloop evaluate"),
            (layout.SELECTED, evidence.now.selected, "gitloop select"),
        ):
            if side is None:
                raise InputError(f"{path}: not there; run `{made_by}` first")
    parts = list(sections.parts(evidence, found))
    text = limits.fit(verdict.render(found, name(evidence)), parts)
    show(found, name(evidence), parts)
    write_text(layout.REPORT, text)
    actions.summary(text)
    ui.say(f"written to {layout.REPORT}")


def name(evidence: Evidence) -> str:
    """The project's, as far as the configuration can be read."""
    project = evidence.now.params.get("project")
    return str(project.get("name")) if isinstance(project, dict) else "gitloop"


def show(found: verdict.Verdict, title: str, parts: list[Part]) -> None:
    """In the terminal, without charts."""
    ui.say(f"{found.mark} {title}: {found.line}")
    for reason in found.reasons:
        ui.say(f"- {reason}")
    for part in parts:
        section = part.shortened(LONGEST).section
        if section.rows:
            ui.table(section.title, section.header, section.rows)
        elif section.title and (section.text or section.points):
            ui.say(section.title)
        for line in (*([section.text] if section.text else []), *(f"- {point}" for point in section.points)):
            ui.say(line)
