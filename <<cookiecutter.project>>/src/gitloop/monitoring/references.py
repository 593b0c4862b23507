"""What a version was trained on and how good it was: all that its predictions are compared with."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from gitloop import git, layout
from gitloop.errors import InputError
from gitloop.serving import integrity, signature
from gitloop.serving.integrity import LINEAGE, MANIFEST, METRICS, REFERENCE
from gitloop.serving.origin import origin
from gitloop.serving.signature import Signature


@dataclass(frozen=True)
class Reference:
    """One version of the model."""

    signature: Signature
    rows: pa.Table  # a sample of the training rows
    evaluation: dict[str, Any]  # on its test slice
    trained_until: str | None


NAME = re.compile(r"\w[\w.+-]*")
Lookup = Callable[[str], Reference | None]  # the name of a version → None where it is not to be had


class Read(Protocol):
    def __call__(self, name: str) -> bytes:
        """The content of a file of the model. Raises `OSError`."""


def found(version: str, root: Path = Path()) -> Reference | None:
    """In model/, in the folder where `gitloop fetch` puts the version, or by its tag from DVC's cache and remotes."""
    if not NAME.fullmatch(version):  # it comes from a log, and becomes the name of a file
        return None
    folder = root / layout.MODEL
    if (folder / MANIFEST).exists():
        package = integrity.verified(folder)
        if version in (package.sha256[:12], origin(root).version):
            return reference(package.content, folder)
    fetched = root / f"{layout.MODEL}-{version}"
    if (fetched / MANIFEST).exists():
        return reference(integrity.verified(fetched).content, fetched)
    commit = git.asked("rev-parse", "--verify", "--quiet", f"refs/tags/model@{version}^{{commit}}", root=root)
    return _registered(commit, root) if commit else None


def _registered(commit: str, root: Path) -> Reference | None:
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        files = DVCFileSystem(url=str(root.resolve()), rev=commit)
        return reference(lambda name: files.read_bytes(f"{layout.MODEL.as_posix()}/{name}"), layout.MODEL)
    except (DvcException, OSError):
        return None


def reference(read: Read, folder: Path) -> Reference:
    """Raises `InputError` where a file is not what `gitloop package` writes."""
    signed = signature.parse(folder / signature.FILE, json.loads(read(signature.FILE)))
    try:
        rows = pq.read_table(pa.BufferReader(read(REFERENCE)))
    except pa.ArrowInvalid as error:
        raise InputError(f"{folder / REFERENCE}: is not a Parquet file; {integrity.MEND}") from error
    lineage = json.loads(read(LINEAGE))
    return Reference(signed, rows, json.loads(read(METRICS)), lineage["data"].get("trained_until"))
