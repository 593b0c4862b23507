"""The model of a version, as it was registered."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from gitloop import layout, ui
from gitloop.errors import InputError
from gitloop.files import whole_folder
from gitloop.gitops import registry
from gitloop.gitops.registry import Version
from gitloop.serving import integrity


def run(arguments: argparse.Namespace) -> None:
    """`gitloop fetch VERSION [--to FOLDER]`. Raises `InputError` where the version or its data are not there."""
    version = registry.read().named(arguments.version)
    target = Path(arguments.to or f"model-{version.name}")
    fetch(version, target)
    ui.say(f"{version.name} is in {target}, every file as its manifest records it")


def fetch(version: Version, target: Path) -> None:
    """Put the model of a version into a folder, verified. Raises `InputError` where its data are not to be had."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException

    if target.exists() and (not target.is_dir() or not (target / integrity.MANIFEST).exists()):
        raise InputError(f"{target}: is there and holds no model; name another with --to")
    with whole_folder(target) as temporary:
        try:
            DVCFileSystem(rev=version.commit).get(layout.MODEL.as_posix(), str(temporary / "model"), recursive=True)
        except (DvcException, OSError) as error:
            raise InputError(
                f"{version.name}: its model is in no cache and no remote that this clone knows; run `git checkout "
                f"{version.tag} && dvc repro` to make it again"
            ) from error
        for path in (temporary / "model").iterdir():
            shutil.move(path, temporary / path.name)
        (temporary / "model").rmdir()
        integrity.verified(temporary)
