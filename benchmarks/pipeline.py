"""The pipeline beside one plain script, and what a small change costs."""

from __future__ import annotations

import re
import sys
import time

from benchmarks.bench import edit, measure, project, run, say

WINDOWS = {"20k": "2013-01-25", "80k": "2013-04-01", "320k": "2013-12-24"}
CANDIDATES = ["boosting", "dummy", "forest", "linear"]
STAGES = ["ingest", "validate", "split", "profile", *(f"train:{name}" for name in CANDIDATES)]
STAGES += ["select", "evaluate", "package"]
# The same work with the same libraries in one process, without DVC.
SCRIPT = f"""
from gitloop.cli import main
for stage in {STAGES}:
    assert main(stage.split(":")) == 0, stage
"""


def against_one_script() -> None:
    """`dvc repro` of all stages beside one script that does the same. To reach: at most 1.5 times at 80k rows."""
    rows = []
    for name, until in WINDOWS.items():
        with project() as where:
            edit(where / "conf/data/flights.yaml", window__until=until)
            run(where, "gitloop", "params")
            script = measure(where, sys.executable, "-c", SCRIPT)
            dvc = measure(where, "dvc", "repro", "--force", "--no-run-cache")
        overhead = dvc.seconds - script.seconds
        ratio = dvc.seconds / script.seconds
        rows.append([name, round(dvc.seconds, 1), round(script.seconds, 1), round(ratio, 2), round(overhead, 1)])
    columns = ["rows", "dvc repro, s", "one script, s", "ratio (≤ 1.5 at 80k)", "overhead, s"]
    say("dvc repro of all stages beside one plain script", columns, rows)


def one_candidate() -> None:
    """One candidate's parameter changed: only that candidate and what follows it run."""
    with project() as where:
        full = measure(where, "dvc", "repro")
        edit(where / "conf/candidate/linear.yaml", linear__classifier__C=0.5)
        run(where, "gitloop", "params")
        start = time.perf_counter()
        done = run(where, "dvc", "repro")
        seconds = time.perf_counter() - start
    ran = re.findall(r"Running stage '([^']+)'", done.stdout)
    skipped = len(re.findall(r"Stage '[^']+' didn't change", done.stdout))
    say(
        "One parameter of candidate linear changed",
        ["stages run", "stages skipped", "seconds", "of a full run"],
        [[", ".join(ran), skipped, round(seconds, 1), f"{seconds / full.seconds:.0%}"]],
    )
