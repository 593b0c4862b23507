"""What the registry costs when it is long, and what a deploy costs beside a plain start of the service."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from benchmarks.bench import alternate, project, run, say

VERSIONS = (1, 200)
TIMES = 5


def versions() -> None:
    """To reach: `gitloop register` with 200 versions at most 2 s more than with one, `gitloop versions` at most 2 s."""
    with project() as first, tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        _model(first, 0)
        run(first, "git", "init", "--quiet", "--bare", "--initial-branch=main", f"{folder}/origin.git")
        run(first, "git", "remote", "add", "origin", f"{folder}/origin.git")
        rows = []
        for number in range(1, VERSIONS[1] + 1):
            _model(first, number)
            tag = f"model@v0.{number}.0"
            run(first, "git", "tag", "--annotate", tag, "--message", f"Registered v0.{number}.0: a benchmark")
            if number in VERSIONS:
                run(first, "git", "push", "--quiet", "--tags", "origin", "HEAD:main")
                (shown,) = alternate([(first, ["gitloop", "versions"])], TIMES)
                _model(first, number + VERSIONS[1])
                start = time.perf_counter()
                run(first, "gitloop", "register", "--push")
                rows.append([number, round(shown, 2), round(time.perf_counter() - start, 2)])
                run(first, "git", "tag", "--delete", f"model@v0.{number + 1}.0")
                run(first, "git", "push", "--quiet", "--delete", "origin", f"model@v0.{number + 1}.0")
    say("the registry (versions: median of 5)", ["versions", "gitloop versions, s", "gitloop register --push, s"], rows)


def _model(where: Path, number: int) -> None:
    """A commit with another model."""
    (where / "metrics").mkdir(exist_ok=True)
    model = {"path": "models/linear.skops", "sha256": str(number)}
    (where / "metrics/selected.json").write_text(json.dumps({"candidate": "linear", "model": model}))
    evaluation = {"metric": "roc_auc", "metrics": {"roc_auc": {"value": number / 1000}}}
    (where / "metrics/evaluation.json").write_text(json.dumps(evaluation))
    (where / "src/late_flights/more.py").write_text(f"NUMBER = {number}\n")
    run(where, "git", "add", "--all")
    run(where, "git", "commit", "--quiet", "--message", f"Model {number}")


def deploys() -> None:
    """A version that is built already, deployed to this machine. To reach: a cold start of its service and 3 s."""
    with project() as where:
        run(where, "git", "init", "--quiet", "--bare", "--initial-branch=main", "../origin.git")
        run(where, "git", "remote", "add", "origin", str((where / "../origin.git").resolve()))
        run(where, "dvc", "repro")
        run(where, "git", "add", "--all")
        run(where, "git", "commit", "--quiet", "--message", "Train")
        run(where, "git", "push", "--quiet", "origin", "HEAD:main")
        run(where, "gitloop", "release", "--push")
        took: dict[str, list[float]] = {"start": [], "first": [], "again": [], "same": []}
        serve = "from gitloop.serving.local import running\nwith running(): pass"
        for _ in range(3):
            took["start"].append(_timed(where, "python", "-c", serve))
            for what in ("first", "again", "same"):
                if what == "first":
                    run(where, "rm", "-rf", ".deploy/staging")
                took[what].append(_timed(where, "gitloop", "deploy", "staging"))
                if what != "again":
                    run(where, "gitloop", "stop", "staging")
        middle = {what: sorted(seconds)[1] for what, seconds in took.items()}
    say(
        "a deploy to this machine (median of 3, by turns)",
        ["what", "seconds", "beyond a cold start"],
        [
            [name, round(middle[what], 2), round(middle[what] - middle["start"], 2)]
            for what, name in (
                ("start", "cold start and end of the service alone"),
                ("first", "deploy of a version that is new here"),
                ("again", "deploy of a version that was stopped"),
                ("same", "deploy of what runs"),
            )
        ],
    )


def _timed(where: Path, *command: str) -> float:
    start = time.perf_counter()
    run(where, *command)
    return time.perf_counter() - start
