"""The cost of a command that has nothing to do."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.bench import alternate, project, run, say

TIMES = 9


def help_text() -> None:
    """`gitloop --help` beside an interpreter that does nothing. To reach: under 6 times."""
    gitloop = str(Path(sys.executable).parent / "gitloop")
    ours, bare = alternate([(Path(), [gitloop, "--help"]), (Path(), [sys.executable, "-c", "pass"])], TIMES)
    say(
        f"gitloop --help (median of {TIMES}, by turns)",
        ["gitloop --help, s", "python -c pass, s", "ratio", "to reach"],
        [[round(ours, 4), round(bare, 4), round(ours / bare, 2), "< 6"]],
    )


def nothing_changed() -> None:
    """`dvc repro` when nothing changed, beside projects of one and of as many stages that hold nothing.

    To reach: at most 1.2 times the project of one stage.
    """
    with project() as ours, tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        run(ours, "dvc", "repro")
        count = len(run(ours, "dvc", "stage", "list", "--name-only").stdout.split())
        one, many = Path(folder) / "one", Path(folder) / "many"
        _chain(one, 1)
        _chain(many, count)
        seconds = alternate([(where, ["dvc", "repro"]) for where in (ours, one, many)], TIMES)
    say(
        f"dvc repro, nothing changed (median of {TIMES}, by turns)",
        ["project", "stages", "seconds", "ratio", "to reach"],
        [
            ["flights pipeline", count, round(seconds[0], 2), round(seconds[0] / seconds[1], 2), "≤ 1.2"],
            ["empty", 1, round(seconds[1], 2), 1.0, ""],
            ["empty", count, round(seconds[2], 2), round(seconds[2] / seconds[1], 2), ""],
        ],
    )


def _chain(where: Path, count: int) -> None:
    """A DVC project of so many stages, each a copy of the one before, with a parameter each."""
    where.mkdir()
    stages = {
        f"s{i}": {"cmd": f"cp o{i} o{i + 1}", "deps": [f"o{i}"], "params": [f"p{i}"], "outs": [f"o{i + 1}"]}
        for i in range(count)
    }
    (where / "dvc.yaml").write_text(json.dumps({"stages": stages}))
    (where / "params.yaml").write_text("".join(f"p{i}: {i}\n" for i in range(count)))
    (where / "o0").touch()
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro"]):
        run(where, *command)
