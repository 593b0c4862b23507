"""JSON kept in the refs of a Git repository, for many writers at a time."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gitloop.errors import InputError

NEVER = "0" * 40  # the version of what is not there


class Moved(Exception):
    """Somebody else wrote between reading and writing; read again."""


class Record(NamedTuple):
    ref: str
    version: str  # the hash of what was read
    value: Any


class Change(NamedTuple):
    """What a ref becomes (None: it is deleted), if it still has the version that was read."""

    value: Any
    version: str


class Records:
    """`folder` is a repository, bare or not. Raises `InputError` where Git cannot use it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def below(self, prefix: str) -> list[Record]:
        """All records below a prefix whose last part is a number, in that order."""
        listed = self._git("for-each-ref", "--format=%(objectname) %(refname)", prefix).decode().splitlines()
        refs = sorted((line.split(" ", 1) for line in listed), key=lambda one: int(one[1].rpartition("/")[2]))
        blobs = self._git("cat-file", "--batch", given="".join(f"{version}\n" for version, _ in refs))
        found, at = [], 0
        for version, ref in refs:
            header, _, _ = blobs[at:].partition(b"\n")
            start, size = at + len(header) + 1, int(header.split()[2])
            found.append(Record(ref, version, json.loads(blobs[start : start + size])))
            at = start + size + 1
        return found

    def read(self, ref: str) -> Record | None:
        version = self.tip(ref)
        return None if version is None else Record(ref, version, json.loads(self._git("cat-file", "blob", version)))

    def tip(self, ref: str) -> str | None:
        """The hash that a ref has; None where there is no such ref."""
        done = self._run("show-ref", "--verify", "--hash", "--end-of-options", ref)
        return None if done.returncode else done.stdout.decode().strip()

    def reaches(self, descendant: str, ancestor: str) -> bool:
        """Whether a commit holds another."""
        return self._run("merge-base", "--is-ancestor", ancestor, descendant).returncode == 0

    def write(self, changes: Mapping[str, Change]) -> None:
        """Make all the changes, or none. Raises `Moved` where a ref does not have its version any more."""
        lines = ["start"]
        for ref, (value, version) in changes.items():
            if value is None:
                lines.append(f"delete {ref} {version}")
            else:
                text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
                blob = self._git("hash-object", "-w", "--stdin", given=text).decode().strip()
                lines.append(f"update {ref} {blob} {version}")
        done = self._run("update-ref", "--stdin", given="\n".join([*lines, "prepare", "commit", ""]))
        if done.returncode:
            raise Moved(self._said(done))

    def _git(self, *arguments: str, given: str = "") -> bytes:
        done = self._run(*arguments, given=given)
        if done.returncode:
            raise InputError(f"{self.folder}: {self._said(done)}; it must be a Git repository that may be written")
        return done.stdout

    def _run(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            input=given.encode(),
            capture_output=True,
            check=False,
            env={name: value for name, value in os.environ.items() if name not in ("GIT_DIR", "GIT_WORK_TREE")},
        )

    @staticmethod
    def _said(done: subprocess.CompletedProcess[bytes]) -> str:
        return " ".join(done.stderr.decode(errors="replace").split())
