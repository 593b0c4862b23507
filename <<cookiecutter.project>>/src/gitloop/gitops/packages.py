"""The packages that a version locks, and a Python that has them: what it was made with is what it runs with.

A version is served by this Python where it has every package of the version's lock in the locked version. Otherwise
uv makes an environment of just that lock, with its hashes, and keeps it for the next time:

    .deploy/.packages/3.12-0a1b2c3d4e5f6071/    by Python and hash of the lock
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from gitloop import layout, ui
from gitloop.errors import InputError
from gitloop.files import alone, whole_folder
from gitloop.serving.integrity import LINEAGE
from gitloop.serving.signature import FILE

KEPT = ".packages"  # beside the environments, whose names begin with a letter
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def interpreter(folder: Path, kept: Path) -> str:
    """The Python that serves the version in a folder, as `gitloop.gitops.services.prepared` writes it.

    `kept` is where environments are. Raises `InputError` where the locked packages cannot be had.
    """
    path = folder / lock(folder)
    if not path.exists():
        ui.warn(f"{folder.name}: its commit has no {path.name}; it runs with the packages that are installed here")
        return sys.executable
    text = path.read_text(encoding="utf-8")
    if not (others := differs(text)):
        return sys.executable
    python = _json(folder / layout.MODEL / LINEAGE).get("python") or HERE
    made = kept / KEPT / f"{python}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    with alone(made.with_name(f".{made.name}.busy")):  # one maker at a time
        if not (made / "bin/python").exists():
            more = f" and {len(others) - 3} more" if len(others) > 3 else ""
            ui.say(f"{folder.name}: {', '.join(others[:3])}{more}: not installed here, so an environment is made")
            _make(made, path.resolve(), python, f"{folder.name}: {path.name}")
    return str(made / "bin/python")


def lock(folder: Path) -> Path:
    """The lock of a version, by the format of its model."""
    return layout.SERVING_LOCKS[_json(folder / layout.MODEL / FILE)["format"]]


def differs(text: str) -> list[str]:
    """The pins of a lock that this Python does not have: missing, or in another version."""
    return [str(pin) for pin in pins(text) if not _has(pin)]


def pins(text: str) -> Iterator[Requirement]:
    """The pins that count for this Python."""
    for line in text.replace("\\\n", " ").splitlines():
        said = line.partition(" --hash")[0].strip()
        if said and not said.startswith(("#", "-")):
            pin = Requirement(said)
            if pin.marker is None or pin.marker.evaluate():
                yield pin


def _has(pin: Requirement) -> bool:
    try:
        return pin.specifier.contains(metadata.version(pin.name), prereleases=True)
    except metadata.PackageNotFoundError:
        return False


def _make(made: Path, locked: Path, python: str, what: str) -> None:
    """A kill leaves nothing that is taken for whole; so what is made is moved to its place, and must bear that."""
    with whole_folder(made) as temporary:
        asked = sys.executable if python == HERE else python
        _uv(what, "venv", "--quiet", "--relocatable", "--clear", "--python", asked, str(temporary))
        where = ("--python", str(temporary / "bin/python"))
        _uv(what, "pip", "sync", "--quiet", *where, "--require-hashes", "--no-build", "--compile-bytecode", str(locked))


def _uv(what: str, *command: str) -> None:
    beside = Path(layout.program("uv"))
    program = str(beside) if beside.exists() else shutil.which("uv")
    mend = "run it where an index of packages can be reached, or where uv's cache holds them"
    if program is None:
        raise InputError(f"{what}: uv is not installed, and makes the environment; run `make setup`")
    # The caller's own environment is not the one that is made.
    kept = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run([program, *command], env=kept, capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(" ".join(done.stderr.replace("×", " ").split()).split())
        raise InputError(f"{what}: cannot be installed ({said[-400:] or 'uv does not say why'}); {mend}")


def _json(path: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found
