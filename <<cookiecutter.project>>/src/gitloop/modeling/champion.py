"""The champion: the model that was selected at a Git revision, as it was there."""

from __future__ import annotations

import importlib
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from gitloop import git, layout, settings
from gitloop.errors import InputError
from gitloop.files import locked
from gitloop.modeling import rivals
from gitloop.modeling.inputs import Derive, derivation
from gitloop.modeling.store import Model, load
from gitloop.settings import Settings
from gitloop.targets import packages


class Incomparable(Exception):
    """The champion cannot be brought to score today's rows, and no command would mend that."""


@dataclass(frozen=True)
class Champion:
    revision: str
    commit: str
    settings: Settings
    model: Model
    derive: Derive | None
    trained_on: str | None  # hash of its training table, from dvc.lock


def champion(revision: str) -> Champion:
    """The champion of a revision. Raises `InputError` where the revision or its model file is not there.

    Raises `Incomparable` where its settings or its model cannot be read by today's code and libraries.
    """
    found, chosen = rivals.chosen_at(revision)
    params = rivals.file(revision, found, layout.PARAMS)
    content = _model(revision, found, Path(chosen["path"]), chosen["sha256"])
    try:
        then = settings.parse(yaml.safe_load(params))
        model, derive = _loaded(content, then), _derivation(found, then)
    except InputError as error:
        raise Incomparable(f"{revision} cannot be read by today's code: {error}".replace("\n", "; ")) from error
    model = replace(model, threshold=then.data.threshold)
    return Champion(revision, found, then, model, derive, training_hash(git.content(found, layout.DVC_LOCK)))


def training_hash(lock: bytes | None) -> str | None:
    """The hash of the training table that a dvc.lock records."""
    return locked(lock, layout.TRAIN)


def _model(revision: str, commit: str, path: Path, expected: str) -> bytes:
    """Its model file: the one in the work tree where that is the same, else from DVC's cache or remote."""
    if path.is_file() and sha256(path.read_bytes()).hexdigest() == expected:
        return path.read_bytes()
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    try:
        content: bytes = DVCFileSystem(rev=commit).read_bytes(path.as_posix())
    except (DvcException, OSError) as error:
        raise InputError(
            f"{path} of {revision}: is neither in DVC's cache nor in a remote; run `dvc fetch --all-tags`, or "
            f"`git checkout {revision} && dvc repro` to train it again"
        ) from error
    if sha256(content).hexdigest() != expected:
        raise InputError(
            f"{path} of {revision}: is not the file that was chosen there (its sha256 differs); it is not loaded"
        )
    return content


def _loaded(content: bytes, then: Settings) -> Model:
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        copy = Path(folder) / "champion.skops"
        copy.write_bytes(content)
        return load(copy, packages=packages(then.model_dump()["candidate"]))


def _derivation(commit: str, then: Settings) -> Derive | None:
    """The function that derived the champion's features, in the code of its revision.

    A model is only itself with the features it was trained on: today's function may compute other values under the
    same names. The whole package is taken from the revision, so that what the function imports is of its time too.
    """
    with code(commit, then.features.derive):
        return derivation(then.features)


@contextmanager
def code(commit: str, derive: str | None) -> Iterator[Path]:
    """Have what derives the features imported as a commit has it; the folder that it is in, for more of that commit.

    What is gitloop's own, or is not in the commit, stays today's.
    """
    top = (derive or "").split(".")[0]
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        if not top or top == "gitloop" or not git.extracted(commit, f"src/{top}", Path(folder)):
            yield Path(folder)
            return
        with _importing(top, Path(folder) / "src"):
            yield Path(folder)


@contextmanager
def _importing(top: str, source: Path) -> Iterator[None]:
    """Let `top` and what is below it be imported from `source`, and leave today's modules as they were."""

    def taken() -> dict[str, Any]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.split(".")[0] == top}

    today = taken()
    sys.path.insert(0, str(source))
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(str(source))
        sys.dont_write_bytecode = bytecode
        taken()
        sys.modules.update(today)
        importlib.invalidate_caches()


def todays_training_hash() -> str | None:
    return training_hash(layout.DVC_LOCK.read_bytes()) if layout.DVC_LOCK.is_file() else None
