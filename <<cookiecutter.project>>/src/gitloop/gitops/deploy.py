"""Make an environment what its file says: the version that environments/NAME.yaml names answers there, or none."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from gitloop import layout, ui
from gitloop.errors import GitloopError, Refused
from gitloop.gitops import actions, environment, forge, registry, stages, verify
from gitloop.gitops.environment import Environment
from gitloop.gitops.registry import Version

if TYPE_CHECKING:
    from gitloop.gitops.place import Place


def run(arguments: argparse.Namespace) -> None:
    """`gitloop deploy NAME [--push]`. May be repeated: where all is as it should be, nothing changes.

    Raises `Refused` where the version is not what was registered, or does not do what it should; then the one before
    serves, and with `--push` there is an issue.
    """
    name = arguments.name
    wanted, found = environment.read(name), registry.read()
    version = environment.wanted(wanted, found)
    if version:
        verify.tag(version, found, arguments.push)
    if wanted.target == "local":
        from gitloop.gitops import running

        with _failing(name, wanted, version, arguments.push):
            done = running.deliver(place(name, wanted), version, wanted)
        where = f"http://127.0.0.1:{wanted.local.port}"
    elif wanted.target == "bentocloud":
        from gitloop.gitops import bentocloud

        with _failing(name, wanted, version, arguments.push):
            done = bentocloud.deliver(name, wanted, version)
        where = bentocloud.url(wanted)
    else:
        from gitloop.gitops import rendered

        done, where = rendered.deliver(name, wanted, found, version, arguments.push), f"branch env/{name}"
    stages.record(name, version, done.says, arguments.push)
    if arguments.push:
        with suppress(GitloopError):  # there is none, or it does not answer: no reason to fail
            forge.here().close_issue(_mark(name), f"{name} is as {layout.environment(name).as_posix()} says.")
    runs = f"{version.name} runs in {name}" if version else f"nothing runs in {name}, which says so"
    ui.say(f"{runs}: {where}" + ("" if done.changed else " (nothing had to change)"))
    if done.says:
        ui.say(done.says)
    actions.output(version=version.name if version else "", changed=str(done.changed).lower())


@contextmanager
def _failing(name: str, wanted: Environment, version: Version | None, public: bool) -> Iterator[None]:
    """A version that does not do what it should: the run is red, and an issue says why."""
    from gitloop.gitops.place import Failed

    try:
        yield
    except Failed as error:
        said = version.name if version else wanted.version
        lines = [f"{name}: {said} is not deployed: {line}" for line in str(error).splitlines()]
        if public:
            _tell(name, said, lines, error.log)
        if error.serves and (serves := registry.read().known(error.serves)):
            stages.record(name, serves, "", public)  # of a canary that was stopped later it is on record that it runs
        raise Refused("\n".join(lines)) from error


def place(name: str, wanted: Environment) -> Place:
    """Where it runs on this machine."""
    from gitloop.gitops.place import Place

    return Place(name, wanted.local.port, layout.deployments())


def _tell(name: str, version: str, problems: list[str], log: list[str]) -> None:
    """An issue with what is wrong and the end of the log; that it cannot be opened must not hide why."""
    points = "\n".join(f"- {line}" for line in problems)
    said = "\n".join(f"    {line}" for line in log) or "    (it says nothing)"
    body = f"{points}\n\nWhat ran before, if anything did, runs. The end of the log:\n\n{said}\n"
    try:
        forge.here().issue(_mark(name), f"{version} could not be deployed to {name}", body, ("gitloop:deploy",))
    except GitloopError as error:
        ui.warn(f"no issue could be opened: {error}")


def _mark(name: str) -> str:
    return f"deploy-{name}"
