"""Stands in PATH for a command: has it run by a fork of the server, or by its own program where that is asked for."""

# To import pathlib takes longer than all else here.
# ruff: noqa: PTH100, PTH109, PTH110, PTH118, PTH120

import marshal
import os
import signal
import socket
import sys

FOLDER, NAME = os.path.split(os.path.abspath(sys.argv[0]))
SOCKET = os.path.join(FOLDER, os.environ.get("PYTHONHASHSEED", "0") + ".socket")
SAME = {"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED"}  # can be set in an interpreter that runs already


def cold() -> bool:
    others = {name for name in os.environ if name.startswith("PYTHON")} - SAME
    if os.path.exists(SOCKET):
        others.discard("PYTHONHASHSEED")
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    own = any(os.path.exists(os.path.join(path, "sitecustomize.py")) for path in paths)
    return bool(others) or own or sys.argv[1:2] == ["serve"]


def told(server: socket.socket) -> int:
    number = server.recv(4)
    if len(number) < 4:
        sys.exit(f"{FOLDER}: its server has ended; the log is there")
    return int.from_bytes(number, "big")


def main() -> None:
    program = os.path.join(os.path.dirname(sys.executable), NAME)
    if cold():
        os.execv(program, [program, *sys.argv[1:]])  # noqa: S606 -- no shell is wanted
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(SOCKET)
        asked = marshal.dumps(([program, *sys.argv[1:]], os.getcwd(), dict(os.environ)))
        socket.send_fds(server, [len(asked).to_bytes(4, "big")], [0, 1, 2])
        server.sendall(asked)
        pid = told(server)
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(one, lambda number, _: os.kill(pid, number))
        status = os.waitstatus_to_exitcode(told(server))
    if status < 0:
        if -status != signal.SIGKILL:
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
