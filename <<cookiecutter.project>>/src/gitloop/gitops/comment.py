"""Put the report of a run of train.yml on its pull request: called for `workflow_run`, with a token that may write.

A run of a fork is code of a stranger. So all that tells where to comment is taken from the event, which GitHub writes;
from what the run uploaded only the text of report.md is read, and made inert.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitloop import ui
from gitloop.errors import InputError
from gitloop.gitops import forge
from gitloop.gitops.inert import inert

MARK = "report"
ROOM = 1_000  # characters for what is said before the report
STOPPED = ("failure", "timed_out", "startup_failure")


@dataclass(frozen=True)
class Run:
    """The run that the event speaks of."""

    repository: str
    source: str  # the repository that its commit is in
    branch: str
    sha: str
    event: str
    conclusion: str
    url: str

    @property
    def fork(self) -> bool:
        return self.source != self.repository

    @property
    def head(self) -> str:
        return f"{self.source.partition('/')[0]}:{self.branch}" if self.fork else self.branch


def run(arguments: argparse.Namespace) -> None:
    """`gitloop comment --artifact FOLDER`. Raises `InputError` outside `workflow_run`, `Refused` by the forge."""
    ran = read_event(os.environ.get("GITHUB_EVENT_PATH", ""))
    if ran.event == "pull_request" and not ran.fork:
        ui.say(f"{ran.branch} is trained when it is pushed: nothing to report here")
        return
    report = read_report(Path(arguments.artifact))
    if report is None and ran.conclusion not in STOPPED:
        ui.say(f"the run made no report and is {ran.conclusion}: nothing to say")
        return
    here = forge.here()
    pulls = [one for one in here.pulls(head=ran.head) if (one.fork or ran.repository).lower() == ran.source.lower()]
    if not pulls:
        ui.say(f"{ran.head} has no open pull request")
    for pull in pulls:
        if pull.sha != ran.sha:
            ui.say(f"#{pull.number} is at {pull.sha[:12]} and the report of {ran.sha[:12]}: a newer run reports")
            continue
        here.comment(pull.number, MARK, body(ran, report))
        ui.say(f"#{pull.number} has the report of {ran.sha[:12]}")


def body(ran: Run, report: str | None) -> str:
    """The comment: what a reviewer must know of the report, then the report, within the forge's limit."""
    if report is None:
        return f"❌ **Failed before there was a report** of {ran.sha[:12]}. [What the run says]({ran.url})"
    said = []
    if ran.fork:
        said.append("> Made by a run of the fork's own code and workflows: read its changes first.\n")
    room = forge.LIMIT - ROOM
    text = inert(report, f"{ran.url.partition('/actions/runs/')[0]}/actions/runs/")
    if len(text) > room:
        text = text[:room].rpartition("\n")[0]
        said.append(f"> Cut, because it is too long for a comment. [All of it]({ran.url})\n")
    return "\n".join([*said, text])


def read_event(path: str) -> Run:
    """The payload of `workflow_run`. Raises `InputError` where it is something else."""
    try:
        event: dict[str, Any] = json.loads(Path(path).read_text(encoding="utf-8"))
        ran = event["workflow_run"]
        found = Run(
            repository=event["repository"]["full_name"],
            source=(ran["head_repository"] or {"full_name": "(deleted)"})["full_name"],
            branch=ran["head_branch"],
            sha=ran["head_sha"],
            event=ran["event"],
            conclusion=ran["conclusion"],
            url=ran["html_url"],
        )
        if not all(isinstance(value, str) for value in vars(found).values()):
            raise TypeError
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            "GITHUB_EVENT_PATH: is not the event of a workflow_run that has ended; it is for report.yml, for a text on "
            "this machine run `gitloop report`"
        ) from error
    return found


def read_report(folder: Path) -> str | None:
    """What report.md says, a little more than fits at most; None where it is not there, or is no plain file."""
    try:
        handle = os.open(folder / "report.md", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            return None
        text = os.read(handle, 4 * forge.LIMIT).decode("utf-8", errors="replace")
    finally:
        os.close(handle)
    # Ours is put there again by the forge.
    return re.sub(r"\A\s*<!-- gitloop:[a-z-]* -->\s*", "", text)
