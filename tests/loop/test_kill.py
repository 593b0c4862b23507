"""SIGKILL in the middle of each stage: the same command again finishes, and the result equals an undisturbed run.

Of stages that write several files it comes when some of them are there.
"""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from project import environment, run

KILLER = Path(__file__).parent / "killer"


@pytest.mark.parametrize(
    ("stage", "nth"),
    [
        ("ingest", 1),
        ("validate", 3),
        ("split", 2),
        ("profile", 1),
        ("train@linear", 2),
        ("select", 1),
        ("evaluate", 2),
        ("package", 6),
        ("package", 7),
    ],
)
def test_a_killed_stage_is_finished_by_the_same_command(stage: str, nth: int, copied: Callable[..., Path]) -> None:
    project = copied()
    deadly = environment(project, GITLOOP_KILL=f"{stage.split('@', maxsplit=1)[0]}:{nth}")
    deadly["PYTHONPATH"] += f":{KILLER}"
    command = ["dvc", "repro", "--no-run-cache", "--force", "--single-item", stage]
    killed = subprocess.run(command, cwd=project, env=deadly, capture_output=True, check=False, start_new_session=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()

    run(project, *command)
    assert run(project, "git", "status", "--porcelain").stdout == ""  # dvc.lock and metrics as in the undisturbed run
    left = [path for path in project.rglob(".*.tmp") if ".dvc" not in path.parts]
    assert left == []
    assert "Running stage" not in run(project, "dvc", "repro").stdout
