"""The model of a version, as it was registered."""

from __future__ import annotations

import argparse
import shutil
from contextlib import suppress
from pathlib import Path

from gitloop import layout, ui
from gitloop.errors import InputError, Refused
from gitloop.files import whole_folder
from gitloop.gitops import assets, forge, registry, verify
from gitloop.gitops.registry import Version
from gitloop.serving import integrity


def run(arguments: argparse.Namespace) -> None:
    """`gitloop fetch VERSION [--to FOLDER]`. Raises `InputError` where the version or its data are not there."""
    version = registry.read().named(arguments.version)
    target = Path(arguments.to or f"model-{version.name}")
    fetch(version, target)
    ui.say(f"{version.name} is in {target}, every file as its manifest records it")


def fetch(version: Version, target: Path) -> None:
    """Put the model of a version into a folder, verified: from DVC's cache or remote, else from its release.

    Raises `InputError` where it is in none, or is not as packaged, `Refused` where it is not what its commit locks.
    """
    if target.exists() and (not target.is_dir() or not (target / integrity.MANIFEST).exists()):
        raise InputError(f"{target}: is there and holds no model; name another with --to")
    with whole_folder(target) as temporary:
        if _from_dvc(version, temporary):
            integrity.verified(temporary)
        else:
            _from_release(version, temporary)
        verify.model(version, temporary)


def brought(version: Version, target: Path, before: Path | None = None) -> None:
    """Put the version's model into a folder: from `before` where it is there, else from DVC's cache or remote.

    Raises `Refused` where it is in neither, or does not verify.
    """
    if before is not None:
        with suppress(Refused):
            verify.model(version, before)
            verify.provenance(version, before)
            shutil.copytree(before, target)
            return
    try:
        fetch(version, target)
    except InputError as error:
        raise Refused(f"{version.name}: is not deployed\n{error}") from error
    verify.provenance(version, target)


def _from_dvc(version: Version, folder: Path) -> bool:
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc_data.index import DataIndexError  # what an empty cache raises

    try:
        DVCFileSystem(rev=version.commit).get(layout.MODEL.as_posix(), str(folder / "model"), recursive=True)
    except (DvcException, DataIndexError, OSError):
        shutil.rmtree(folder / "model", ignore_errors=True)
        return False
    for path in (folder / "model").iterdir():
        shutil.move(path, folder / path.name)
    (folder / "model").rmdir()
    return True


def _from_release(version: Version, folder: Path) -> None:
    name = assets.named(version.name)
    archive = folder / name
    try:
        here = forge.here()
    except InputError as error:
        raise _nowhere(version, f"its release cannot be asked for {name} ({error})") from error
    if not here.asset(version.tag, name, archive):
        raise _nowhere(version, f"no release of {version.tag} has {name}")
    try:
        assets.unpack(archive, folder)
        archive.unlink()
        integrity.verified(folder)
    except InputError as error:
        raise InputError(
            f"{version.name}: {name} of its release is not the model that was registered; {_again(version)}\n{error}"
        ) from error


def _nowhere(version: Version, why: str) -> InputError:
    return InputError(
        f"{version.name}: its model is in no cache and no remote that this clone knows, and {why}; {_again(version)}"
    )


def _again(version: Version) -> str:
    return f"run `git checkout {version.tag} && dvc repro` to make it again"
