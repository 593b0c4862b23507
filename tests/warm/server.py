"""Imports what the verbs import, then runs each command that is asked for in a fork.

`server.py NUMBER`: of the file that is the listening socket.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import marshal
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

# What imports most; the libraries stay, gitloop's own modules do not: each project has its own.
MODULES = (
    "gitloop.data.ingest",
    "gitloop.data.profile",
    "gitloop.data.validate",
    "gitloop.gitops.report",
    "gitloop.gitops.reproduce",
    "gitloop.gitops.running",
    "gitloop.modeling.compare",
    "gitloop.modeling.evaluate",
    "gitloop.modeling.train",
    "gitloop.monitoring.monitor",
    "gitloop.serving.package",
    "dvc.cli",
    "dvc.commands.repro",
    "dvc.repo",
    "dvc_data.hashfile.db.local",
)


class Asked(NamedTuple):
    """A command, and where the three streams of its process are."""

    arguments: list[str]
    folder: str
    environment: dict[str, str]
    streams: list[int]


def load() -> None:
    for name in MODULES:
        importlib.import_module(name)
    for name in [one for one in sys.modules if one.partition(".")[0] == "gitloop"]:
        del sys.modules[name]
    sys.stdout.flush()
    gc.collect()
    gc.freeze()


def serve(listener: socket.socket) -> Asked:
    """Fork for each command. Returns in each fork, and never here."""
    running: dict[int, socket.socket] = {}
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    for one in (listener, woken, 0):
        selector.register(one, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj == 0:  # the tests have ended
                os._exit(0)
            elif key.fileobj == woken:
                os.read(woken, 4096)
                _tell_ends(running, selector)
            elif key.fileobj is listener:
                client = listener.accept()[0]
                asked = _read(client)
                pid = os.fork()
                if not pid:
                    selector.close()
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for other in (listener, client, *running.values()):
                        other.close()
                    os.close(woken)
                    os.close(wakes)
                    return asked
                for stream in asked.streams:
                    os.close(stream)
                _tell(client, pid)
                running[pid] = client
                selector.register(client, selectors.EVENT_READ, pid)
            else:  # who asked was killed
                selector.unregister(key.fileobj)
                if key.data in running:
                    os.killpg(key.data, signal.SIGKILL)


def _tell_ends(running: dict[int, socket.socket], selector: selectors.BaseSelector) -> None:
    while running:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        client = running.pop(pid)
        if client in selector.get_map():
            selector.unregister(client)
            _tell(client, status)
        client.close()


def _tell(client: socket.socket, number: int) -> None:
    with suppress(OSError):  # it was killed meanwhile
        client.sendall(number.to_bytes(4, "big"))


def _read(client: socket.socket) -> Asked:
    size, streams, _, _ = socket.recv_fds(client, 4, 3)
    with client.makefile("rb", buffering=0) as file:
        content, length = b"", int.from_bytes(size, "big")
        while len(content) < length:
            content += file.read(length - len(content)) or b""
    return Asked(*marshal.loads(content), streams)  # noqa: S302 -- of our own client


def become(asked: Asked) -> None:
    """The state of a process that was started so."""
    os.setpgid(0, 0)
    for number, stream in enumerate(asked.streams):
        os.dup2(stream, number)
        os.close(stream)
    at_once = bool(asked.environment.get("PYTHONUNBUFFERED"))
    sys.stdout.reconfigure(line_buffering=os.isatty(1), write_through=at_once)  # type: ignore[union-attr]
    os.chdir(asked.folder)
    os.environ.clear()
    os.environ.update(asked.environment)
    sys.argv = list(asked.arguments)
    paths = asked.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = [str(Path(sys.argv[0]).parent), *filter(None, paths)]
    sys.dont_write_bytecode = bool(asked.environment.get("PYTHONDONTWRITEBYTECODE"))
    importlib.invalidate_caches()


def run() -> NoReturn:
    """The program, as its script runs it, but for the taking apart of all that was imported."""
    try:
        code: Any = importlib.import_module(f"{Path(sys.argv[0]).name}.cli").main()
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # as the interpreter does it
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        print(code, file=sys.stderr)
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # other threads end first
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code or 0)


if __name__ == "__main__":
    load()
    become(serve(socket.socket(fileno=int(sys.argv[1]))))
    run()
