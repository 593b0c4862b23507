"""Commands that start warm: `gitloop` and `dvc` as forks of a process that has imported their libraries already.

pandas, scikit-learn and Evidently take seconds to import, and a test of the pipeline runs a dozen commands. What is run
is the same program in a process of its own, with its own code, arguments, environment, working directory and end; only
the libraries are there when it begins. Cold as ever are a service, a program with a `sitecustomize` on its path, and
what sets a `PYTHON…` variable that a running interpreter cannot take over: PYTHONHASHSEED is 0 elsewhere, so a test
that compares bytes runs one side with another one.
"""

from __future__ import annotations

import atexit
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
NAMES = ("dvc", "gitloop")


@cache
def commands() -> Path:
    """A folder for the front of PATH."""
    folder = Path(tempfile.mkdtemp(prefix="gitloop-warm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    for name in NAMES:
        program = folder / name
        program.write_text(f"#!{sys.executable} -IS\n{(HERE / 'client.py').read_text()}")
        program.chmod(0o755)
    start(folder, "0")
    return folder


@cache
def start(folder: Path, seed: str) -> None:
    """Start what runs commands with this PYTHONHASHSEED, for as long as this process lives."""
    with (folder / f"{seed}.log").open("wb") as log, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / f"{seed}.socket"))
        listener.listen(64)  # who comes early waits
        server = subprocess.Popen(
            [sys.executable, str(HERE / "server.py"), str(listener.fileno())],
            pass_fds=[listener.fileno()],
            env=os.environ | {"PYTHONHASHSEED": seed},
            stdin=subprocess.PIPE,  # when this process ends, however it does, it is closed
            stdout=log,
            stderr=log,
        )

    def end() -> None:
        server.kill()
        server.wait()

    atexit.register(end)
