"""Where the model that is served comes from: what a DVC stage cannot know of the state of the world."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pydantic import ValidationError

from gitloop import git, layout
from gitloop.contract import Frozen
from gitloop.errors import InputError
from gitloop.files import read_json


class Origin(Frozen):
    """None is what is not known: no Git, no commit, no dvc.lock."""

    commit: str | None = None
    dirty: bool | None = None  # whether tracked files differed from the commit
    dvc_lock_sha256: str | None = None
    version: str | None = None  # the version's name, where one was given


def origin(root: Path = Path()) -> Origin:
    """What was baked into a Bento (origin.json) or, in a repository, what Git says.

    Raises `InputError` where origin.json is broken.
    """
    path = root / layout.ORIGIN
    if path.exists():
        try:
            return Origin.model_validate(read_json(path, "gitloop build"))
        except ValidationError as error:
            raise InputError(f"{path}: is not what `gitloop build` writes; build again") from error
    commit = git.asked("rev-parse", "HEAD", root=root)
    changed = git.asked("status", "--porcelain", "--untracked-files=no", root=root)
    lock = root / layout.DVC_LOCK
    return Origin(
        commit=commit or None,
        dirty=bool(changed) if commit and changed is not None else None,
        dvc_lock_sha256=hashlib.sha256(lock.read_bytes()).hexdigest() if lock.is_file() else None,
    )
