"""Give the model on main its version: one annotated tag, whose name says what changed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable

from gitloop import git, layout, settings, ui
from gitloop.errors import InputError, Refused
from gitloop.gitops import actions, changes, origin, registry
from gitloop.gitops.registry import Registry, Version

FIRST = (0, 1, 0)
TRIES = 5


def run(arguments: argparse.Namespace) -> None:
    """`gitloop register [--bump PART] [--push]`. Raises `Refused` where the model may not be released."""
    made = register(lambda: arguments.bump, public=arguments.push)
    actions.output(version=made.name if made else "", registered=str(made is not None).lower())


def register(
    asked: Callable[[], str | None], *, public: bool, before: Callable[[Version], None] = lambda _: None
) -> Version | None:
    """Give the model of HEAD its version; None where it is that of the newest one. May be repeated.

    `asked` says what goes up, where somebody wants it otherwise; it is called where there is something to register.
    `before` is called with the version before there is a tag of it: what it raises leaves none.
    """
    commit = git.git("rev-parse", "HEAD")
    for _ in range(TRIES):
        found = registry.read()
        if there := found.at(commit):
            ui.say(f"{there.name} is this commit's version")
            before(there)
            if public:
                _push(there.tag)
            return there
        due = _due(found, commit, asked)
        if due is None:
            ui.say("the model is that of the newest version: nothing to register")
            return None
        number, why = due
        made = Version(number, commit, "")
        releasable()
        before(made)
        message = f"Registered {made.name}: {why}\n\n{registry.COMMIT}: {commit}"
        git.git("tag", "--annotate", made.tag, commit, "--message", message, environment=actions.identity())
        if not public or _push(made.tag):
            ui.say(f"{made.name} registered: {why}")
            return registry.read().named(made.name)
    raise Refused(f"register: at each of {TRIES} tries another run took the number; run it again")


def pending() -> bool:
    """Whether `register` has anything to do, as far as Git knows: it asks nothing else."""
    commit, found = git.git("rev-parse", "HEAD"), registry.read()
    return found.at(commit) is not None or _due(found, commit, lambda: None) is not None


def _due(found: Registry, commit: str, asked: Callable[[], str | None]) -> tuple[tuple[int, int, int], str] | None:
    """The number that this commit's model gets, and why; None where it is the newest version's."""
    newest = found.newest()
    if newest is None:
        return FIRST, "the first version"
    if not git.holds(commit, newest.commit):
        raise Refused(
            f"register: {newest.name} ({newest.commit[:10]}) is not in the history of {commit[:10]}; register on main"
        )
    was, now = registry.params(newest.commit, newest.name), registry.params(commit, "register")
    same = _model(newest.commit) == _model(commit)
    code = git.asked("diff", "--quiet", newest.commit, commit, "--", *layout.CODE) is None
    computed, why = changes.version(was, now, code=code, same=same)
    if computed is None:
        return None
    bump = asked()
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
    return origin.recorded(tag)
