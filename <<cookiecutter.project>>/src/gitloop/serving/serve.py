"""Start the service of the chosen model, after everything that would stop it was looked at."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from pathlib import Path
from typing import NoReturn

from gitloop import layout, settings, ui
from gitloop.errors import InputError
from gitloop.serving import runtime
from gitloop.settings import Serving

SERVICE = "gitloop.serving.service:Service"


def run(arguments: argparse.Namespace) -> NoReturn:
    """`gitloop serve`. Becomes BentoML's server, so that signals reach it."""
    loaded = settings.load()
    port = loaded.serving.port if arguments.port is None else arguments.port
    ready(loaded.serving)
    served = runtime.load(contract=loaded.data)
    free(arguments.host, port)
    ui.say(f"{served.signature.name}, version {served.version}: http://{arguments.host}:{port} shows what it takes")
    command = ["-m", "bentoml", "serve", SERVICE, "--host", arguments.host, "--port", str(port)]
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, *command], environment(port))  # noqa: S606 -- no shell is wanted


def ready(serving: Serving) -> None:
    """Raises `InputError` where the token is not set, or the log's database is not named."""
    settings.secret(serving.token_env, "conf/serving/: token_env")
    if serving.log is not None and (serving.log.url or serving.log.url_env):
        from gitloop.serving.database import engine

        engine(serving.log)


def environment(port: int) -> dict[str, str]:
    """Of a BentoML process: nothing is reported home, and its metrics are its own.

    They lie in BentoML's home, which each service that starts clears of those of all others.
    """
    home = Path(os.environ.get("BENTOML_HOME") or Path.home() / "bentoml")
    return {**os.environ, "BENTOML_DO_NOT_TRACK": "True", "BENTOML_HOME": str(home / "services" / str(port))}


def free(host: str, port: int) -> None:
    """Raises `InputError` where the port cannot be listened at."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(
                f"{layout.CONF}/serving/: port: {host}:{port} cannot be used ({reason}); "
                "stop what uses it, or give another with --port"
            ) from error
