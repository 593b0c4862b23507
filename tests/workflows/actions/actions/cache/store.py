"""The cache of Actions in a folder: a name is written once, and seen by its branch; what main wrote is seen by all."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tarfile
import time
from pathlib import Path

STORE = Path(os.environ["HUB_STORE"]) / "caches"
MAIN = "refs/heads/main"


def scopes() -> list[str]:
    """A run reads what its own ref wrote, then what main did; a pull request also what its base did."""
    base = os.environ.get("GITHUB_BASE_REF")
    return [os.environ["GITHUB_REF"], *([f"refs/heads/{base}"] if base else []), MAIN]


def folder(scope: str) -> Path:
    return STORE / hashlib.sha256(scope.encode()).hexdigest()[:16]


def paths() -> list[Path]:
    return [Path(line).expanduser() for line in os.environ["CACHE_PATH"].split("\n") if line.strip()]


def restore() -> None:
    key = os.environ["CACHE_KEY"]
    prefixes = [line.strip() for line in os.environ["CACHE_RESTORE_KEYS"].split("\n") if line.strip()]
    for scope in scopes():
        there = [json.loads(note.read_text()) for note in folder(scope).glob("*.json")]
        there.sort(key=lambda note: -note["time"])
        for wanted in ([key], *([prefix] for prefix in prefixes)):
            exact = wanted == [key]
            for note in there:
                if note["key"] == key if exact else note["key"].startswith(wanted[0]):
                    with tarfile.open(note["file"]) as tar:
                        tar.extractall(Path.cwd(), filter="data")
                    print(
                        f"Cache restored from key: {note['key']} of {scope}, {Path(note['file']).stat().st_size} bytes"
                    )
                    _output("cache-hit", str(note["key"] == key).lower())
                    return
    print("Cache not found")


def save() -> None:
    key, scope = os.environ["CACHE_KEY"], os.environ["GITHUB_REF"]
    there = [path for path in paths() if path.exists()]
    if not there:
        print("::warning::Path does not exist: nothing is saved")
        return
    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    note = folder(scope) / f"{name}.json"
    if note.exists():
        print(f"Failed to save: a cache with key {key} exists already")
        return
    note.parent.mkdir(parents=True, exist_ok=True)
    file = note.with_suffix(".tar")
    with tarfile.open(file, "w") as tar:
        for path in there:
            tar.add(path)
    note.write_text(json.dumps({"key": key, "scope": scope, "file": str(file), "time": time.time()}))
    print(f"Cache saved with key: {key} for {scope}")


def _output(name: str, value: str) -> None:
    with Path(os.environ["GITHUB_OUTPUT"]).open("a") as file:
        file.write(f"{name}={value}\n")


{"restore": restore, "save": save}[sys.argv[1]]()
