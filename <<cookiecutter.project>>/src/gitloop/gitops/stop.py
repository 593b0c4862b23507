"""`gitloop stop NAME`: end what an environment of the target local runs on this machine."""

from __future__ import annotations

import argparse

from gitloop import ui
from gitloop.errors import InputError
from gitloop.gitops import deploy, environment


def run(arguments: argparse.Namespace) -> None:
    """Nothing is recorded: `gitloop deploy NAME` starts it again. Raises `InputError` for another target."""
    name = arguments.name
    wanted = environment.read(name)
    if wanted.target != "local":
        raise InputError(
            f"{name}: runs at its target, {wanted.target}; `gitloop retire {name}` proposes to take it down"
        )
    from gitloop.gitops import running

    ran = running.stopped(deploy.place(name, wanted))
    ui.say(f"{name} is stopped; `gitloop deploy {name}` starts it again" if ran else f"nothing of {name} runs here")
