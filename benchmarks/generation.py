"""What it costs to generate a project, without its environment."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.bench import alternate, run, say, template

TIMES = 7
MADE = """
import sys, tempfile
from cookiecutter.main import cookiecutter
template, home, where = sys.argv[1:]
cookiecutter(template, no_input=True, output_dir=tempfile.mkdtemp(dir=where), config_file=home + "/config.yaml")
"""


def generation() -> None:
    """cookiecutter with this template, beside the same tree with no hook. To reach: at most 3 times."""
    home = template().parent
    with tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        where = Path(folder)
        bare = where / "template"
        shutil.copytree(template(), bare, ignore=shutil.ignore_patterns("hooks"))
        commands = []
        for source, to in ((template(), where / "ours"), (bare, where / "plain")):
            to.mkdir()
            commands.append((where, [sys.executable, "-c", MADE, str(source), str(home), str(to)]))
        ours, plain = alternate(commands, TIMES)
        made = next((where / "ours").iterdir()) / "late-flights"
        files = len(run(made, "git", "ls-files").stdout.splitlines())
    say(
        f"a project of {files} files generated, its first commit with it (median of {TIMES}, by turns)",
        ["cookiecutter, s", "the same tree without hooks, s", "ratio", "to reach"],
        [[round(ours, 2), round(plain, 2), round(ours / plain, 2), "≤ 3"]],
    )
