"""Label Studio's own SDK judges tasks, configurations and annotations, and makes JSON-MIN of an export.

It needs an older NumPy than the project, so it has an environment of its own, of tests/requirements-studio.txt: made
once, in a folder that Git ignores.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

LOCK = Path(__file__).with_name("requirements-studio.txt")
CACHE = Path(__file__).resolve().parents[1] / ".studio_cache"
GET = f"Label Studio's SDK is not here: install uv (`make setup`), which fetches tests/{LOCK.name} from PyPI"
# Of `validate_task` the SDK has a fault where a task holds predictions; they are judged by themselves.
PROGRAM = """\
import json, sys, tempfile
from pathlib import Path
from label_studio_sdk.converter import Converter
from label_studio_sdk.label_interface import LabelInterface

asked = json.load(sys.stdin)
interface, faults = LabelInterface(asked["config"]), []
try:
    interface.validate()
except Exception as error:
    faults.append(f"configuration: {error}")
for number, task in enumerate(asked["tasks"], 1):
    bare = {name: value for name, value in task.items() if name not in ("annotations", "predictions")}
    if not interface.validate_task(bare):
        faults.append(f"task {number}")
    for kind in ("predictions", "annotations"):
        for one in task.get(kind, []):
            judged = interface.validate_prediction(one, return_errors=True)
            faults += [f"task {number}: {kind}: {fault}" for fault in judged]
            if kind == "annotations" and not judged and not interface.validate_annotation(one):
                faults.append(f"task {number}: annotation")
with tempfile.TemporaryDirectory() as name:
    given = Path(name, "given.json")
    given.write_text(json.dumps([{**task, "id": number} for number, task in enumerate(asked["tasks"], 1)]))
    converter = Converter(asked["config"], name, download_resources=False)
    if any(task.get("annotations") for task in asked["tasks"]):
        converter.convert_to_json_min(str(given), name, is_dir=False)
        least = json.loads(Path(name, "result.json").read_text())
    else:
        least = []
names = [[one.tag, one.name] for one in [*interface.controls, *interface.objects]]
labels = [sorted(one.labels or ()) for one in interface.controls]
print(json.dumps({"faults": faults, "min": least, "tags": names, "labels": labels}))
"""


def interpreter() -> Path:
    """The Python that has the SDK. Skips where it cannot be had."""
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    if uv is None:
        pytest.skip(GET)
    made = CACHE / hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:16]
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (made / "ready").exists():
            kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
            for command in (
                ["venv", "--quiet", "--clear", "--python", sys.executable, str(made)],
                ["pip", "sync", "--quiet", "--require-hashes", "--python", str(made / "bin/python"), str(LOCK)],
            ):
                done = subprocess.run([uv, *command], env=kept, capture_output=True, text=True, check=False)
                if done.returncode:
                    pytest.skip(f"{GET} ({done.stderr.strip()[-200:]})")
            (made / "ready").touch()
    return made / "bin/python"


def judged(config: str, tasks: list[dict[str, Any]]) -> dict[str, Any]:
    """`faults` in a configuration and its tasks with what is annotated; `min`, the same as JSON-MIN; tags, labels."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [str(interpreter()), "-c", PROGRAM],
        input=json.dumps({"config": config, "tasks": tasks}),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found
