"""A command that starts warm is the command: its code, arguments, streams, folder, environment and end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from project import environment

# Says of itself what it is, then does as it is told.
PROGRAM = """
import os, sys, time
def main():
    print(os.getcwd(), sys.argv[1:], os.environ["WORD"], sys.stdin.read(), "pandas" in sys.modules, flush=True)
    print("told", file=sys.stderr)
    exec(sys.argv[1])
"""


@pytest.fixture
def command(tmp_path: Path) -> tuple[list[str], dict[str, str]]:
    package = tmp_path / "src/gitloop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "cli.py").write_text(PROGRAM)
    return ["gitloop"], environment(tmp_path, WORD="käse")


@pytest.mark.parametrize(
    ("does", "code"),
    [
        ("pass", 0),
        ("sys.exit(3)", 3),
        ("sys.exit('no')", 1),
        ("1 / 0", 1),
        ("os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("os.kill(os.getpid(), 15)", -signal.SIGTERM),
    ],
)
def test_it_ends_as_its_program_does(
    does: str, code: int, command: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    program, env = command
    for more, warm in (({}, True), ({"PYTHONHASHSEED": "5"}, False)):
        done = subprocess.run(
            [*program, does, "b c"],
            cwd=tmp_path,
            env=env | more,
            input="in",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert done.stdout == f"{tmp_path} {[does, 'b c']} käse in {warm}\n"
        assert done.stderr.startswith("told\n")
        assert ("ZeroDivisionError" in done.stderr, "no\n" in done.stderr) == ("/" in does, "no" in does)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_it_is_ended_with_who_asked(
    how: signal.Signals, command: tuple[list[str], dict[str, str]], tmp_path: Path
) -> None:
    program, env = command
    does = "open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
    running = subprocess.Popen(
        [*program, does], cwd=tmp_path, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    )
    with running:
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            time.sleep(0.05)
        pid = int((tmp_path / "pid").read_text())
        assert pid != running.pid
        os.kill(running.pid, how)
        assert running.wait(timeout=30) == -how
    until = time.monotonic() + 30
    while psutil.pid_exists(pid):
        assert time.monotonic() < until
        time.sleep(0.05)
