"""Windows and decisions as branch `monitoring` has them."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import NamedTuple

from gitloop import git
from gitloop.errors import InputError
from gitloop.gitops import origin
from gitloop.gitops.windows import BRANCH, DECISIONS, WINDOWS
from gitloop.monitoring import decide, findings
from gitloop.monitoring.decide import Decision
from gitloop.monitoring.findings import Result


class Note(NamedTuple):
    """Something that the page does not show."""

    words: str
    detail: str = ""  # for the terminal: it may name what is on this machine alone


def read(notes: list[Note]) -> tuple[list[Result], dict[str, Decision]]:
    """Every window, and what was decided after it by the window's end. A file that cannot be read is noted."""
    tip = _tip(notes)
    names = git.git("ls-tree", "-r", "--name-only", tip).splitlines() if tip else []
    files = [PurePosixPath(name) for name in names if PurePosixPath(name).suffix == ".json"]
    wanted = [(tip or "", Path(name)) for name in files if name.parent in (WINDOWS, DECISIONS)]
    there = git.contents(wanted) if wanted else {}
    windows: list[Result] = []
    decisions: dict[str, Decision] = {}
    for (_, path), content in there.items():
        try:
            if path.parent == Path(WINDOWS):
                one = findings.parse(content or b"", path.as_posix())
                one.start, one.end  # noqa: B018 -- must be times
                windows.append(one)
            else:
                decision = decide.parse(content or b"", path.as_posix())
                decisions[decision.until or ""] = decision
        except (InputError, ValueError):
            notes.append(Note(f"{path.as_posix()} of branch {BRANCH} is not what gitloop writes, and is left out."))
    return windows, decisions


def _tip(notes: list[Note]) -> str | None:
    """Origin's branch, else as it was fetched last."""
    if git.asked("remote", "get-url", "origin") is None:
        return None
    try:
        return origin.fetched(BRANCH)
    except InputError as error:
        known = git.commit(f"refs/remotes/origin/{BRANCH}")
        seen = "windows are those that were fetched last" if known else "windows that it keeps are not shown"
        notes.append(Note(f"Origin does not answer, so {seen}.", str(error)))
        return known
