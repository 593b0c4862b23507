"""The windows that were looked at, kept on branch `monitoring`: one small file each, and what was decided after it."""

from __future__ import annotations

import argparse
from pathlib import Path, PurePosixPath

from gitloop import git, layout, ui
from gitloop.errors import Refused
from gitloop.files import whole
from gitloop.gitops import origin, proposal

BRANCH = "monitoring"
WINDOWS, DECISIONS = PurePosixPath("windows"), PurePosixPath("decisions")
TRIES = 10


def run(_: argparse.Namespace) -> None:
    """`gitloop recall`: bring the windows that the branch has, and the last decision. Yours of a window stay."""
    tip = origin.fetched(BRANCH)
    if tip is None:
        ui.say(f"no window was kept yet: origin has no branch {BRANCH}")
        return
    names = git.git("ls-tree", "-r", "--name-only", tip).splitlines()
    brought = 0
    for name in names:
        path = layout.MONITORING / PurePosixPath(name).name
        if PurePosixPath(name).parent == WINDOWS and not path.exists():
            _write(path, tip, name)
            brought += 1
    decisions = sorted(name for name in names if PurePosixPath(name).parent == DECISIONS)
    if decisions and not layout.DECISION.exists():
        _write(layout.DECISION, tip, decisions[-1])
    ui.say(f"{brought} windows of {BRANCH} are in {layout.MONITORING}/")


def keep(until: str) -> bool:
    """Put every window that is here, and the decision after the one to `until`, on origin's branch; whether any is new.

    Two runs at a time both get on it. Raises `Refused` where others are always sooner.
    """
    files = {Path(WINDOWS / path.name): path.read_bytes() for path in layout.MONITORING.glob("*.json")}
    files[Path(DECISIONS / f"{until.replace(':', '')}.json")] = layout.DECISION.read_bytes()
    for _ in range(TRIES):
        tip = origin.fetched(BRANCH)
        there = git.contents((tip, path) for path in files) if tip else {}
        new = {path: content for path, content in files.items() if there.get((tip or "", path)) != content}
        if not new:
            return False
        made = proposal.commit(tip, new, f"Window to {until}")
        if origin.push(f"{made}:refs/heads/{BRANCH}"):
            return True
    raise Refused(f"{BRANCH}: at each of {TRIES} tries another run was sooner; run it again")


def _write(path: Path, revision: str, name: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole(path) as temporary:
        temporary.write_bytes(git.contents([(revision, Path(name))])[revision, Path(name)] or b"")
