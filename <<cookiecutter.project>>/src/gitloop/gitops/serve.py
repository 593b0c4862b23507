"""`gitloop serve`: the model of the work tree, or with `--version` a version as it was registered."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn


def run(arguments: argparse.Namespace) -> NoReturn:
    """`gitloop serve [--version NAME] [--port N]`. Becomes the service, so that signals reach it.

    A version is served with its own code, configuration, model and locked packages, and keeps its log in
    `.deploy/.served/PORT/`. Raises `Refused` where it is not what was registered.
    """
    from gitloop.serving import serve  # no more than this is there where a version serves itself

    if arguments.version is None:
        serve.run(arguments)
    _version(arguments.version, arguments.host, arguments.port)


def _version(name: str, host: str, port: int | None) -> NoReturn:
    from gitloop import layout, settings, ui
    from gitloop.gitops import packages, registry, services, verify
    from gitloop.gitops.place import Place
    from gitloop.serving import serve

    found = registry.read()
    version = found.named(name)
    verify.tag(version, found, public=False)
    asked = settings.load().serving.port if port is None else port
    serve.free(host, asked)
    folder = services.prepared(Place(f".served/{asked}", asked, Path.cwd()), version)
    python = packages.interpreter(folder, Path(layout.DEPLOYED).resolve())
    ui.say(f"{version.name}: code, configuration, model and packages as they were registered, in {folder}")
    sys.stdout.flush()
    os.chdir(folder)
    command = [python, "-m", "gitloop", "serve", "--host", host, "--port", str(asked)]
    os.execve(python, command, os.environ | {"PYTHONPATH": str(folder / "src")})  # noqa: S606 -- no shell is wanted
