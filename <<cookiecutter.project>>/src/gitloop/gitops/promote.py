"""Move an environment by a pull request that changes one line: to a version, back, or to none."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from gitloop import git, layout, settings, ui
from gitloop.errors import GitloopError, InputError, Refused
from gitloop.gitops import actions, environment, forge, origin, promotion, proposal, registry
from gitloop.gitops.environment import NEWEST, NONE, Environment
from gitloop.gitops.markdown import Part
from gitloop.gitops.registry import Registry, Version
from gitloop.modeling import rivals


def run(arguments: argparse.Namespace) -> None:
    """`gitloop promote [NAME]`, `gitloop rollback NAME`, `gitloop retire NAME`. May be repeated.

    Raises `Refused` where there is nothing to go back to, and `InputError` where the environment or the version is
    not there.
    """
    found, base = registry.read(), origin.main()
    if arguments.verb == "promote":
        version = found.named(arguments.version) if arguments.version else found.newest()
        if version is None:
            raise InputError("no version is registered yet; run `gitloop register` on main first")
        names = [arguments.name] if arguments.name else _led(base)
        if not names:
            ui.say("every environment follows the newest version: nothing to propose")
        for name in names:
            propose(found, base, name, version, "promote")
        return
    name = arguments.name
    if arguments.verb == "retire":
        propose(found, base, name, None, "retire")
        return
    now = environment.parse(name, _content(base, name)).version
    back = found.named(arguments.version) if arguments.version else _back(found, name, now)
    propose(found, base, name, back, "rollback")


def _led(base: str) -> list[str]:
    """The environments on main that are moved by pull requests."""
    names = environment.names()
    return [name for name in names if environment.parse(name, _content(base, name)).version != NEWEST]


def _back(found: Registry, name: str, now: str) -> Version:
    """The version that the environment was given before the one that main names."""
    at = found.known(now)
    version = found.before(name, at.commit if at else None)
    if version is None:
        raise Refused(f"nothing but {now} ever ran in {name}; name a version with --version")
    return version


def propose(
    found: Registry,
    base: str,
    name: str,
    version: Version | None,
    kind: str,
    why: str = "",
    parts: Sequence[Part] = (),
) -> None:
    """Open the pull request or bring it up to date; nothing where main says so already, or people said not now.

    `why` is a sentence that the body begins with, `parts` come after it.
    """
    path, content = layout.environment(name), _content(base, name)
    current = environment.parse(name, content)
    to = version.name if version else NONE
    if current.version == NEWEST:
        raise InputError(
            f"{path}: version: follows the newest version by itself; write the version that runs there first"
        )
    if current.version == to:
        ui.say(f"{path} says {to} already: nothing to propose")
        return
    branch, title = f"gitloop/{kind}-{name}", _title(kind, name, to)
    if layout.in_actions() and _closed(branch, title):
        ui.say(f"{title}: was closed, which means not now; `gitloop {kind} {name}` on a laptop opens it again")
        return
    made = proposal.commit(base, {path: environment.moved(name, content, to)}, title)
    was = _runs(found, name, current)
    comparison = _compared(was, version) if was and version else None
    text = promotion.body(found, name, was, version, kind, comparison, why, parts)
    pull = proposal.propose(branch, made, title, text, f"gitloop:{kind}")
    ui.say(f"{title}: {pull.url or f'pull request {pull.number}'}")
    actions.output(pull=pull.number)


def _title(kind: str, name: str, to: str) -> str:
    return {
        "promote": f"Promote {to} to {name}",
        "rollback": f"Roll {name} back to {to}",
        "retire": f"Retire the model in {name}",
    }[kind]


def _closed(branch: str, title: str) -> bool:
    """Whether the last proposal of just this was closed without being merged."""
    before = [one for one in forge.here().pulls(head=branch, state="all") if one.title == title]
    return bool(before) and before[-1].state == "closed"


def _runs(found: Registry, name: str, current: Environment) -> Version | None:
    """What the pull request moves away from: what runs, else what main names."""
    return found.runs(name) or found.known(current.version)


def _compared(was: Version, now: Version) -> dict[str, Any] | None:
    """Both on the same rows, where the model that lies here is the version's; that they cannot be had is told."""
    selected = git.content(now.commit, layout.SELECTED)
    if selected is None or not git.same(now.commit, layout.SELECTED, layout.PARAMS):
        return None
    try:
        return dict(rivals.comparisons(settings.load(), was.tag)["champion"])
    except GitloopError as error:
        return {"judged": False, "why": str(error), "champion": {"revision": was.name}}


def _content(base: str, name: str) -> bytes:
    """The environment's file on main."""
    path = layout.environment(name)
    content = git.content(base, path)
    if content is None:
        environment.read(name)  # says which there are
        raise InputError(f"{path}: is not on {git.MAIN}; merge it first")
    return content
