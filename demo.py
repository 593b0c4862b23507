"""The life of a version on this machine, told as it goes: `make demo` runs it in the generated project.

Without an account: origin is a bare repository beside the project, pull requests are kept in it, merges are Git's.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from rich.console import Console

CONSOLE = Console(highlight=False, soft_wrap=True)
BIN = Path(sys.executable).parent
ORIGIN = Path("../origin.git")
CHANGED = Path("conf/candidate/boosting.yaml")


def tell(text: str) -> None:
    CONSOLE.print(f"\n[bold]== {text}[/bold]")


def do(*command: str, quiet: bool = False) -> None:
    """Run a command as a person would, and show it; what it says is shown too unless it is not to the point."""
    CONSOLE.print(f"[dim]$ {' '.join(command)}[/dim]")
    done = subprocess.run(
        [str(BIN / command[0]) if (BIN / command[0]).exists() else command[0], *command[1:]],
        check=False,
        stdout=subprocess.PIPE if quiet else None,
        stderr=subprocess.STDOUT if quiet else None,
    )
    if done.returncode:
        CONSOLE.print((done.stdout or b"").decode(errors="replace"))
        sys.exit(f"{' '.join(command)} ended with {done.returncode}")


def said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def commit(message: str) -> None:
    do("git", "add", "--all", quiet=True)
    if said("git", "status", "--porcelain"):
        do("git", "commit", "--quiet", "--message", message)


def merge(branch: str) -> None:
    """What the button of a pull request does."""
    do("git", "fetch", "--quiet", "origin")
    do("git", "merge", "--quiet", "--no-ff", "--message", f"Merge {branch}", f"origin/{branch}")
    do("git", "push", "--quiet", "origin", "main")


def ports() -> None:
    """The ports of both environments, others where somebody listens there."""
    for path in sorted(Path("environments").glob("*.yaml")):
        text = path.read_text()
        port = int(re.search(r"local: \{port: (\d+)\}", text)[1])  # type: ignore[index]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    other = free.getsockname()[1]
                path.write_text(text.replace(f"local: {{port: {port}}}", f"local: {{port: {other}}}"))


def begin() -> None:
    tell("A bare repository beside the project is its origin; what you see there is what GitHub would have")
    if not ORIGIN.exists():
        ports()
        do("git", "init", "--quiet", "--bare", "--initial-branch=main", str(ORIGIN))
        do("git", "remote", "add", "origin", str(ORIGIN.resolve()))
    commit("Train: the first model")
    do("git", "push", "--quiet", "--set-upstream", "origin", "main")


def released() -> None:
    do("gitloop", "release", "--push")
    do("gitloop", "deploy", "staging", "--push")
    do("gitloop", "promote")


def promoted() -> None:
    if said("git", "ls-remote", "origin", "refs/heads/gitloop/promote-production"):
        merge("gitloop/promote-production")
    do("gitloop", "deploy", "production", "--push")


def ask() -> None:
    """One prediction by production, as a caller gets it."""
    port = re.search(r"local: \{port: (\d+)\}", Path("environments/production.yaml").read_text())[1]  # type: ignore[index]
    row = json.loads(Path("model/expected.json").read_text())["rows"][0]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/predict", json.dumps(row).encode(), {"content-type": "application/json"}
    )
    CONSOLE.print(f"[dim]$ curl http://127.0.0.1:{port}/predict --json '…'[/dim]")
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 -- this machine
        CONSOLE.print_json(data=json.loads(answer.read()))


def change() -> None:
    """A second version: another learning rate of the model that was chosen, on a branch, trained and merged."""
    do("git", "switch", "--quiet", "--force-create", "smoother")
    chosen = json.loads(Path("metrics/selected.json").read_text())["candidate"]
    path = Path(f"conf/candidate/{chosen}.yaml")
    text = path.read_text()
    edits = {"boosting": (r"learning_rate: [\d.]+", "learning_rate: 0.07"), "linear": (r"C: [\d.]+", "C: 0.2")}
    pattern, new = edits.get(chosen, (r"n_estimators: \d+", "n_estimators: 150"))
    path.write_text(re.sub(pattern, new, text))
    do("git", "diff", "--unified=0", str(path))
    do("gitloop", "params")
    do("dvc", "repro", "--quiet")
    do("gitloop", "gate", quiet=True)
    commit(f"Another setting of {chosen}")
    do("git", "push", "--quiet", "--force", "origin", "smoother")
    do("git", "switch", "--quiet", "main")
    merge("smoother")


def main() -> None:
    started = time.monotonic()
    begin()
    tell("Merged to main: the model gets its version, staging gets the model, production gets a proposal")
    released()
    tell("Merging the proposal deploys production")
    promoted()
    ask()
    if not said("git", "tag", "--list", "model@v0.2.0"):
        tell("A second version: one line changes, only what depends on it is trained")
        change()
        released()
        promoted()
        ask()
    tell("Second thoughts: the way back is a pull request too")
    do("gitloop", "rollback", "production")
    merge("gitloop/rollback-production")
    do("gitloop", "deploy", "production", "--push")
    tell("Git holds all of it")
    do("gitloop", "versions")
    do("gitloop", "environments")
    do("git", "--no-pager", "log", "--graph", "--oneline", "--decorate=short", "--max-count=20")
    tell("Nothing stays behind on this machine")
    for name in ("staging", "production"):
        do("gitloop", "stop", name)
    CONSOLE.print(f"[dim]{time.monotonic() - started:.0f} s[/dim]")


if __name__ == "__main__":
    if shutil.which("git") is None:
        sys.exit("git: is not installed; install it")
    main()
