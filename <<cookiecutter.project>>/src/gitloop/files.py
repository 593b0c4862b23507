"""Files that are written whole or not at all.

The temporary name is fixed, so that a run after a crash overwrites what the crash left.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from gitloop.errors import InputError

Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the C one is many times faster


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a path beside `path` to write to; it takes the name `path` when the block ends well.

    Raises `InputError` when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if error.errno is None:  # not the operating system's: some libraries subclass OSError
            raise
        reason = os.strerror(error.errno)
        raise InputError(f"{path}: cannot be written ({reason}); free the disk or the folder and run again") from error
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path`; it takes the place of `path` and what is there when the block ends well.

    A kill leaves the old folder, the new one, or in between none; never a part of one. Raises `InputError`.
    """
    temporary, old = path.with_name(f".{path.name}.tmp"), path.with_name(f".{path.name}.old.tmp")
    try:
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.rename(old)
        temporary.rename(path)
    except OSError as error:
        if error.errno is None:
            raise
        reason = os.strerror(error.errno)
        raise InputError(f"{path}: cannot be written ({reason}); free the disk or the folder and run again") from error
    finally:
        for left in (temporary, old):
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """One process at a time, by a lock on this file; the system gives it free when a process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_text(path: Path, text: str) -> None:
    with whole(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write JSON that is the same bytes for the same value (keys in the order given)."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path, made_by: str) -> Any:
    """Read JSON that the verb `made_by` wrote. Raises `InputError` where it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: not there; run `{made_by}` first") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON ({error}); run `{made_by}` again") from error


def locked(lock: bytes | None, path: Path) -> str | None:
    """The hash that a dvc.lock records of an output; None where it has none of it."""
    stages = (parse_yaml(lock) or {}).get("stages", {}) if lock else {}
    outs = [out for stage in stages.values() for out in stage.get("outs", ())]
    return next((out.get("md5") for out in outs if out["path"] == path.as_posix()), None)


def parse_yaml(content: bytes) -> Any:
    """Read YAML that gitloop wrote. Raises `yaml.YAMLError`."""
    return yaml.load(content, Loader=Loader)  # noqa: S506 -- the safe loader
