"""The cost of a command that has nothing to do."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.bench import alternate, project, run, say

TIMES = 9


def help_text() -> None:
    """`gitloop --help` beside an interpreter that does nothing. To reach: under 6 times."""
    gitloop = str(Path(sys.executable).parent / "gitloop")
    ours, bare = alternate((Path(), [gitloop, "--help"]), (Path(), [sys.executable, "-c", "pass"]), TIMES)
    say(
        f"gitloop --help (median of {TIMES}, by turns)",
        ["gitloop --help, s", "python -c pass, s", "ratio", "to reach"],
        [[round(ours, 4), round(bare, 4), round(ours / bare, 2), "< 6"]],
    )


def nothing_changed() -> None:
    """`dvc repro` when nothing changed, beside that of an empty one-stage project. To reach: at most 1.2 times."""
    with project() as ours, tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        run(ours, "dvc", "repro")
        empty = Path(folder)
        (empty / "dvc.yaml").write_text("stages:\n  one: {cmd: touch out, outs: [out]}\n")
        for command in (["git", "init", "-q"], ["dvc", "init", "-q"], ["dvc", "repro"]):
            run(empty, *command)
        full, bare = alternate((ours, ["dvc", "repro"]), (empty, ["dvc", "repro"]), TIMES)
    say(
        f"dvc repro, nothing changed (median of {TIMES}, by turns)",
        ["flights pipeline, s", "empty one-stage project, s", "ratio", "to reach"],
        [[round(full, 2), round(bare, 2), round(full / bare, 2), "≤ 1.2"]],
    )
