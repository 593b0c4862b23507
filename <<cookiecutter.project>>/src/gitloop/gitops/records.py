"""One JSON value kept in a ref of a Git repository, for many writers at a time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from gitloop.errors import InputError, Refused
from gitloop.files import whole

NEVER = "0" * 40  # what Git calls the value of a ref that is not there
TRIES = 200  # after each that fails somebody else got on

Result = TypeVar("Result")


class Records:
    """`folder` is a repository, bare or not. Raises `InputError` where Git cannot use it."""

    def __init__(self, folder: Path, ref: str, empty: dict[str, Any]) -> None:
        self.folder = folder
        self._ref = ref
        self._empty = json.dumps(empty)

    def change(self, how: Callable[[dict[str, Any]], Result]) -> Result:
        """Let `how` change the value, whole and from what was read: where somebody else was faster, it is called again.

        A kill leaves the value before or the one after. Raises `Refused` where it cannot be written.
        """
        self.git("rev-parse", "--git-dir")
        reason = ""
        for _ in range(TRIES):
            version = self.tip(self._ref)
            before = self._empty if version is None else self.git("cat-file", "blob", version)
            value = json.loads(before)
            result = how(value)
            if value == json.loads(before):
                return result
            text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
            blob = self.git("hash-object", "-w", "--stdin", given=text).strip()
            done = self._run("update-ref", self._ref, blob, version or NEVER)
            if not done.returncode:
                return result
            reason = _said(done)
        raise Refused(f"{self.folder}: could not be written in {TRIES} tries ({reason}); run again")

    def tip(self, ref: str) -> str | None:
        """The hash that a ref has; None where there is no such ref."""
        done = self._run("show-ref", "--verify", "--hash", "--end-of-options", ref)
        return None if done.returncode else done.stdout.decode().strip()

    def reaches(self, descendant: str, ancestor: str) -> bool:
        """Whether a commit holds another."""
        return self._run("merge-base", "--is-ancestor", ancestor, descendant).returncode == 0

    def copy(self, what: str, to: Path) -> bool:
        """Write a blob (`ref:path`) to a file, whole or not at all; False where there is none."""
        if self._run("cat-file", "-e", what).returncode:
            return False
        with whole(to) as temporary, temporary.open("wb") as out:
            self.git("cat-file", "blob", what, out=out)
        return True

    def git(self, *arguments: str, given: str = "", out: BinaryIO | None = None) -> str:
        """What Git prints, unless it is to go to a file. Raises `InputError` with what Git says."""
        done = self._run(*arguments, given=given, out=out)
        if done.returncode:
            raise InputError(f"{self.folder}: {_said(done)}; it must be a Git repository that may be written")
        return "" if out else done.stdout.decode()

    def _run(self, *arguments: str, given: str = "", out: BinaryIO | None = None) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            input=given.encode(),
            stdout=out or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            env={name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")},
        )


def _said(done: subprocess.CompletedProcess[bytes]) -> str:
    return " ".join(done.stderr.decode(errors="replace").split())
