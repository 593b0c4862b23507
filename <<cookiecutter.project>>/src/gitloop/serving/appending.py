"""A file of lines that one process appends to."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path


class Appending:
    """Whole lines or nothing, whatever the disk does."""

    def __init__(self, path: Path, since: datetime, until: datetime) -> None:
        """For what is written at since <= now < until. Raises `OSError`."""
        self.since, self.until = since, until
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        self._size, self._synced = os.fstat(self._handle).st_size, 0
        self._torn = self._size > 0  # what is there may end within a line

    @property
    def gone(self) -> bool:
        """Whether the file was deleted, so that nobody would find what is written to it."""
        return os.fstat(self._handle).st_nlink == 0

    def append(self, lines: bytes) -> tuple[int, OSError | None]:
        """The bytes of whole lines that were kept, and why not all of them."""
        content = b"\n" + lines if self._torn else lines
        try:
            written = os.write(self._handle, content)
        except OSError as error:
            return 0, error
        if written == len(content):
            self._size += written
            self._torn = False
            return len(lines), None
        # Somebody may have read the whole lines already, so they stay; the rest of a line nobody takes.
        whole = content[:written].rfind(b"\n") + 1
        kept = max(0, whole - (len(content) - len(lines)))
        try:
            os.ftruncate(self._handle, self._size + whole)
            self._size += whole
            self._torn = self._torn and whole == 0
        except OSError:
            self._size += written
            self._torn = True
        return kept, OSError("the disk is full")

    def sync(self) -> None:
        """Have the system put on the disk what was written. Raises `OSError`."""
        if self._synced != self._size:
            size = self._size
            os.fsync(self._handle)
            self._synced = size

    def close(self) -> None:
        with contextlib.suppress(OSError):
            os.close(self._handle)
