"""Give the model on main its version: one annotated tag, whose name says what changed."""

from __future__ import annotations

import argparse
import json
from typing import Any

from gitloop import git, layout, settings, ui
from gitloop.errors import InputError, Refused
from gitloop.files import parse_yaml
from gitloop.gitops import actions, changes, registry
from gitloop.gitops.commit import push
from gitloop.gitops.registry import Registry, Version

FIRST = (0, 1, 0)
TRIES = 5


def run(arguments: argparse.Namespace) -> None:
    """`gitloop register [--bump PART] [--push]`. Raises `Refused` where the model may not be released."""
    commit = git.git("rev-parse", "HEAD")
    for _ in range(TRIES):
        found = registry.read()
        there = next((one for one in found.versions if one.commit == commit), None)
        if there or not (due := _due(found, commit, arguments.bump)):
            name = there.name if there else ""
            ui.say(
                f"{name} is this commit's version"
                if there
                else "the model is that of the newest version: nothing to register"
            )
            if there and arguments.push:
                _push(there.tag)
            actions.output(version=name, registered="false")
            return
        number, why = due
        made = Version(number, commit, "")
        releasable()
        git.git(
            "tag",
            "--annotate",
            made.tag,
            commit,
            "--message",
            f"Registered {made.name}: {why}",
            environment=actions.identity(),
        )
        if not arguments.push or _push(made.tag):
            ui.say(f"{made.name} registered: {why}")
            actions.output(version=made.name, registered="true")
            return
        # Somebody else has that number: his tag counts, ours never did.
        git.git("tag", "--delete", made.tag)
        git.git("fetch", "--quiet", "--tags", "--force", "origin", environment=actions.credential())
    raise Refused(f"register: at each of {TRIES} tries another run took the number; run it again")


def _due(found: Registry, commit: str, bump: str | None) -> tuple[tuple[int, int, int], str] | None:
    """The number that this commit's model gets, and why; None where it is the newest version's."""
    newest = found.newest()
    if newest is None:
        return FIRST, "the first version"
    if git.asked("merge-base", "--is-ancestor", newest.commit, commit) is None:
        raise Refused(
            f"register: {newest.name} ({newest.commit[:10]}) is not in the history of {commit[:10]}; register on main"
        )
    was, now = _params(newest.commit), _params(commit)
    same = _model(newest.commit) == _model(commit)
    code = git.asked("diff", "--quiet", newest.commit, commit, "--", *layout.CODE) is None
    computed, why = changes.version(was, now, code=code, same=same)
    if computed is None:
        return None
    if bump and bump != computed:
        return newest.next(bump), f"{bump} as asked, though {why}"
    return newest.next(computed), f"{computed}, for {why}"


def _model(commit: str) -> tuple[str, bytes | None]:
    """The hash of the model chosen at a commit, and how it was judged: what it says depends on more than its file."""
    selected = git.content(commit, layout.SELECTED)
    if selected is None:
        raise InputError(
            f"{layout.SELECTED}: is not in {commit[:10]}, so no model was chosen; run `make train` and commit"
        )
    return json.loads(selected)["model"]["sha256"], git.content(commit, layout.EVALUATION)


def _params(commit: str) -> dict[str, Any]:
    content = git.content(commit, layout.PARAMS)
    if content is None:
        raise InputError(f"{layout.PARAMS}: is not in {commit[:10]}; run `gitloop params` and commit it")
    found: dict[str, Any] = parse_yaml(content)
    return found


def releasable() -> None:
    """What a person must have said of the model. Raises `Refused`, a line for each field that is blank."""
    project = settings.load().project
    blank = [name for name in ("owner", "contact", "description", "limits") if not getattr(project, name).strip()]
    if blank:
        raise Refused(
            "\n".join(
                f"conf/project.yaml: project.{name}: is blank, and the model card needs it; say it" for name in blank
            )
        )
    if not layout.EVALUATION.exists():
        raise InputError(f"{layout.EVALUATION}: not there, so nothing was judged; run `make train` and commit")


def _push(tag: str) -> bool:
    return push(f"refs/tags/{tag}:refs/tags/{tag}")
