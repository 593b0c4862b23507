"""Run the stages that changed, with no more data than they and the gates need."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import yaml

from gitloop import git, layout, ui
from gitloop.errors import Refused
from gitloop.files import write_json
from gitloop.gitops import actions, storage
from gitloop.modeling import rivals

RUNNING = re.compile(r"^Running stage '(.+)':")
SKIPPED = re.compile(r"^Stage '(.+)' (?:didn't change, skipping|is cached)")
FAILED = re.compile(r"failed to reproduce '(.+?)': (.*)")
LOST = re.compile("missing|[Cc]heckout failed")
NO_REMOTE = re.compile(r"Failed to pull run cache|Create a default remote|dvc remote add -d")


class Run:
    """What DVC did, as it said: seconds by stage that ran, stages that were skipped, the stage that failed."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.skipped: list[str] = []
        self.failed: tuple[str, str] | None = None
        self._now: str | None = None
        self._since = time.monotonic()

    def hear(self, line: str) -> None:
        """Take one line of DVC's output."""
        if found := RUNNING.match(line):
            self.stop()
            self._now = found[1]
        elif found := SKIPPED.match(line):
            self.stop()
            if found[1] not in (*self.skipped, *self.seconds):
                self.skipped.append(found[1])
        elif found := FAILED.search(line):
            self.failed = (found[1], found[2])

    def stop(self) -> None:
        """The stage that was running has ended."""
        now = time.monotonic()
        if self._now:
            self.seconds[self._now] = round(now - self._since, 1)
        self._now, self._since = None, now


def run(_: argparse.Namespace) -> None:
    """`gitloop reproduce`. Raises `Refused` where a stage fails; reports/run.json says what was done."""
    kind, started, done = storage.kind(Path()), time.monotonic(), Run()
    before, recorded = _cached(), _outputs()
    needed = ["--allow-missing"] if kind == storage.NONE else ["--allow-missing", "--pull"]
    ok = _dvc(done, "repro", *needed, "select") and _bring(done, kind) and _dvc(done, "repro", *needed)
    if not ok and (done.failed is None or LOST.search(done.failed[1])):
        ui.note("some data are in no cache and no remote: they are made again from the source")
        done.failed = None
        ok = _dvc(done, "repro")
    there = _cached() - before
    rest = [name for name in done.skipped if name not in done.seconds]
    content = {
        "ok": ok,
        "ran": list(done.seconds),
        "cached": rest,
        "failed": done.failed and done.failed[0],
        "seconds": done.seconds,
        "total_seconds": round(time.monotonic() - started, 1),
        "pulled_bytes": sum(size for md5, size in recorded.items() if md5 in there),
        "storage": kind,
    }
    write_json(layout.RUN, content)
    actions.output(ran=str(bool(done.seconds)).lower())
    if not ok:
        stage, why = done.failed or ("dvc", "see above")
        raise Refused(f"stage {stage}: {why}; mend what is said above, then `make train`")
    ui.say(f"{len(done.seconds)} stages ran, {len(rest)} did not need to")


def _bring(done: Run, kind: str) -> bool:
    """The winner and the test slice, unless all that made and judges them is main's. False where they are lost."""
    base = git.base()
    tests = yaml.safe_load(layout.PARAMS.read_text(encoding="utf-8"))["gates"]["behaviour"]
    if not done.seconds and base is not None and rivals.untouched(base, tests):
        return True
    chosen = json.loads(layout.SELECTED.read_text(encoding="utf-8"))["model"]
    missing = [name for name in (chosen["path"], layout.TEST.as_posix()) if not Path(name).exists()]
    missing = [name for name in missing if name in _paths()]
    if not missing:
        return True
    if kind == storage.NONE:
        return False
    return _dvc(done, *(["checkout"] if kind == storage.HERE else ["pull"]), *missing)


def _dvc(done: Run, *arguments: str) -> bool:
    """Run DVC, showing and hearing what it says; whether it ended well."""
    command = [layout.program("dvc"), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout or ():
            done.hear(line)
            if line.strip() and not NO_REMOTE.search(line):
                print(line, end="", flush=True)
    done.stop()
    return process.returncode == 0


def _lock() -> dict[str, Any]:
    if not layout.DVC_LOCK.exists():
        return {}
    return (yaml.safe_load(layout.DVC_LOCK.read_text(encoding="utf-8")) or {}).get("stages", {})  # type: ignore[no-any-return]


def _paths() -> set[str]:
    return {out["path"] for stage in _lock().values() for out in stage.get("outs", [])}


def _outputs() -> dict[str, int]:
    """Bytes by hash of what the lock records."""
    return {out["md5"]: out.get("size", 0) for stage in _lock().values() for out in stage.get("outs", [])}


def _cached() -> set[str]:
    """The hashes in this machine's cache."""
    root = Path(".dvc/cache/files/md5")
    return {path.parent.name + path.name for path in root.glob("??/*")}
