"""What train.yml does for a push, after set-up, in a fresh clone beside a folder as DVC's remote."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from benchmarks.bench import edit, project, run, say

# The verbs of train.yml, in its order.
VERBS = ("check", "storage", "reproduce", "gate", "report", "commit")


def a_push() -> None:
    """To reach: nothing changed 10 s at most, its report 3 s, no data pulled; one candidate costs what follows it."""
    with project() as where, tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        run(where, "dvc", "remote", "add", "--default", "storage", f"{folder}/store")
        start = time.perf_counter()
        run(where, "dvc", "repro")
        whole = time.perf_counter() - start
        run(where, "git", "add", "--all")
        run(where, "git", "commit", "--quiet", "--message", "Train")
        run(where, "dvc", "push", "--quiet")
        rows = []
        for what in ("nothing", "a parameter of one candidate"):
            clone = Path(folder) / what.split()[0]
            run(where, "git", "clone", "--quiet", str(where), str(clone))
            run(clone, "git", "switch", "--quiet", "--create", "work")
            if what == "nothing":
                run(clone, "git", "commit", "--quiet", "--allow-empty", "--message", "Words")
            else:
                edit(clone / "conf/candidate/linear.yaml", linear__classifier__C=0.5)
                run(clone, "gitloop", "params")
                run(clone, "git", "commit", "--quiet", "--all", "--message", "Change")
            taken = {verb: _timed(clone, verb) for verb in VERBS}
            said = json.loads((clone / "reports/run.json").read_text())
            total = sum(taken.values())
            ratio = round(total / whole, 2)
            seconds = [round(taken[verb], 1) for verb in VERBS]
            rows.append([what, *seconds, round(total, 1), ratio, len(said["ran"]), said["pulled_bytes"]])
    columns = [
        "what a push changes",
        *(f"{verb}, s" for verb in VERBS),
        "all, s",
        "of a full run",
        "stages run",
        "bytes",
    ]
    say(f"train.yml's own work (a full run of the pipeline: {whole:.1f} s)", columns, rows)


def _timed(where: Path, verb: str) -> float:
    start = time.perf_counter()
    run(where, "gitloop", verb, check=False)  # a gate may say no
    return time.perf_counter() - start
