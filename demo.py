"""The life of a model on this machine, told as it goes: `make demo` runs it in the generated project.

Without an account: origin is a bare repository beside the project, pull requests are kept in it, merges are Git's. The
service in production is real and is asked about flights of April and May; its log is then dated as those flights were,
so that a week passes in seconds. `SHORT=1` lets half as much time pass.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import webbrowser
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markdown import Markdown
from rich.rule import Rule
from rich.table import Table

CONSOLE = Console(highlight=False, soft_wrap=True)
BIN = Path(sys.executable).parent
ORIGIN = Path("../origin.git")
SHORT = os.environ.get("SHORT") == "1"
WEEK = timedelta(days=7)
APRIL, MAY = datetime(2013, 4, 1), datetime(2013, 5, 1)
APRILS, MAYS = 2, 1 if SHORT else 4  # weeks
LATE = timedelta(days=2)  # how long the truth takes
LOG = Path(".deploy/production/predictions")
DATED = Path("predictions")
WINDOWS = Path("reports/monitoring")


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


def proposed(branch: str) -> bool:
    return bool(said("git", "ls-remote", "origin", f"refs/heads/{branch}"))


def port() -> int:
    return int(re.search(r"local: \{port: (\d+)\}", Path("environments/production.yaml").read_text())[1])  # type: ignore[index]


def ports() -> None:
    """The ports of both environments, others where somebody listens there."""
    for path in sorted(Path("environments").glob("*.yaml")):
        text = path.read_text()
        wanted = int(re.search(r"local: \{port: (\d+)\}", text)[1])  # type: ignore[index]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", wanted))
            except OSError:
                with socket.socket() as free:
                    free.bind(("127.0.0.1", 0))
                    other = free.getsockname()[1]
                path.write_text(text.replace(f"local: {{port: {wanted}}}", f"local: {{port: {other}}}"))


def begin() -> None:
    tell("A bare repository beside the project is its origin; what you see there is what GitHub would have")
    if not ORIGIN.exists():
        ports()
        do("git", "init", "--quiet", "--bare", "--initial-branch=main", str(ORIGIN))
        do("git", "remote", "add", "origin", str(ORIGIN.resolve()))
    commit("Train: the first model")
    do("git", "push", "--quiet", "--set-upstream", "origin", "main")


def released() -> None:
    """What CI does on main, and the merge of what it proposes."""
    do("gitloop", "release", "--push")
    do("gitloop", "deploy", "staging", "--push")
    do("gitloop", "promote")
    if proposed("gitloop/promote-production"):
        CONSOLE.print("Merging the proposal deploys production.")
        merge("gitloop/promote-production")
    do("gitloop", "deploy", "production", "--push")


def dated(log: Path, to: Path, since: datetime, until: datetime, known: datetime) -> None:
    """The log as it would be at the time `known`: predictions an hour before the flight, truth `LATE` after it."""
    flights: dict[str, datetime] = {}
    hours: dict[str, list[str]] = {}

    def add(name: str, line: dict[str, Any], when: datetime) -> None:
        if when < known:
            text = json.dumps(line | {"time": f"{when.isoformat()}+00:00"}, separators=(",", ":"))
            hours.setdefault(f"{name}-{when:%Y-%m-%dT%H}-demo-1.jsonl", []).append(text)

    for file in sorted(log.glob("predictions-*.jsonl")):
        for line in map(json.loads, file.read_text().splitlines()):
            flight = datetime.fromisoformat(line["inputs"]["time_hour"])
            if since <= flight < until:
                flights[line["id"]] = flight
                add("predictions", line, flight)
    for file in sorted(log.glob("feedback-*.jsonl")):
        for line in map(json.loads, file.read_text().splitlines()):
            if line["id"] in flights:
                add("feedback", line, flights[line["id"]] + LATE)
    to.mkdir(exist_ok=True)
    for name, lines in hours.items():
        (to / name).write_text("\n".join(lines) + "\n")


def lived(since: datetime, weeks: int) -> None:
    """Callers ask production, the truth comes late, and each week is looked at."""
    until = since + weeks * WEEK
    days = ("--since", f"{since:%Y-%m-%d}", "--until", f"{until:%Y-%m-%d}")
    do("gitloop", "replay", "--url", f"http://127.0.0.1:{port()}", *days, "--clients", "8", "--feedback")
    for week in range(weeks):
        start, end = since + week * WEEK, since + (week + 1) * WEEK
        CONSOLE.print(f"\n[bold]{end:%A, %d %B %Y}[/bold]: the week's flights have been predicted, some have landed")
        dated(LOG, DATED, since, until, end)
        days = ("--since", f"{start:%Y-%m-%d}", "--until", f"{end:%Y-%m-%d}")
        do("gitloop", "monitor", *days, quiet=week > 0)  # one such table is enough to see
        do("gitloop", "decide")
        do("gitloop", "act")


def retrained() -> None:
    """The pull request, and what its CI does."""
    pull = next(iter(_pulls("gitloop/retrain")), None)
    if pull is None:
        sys.exit("No retraining was proposed, which is not what April of 2013 asks for")
    CONSOLE.print(Rule(f"pull request {pull.number}: {pull.title}", style="dim"))
    CONSOLE.print(_text(pull.body))
    CONSOLE.print(Rule(style="dim"))
    do("git", "fetch", "--quiet", "origin")
    do("git", "switch", "--quiet", "--force-create", "retrain", "origin/gitloop/retrain")
    do("git", "diff", "--unified=0", "main", "--", "conf")
    tell("Its CI trains with the longer window, and compares with the champion on flights that neither has seen")
    do("dvc", "repro", "--quiet", quiet=True)
    do("gitloop", "gate")
    do("gitloop", "report", quiet=True)
    CONSOLE.print(_part(Path("reports/report.md").read_text(), "on the same rows"))
    commit("Train with a longer window")
    do("git", "push", "--quiet", "--force", "origin", "retrain:gitloop/retrain")
    do("git", "switch", "--quiet", "main")
    merge("gitloop/retrain")


def _pulls(head: str, state: str = "open") -> list[Any]:
    from gitloop.gitops import forge  # of the generated project

    return list(forge.here().pulls(head=head, state=state))


def _part(text: str, word: str) -> Markdown:
    """The part of a report whose heading has a word."""
    parts = re.split(r"(?m)^(?=#{2,3} |<details>)", text)
    found = next((one for one in parts if word in one.partition("\n\n")[0].lower()), parts[0])
    return _text(found)


def _text(body: str) -> Markdown:
    """Without what a terminal cannot show."""
    return Markdown(re.sub(r"<!--.*?-->|</?(details|summary)>|```mermaid.*?```", "", body, flags=re.DOTALL))


def _live(version: str) -> list[tuple[str, float]]:
    """The metric of a version in each window, where truth had come."""
    found = []
    for path in sorted(WINDOWS.glob("*.json")):
        window = json.loads(path.read_text())
        truth = (window["versions"].get(version) or {}).get("truth")
        values = [one["value"] for one in (truth or {}).get("metrics", {}).values()][:1]
        found += [(window["until"][:10], value) for value in values if value is not None]
    return found


def summed() -> None:
    """What each version was trained on, and how it did."""
    table = Table(title="what became of the model")
    for name in ("version", "trained on", "ROC AUC at release", "live, by week", "made because"):
        table.add_column(name)
    why = "the first"
    for tag in said("git", "tag", "--list", "model@v*", "--sort=creatordate").splitlines():
        params = said("git", "show", f"{tag}:params.yaml")
        since, until = (re.search(rf"\b{name}: '?([\d-]+)", params)[1] for name in ("since", "until"))  # type: ignore[index]
        metrics = json.loads(said("git", "show", f"{tag}:metrics/evaluation.json"))
        test = metrics["metrics"]["roc_auc"]
        value = test["value"] if isinstance(test, dict) else test
        weeks = ", ".join(f"{day[5:]}: {live:.3f}" for day, live in _live(tag.partition("@")[2]))
        table.add_row(tag.partition("@")[2], f"{since} to {until}", f"{value:.3f}", weeks or "none", why)
        why = _why()
    CONSOLE.print(table)


def _why() -> str:
    pulls = [one.body for one in _pulls("gitloop/retrain", "all") if one.state == "merged"]
    lines = [one for one in "".join(pulls[-1:]).splitlines() if one and not one.startswith("<!--")]
    first, *more = (lines[0] if lines else "").split("; ")
    return re.sub(r" \(.*?\)", "", first) + (", and more" if more else "")


def main() -> None:
    started = time.monotonic()
    begin()
    tell("Merged to main: the model gets its version, staging gets the model, production gets a proposal")
    released()
    if not said("git", "tag", "--list", "model@v0.1.1"):
        tell("April: production is asked about every flight, and each week its predictions are looked at")
        lived(APRIL, APRILS)
        tell("A retraining is proposed: a pull request of one line")
        retrained()
        tell("Merged: the next version goes the same way")
        released()
    tell("May: the new version in production")
    lived(MAY, MAYS)
    tell("Second thoughts: the way back is a pull request too")
    do("gitloop", "rollback", "production")
    merge("gitloop/rollback-production")
    do("gitloop", "deploy", "production", "--push")
    tell("Git holds all of it")
    do("gitloop", "versions")
    do("gitloop", "environments")
    do("git", "--no-pager", "log", "--graph", "--oneline", "--decorate=short", "--max-count=20")
    do("gitloop", "site")
    page = Path("site/index.html").resolve()
    if sys.stdout.isatty() and "CI" not in os.environ:
        webbrowser.open(page.as_uri())
    summed()
    tell("Nothing stays behind on this machine")
    for name in ("staging", "production"):
        do("gitloop", "stop", name)
    CONSOLE.print(f"[dim]{time.monotonic() - started:.0f} s[/dim]")


if __name__ == "__main__":
    if shutil.which("git") is None:
        sys.exit("git: is not installed; install it")
    main()
