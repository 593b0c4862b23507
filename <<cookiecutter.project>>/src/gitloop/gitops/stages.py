"""What runs where, as tags record it: `model#production#3`, and `model#production!#4` where nothing runs any more."""

from __future__ import annotations

from typing import NamedTuple

from gitloop import git
from gitloop.errors import InputError, Refused
from gitloop.gitops import actions, origin, registry
from gitloop.gitops.registry import Stage, Version

TRIES = 5


class Delivered(NamedTuple):
    """What a deploy did. `says`: how the version did when it was tried."""

    changed: bool
    says: str = ""


def message(version: str, environment: str, says: str) -> str:
    """It names the version, so that a version's tag that is moved later is told from the one then."""
    return f"{version} runs in {environment}{f': {says}' if says else ''}"


def record(name: str, version: Version | None, says: str, public: bool) -> None:
    """Record that an environment runs a version, or none; where that is what was recorded last, nothing is made.

    With `public` origin has the tag then. Raises `Refused` where other runs are always sooner.
    """
    for _ in range(TRIES):
        last = registry.read().last(name)
        wanted = _wanted(last, version)
        if wanted is None:
            return
        tag = f"model#{name}{'!' if wanted.taken else ''}#{wanted.number}"
        text = message(version.name, name, says) if version else f"nothing runs in {name}"
        if wanted != last and not _made(tag, wanted.commit, text):
            continue
        if not public or origin.recorded(tag):
            return
    raise Refused(f"{name}: at each of {TRIES} tries another run recorded a deploy; run it again")


def _wanted(last: Stage | None, version: Version | None) -> Stage | None:
    """What is to be recorded last: `last` itself where it says so already; None where nothing ever ran."""
    if version is None:
        if last is None or last.taken:
            return last
        return Stage(last.number + 1, last.commit, True, "")
    if last and not last.taken and last.commit == version.commit:
        return last
    return Stage((last.number if last else 0) + 1, version.commit, False, "")


def _made(tag: str, commit: str, text: str) -> bool:
    """Whether the tag could be made; not where another run in this clone was faster."""
    try:
        git.git("tag", "--annotate", tag, commit, "--message", text, environment=actions.identity())
    except InputError:
        if git.commit(tag) is None:
            raise
        return False
    return True
