"""`gitloop unpack`: the Bento of a version as a folder, from which docker builds its image."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import bentoml

from gitloop import git, layout, settings, ui
from gitloop.errors import InputError, Refused
from gitloop.files import whole_folder
from gitloop.gitops import registry, release
from gitloop.serving import contents

DOCKERFILE = Path("env/docker/Dockerfile")  # in a Bento


def run(arguments: argparse.Namespace) -> None:
    """`gitloop unpack VERSION [--to FOLDER]`, on the version's commit. Builds the Bento where it is not built yet.

    Raises `InputError` or `Refused` where it cannot be built of what was registered.
    """
    version = registry.read().named(arguments.version)
    if git.commit("HEAD") != version.commit:
        raise Refused(
            f"{version.name}: is at another commit than this one; run `git switch --detach {version.tag}` first"
        )
    target = Path(arguments.to or layout.DIST / "image")
    if target.exists() and not (target / DOCKERFILE).exists():
        raise InputError(f"{target}: is there and holds no Bento; name another with --to")
    release.build_version(version)
    bento = bentoml.bentos.get(f"{contents.name(settings.load())}:{version.name}")
    with whole_folder(target) as temporary:
        shutil.copytree(bento.path, temporary, dirs_exist_ok=True)
    ui.say(f"{bento.tag} is in {target}")
    ui.say(f"Next: docker build --file {target / DOCKERFILE} {target}")
