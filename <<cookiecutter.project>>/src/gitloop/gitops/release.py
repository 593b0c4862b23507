"""Release the model of main: its Bento, then its version, then what keeps both where caches do not."""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from gitloop import git, layout, settings, ui
from gitloop.errors import InputError
from gitloop.gitops import actions, assets, environment, fetch, forge, images, register, registry, storage, verify
from gitloop.gitops.registry import Registry, Version
from gitloop.serving import build, contents


def run(arguments: argparse.Namespace) -> None:
    """`gitloop release [--bump PART] [--push]`. May be repeated: where all is done, nothing changes.

    Raises `Refused` where the model may not be released, or is not the one that dvc.lock names.
    """
    if git.content("HEAD", layout.SELECTED) is None or (register.pending() and build.stale()):
        ui.say(
            f"nothing to release: {layout.DVC_LOCK} is not in step with its inputs; the run of train.yml sees to that"
        )
        _output(registry.read(), released=False)
        return
    made = register.register(lambda: arguments.bump or _labelled(), public=arguments.push, before=build_version)
    if made and arguments.push and storage.kind(Path()) == storage.HERE:
        _keep(made)
    _output(registry.read(), released=made is not None)


def _labelled() -> str | None:
    """What the labels of the pull requests that were merged since the newest version ask for, `version:major` most."""
    newest = registry.read().newest()
    try:
        here = forge.here()
    except InputError:  # there is none, so nobody labelled anything
        return None
    for part in ("major", "minor", "patch"):
        for pull in here.pulls(base=git.MAIN, label=f"version:{part}", state="all"):
            if (
                pull.merged
                and git.holds("HEAD", pull.merged)
                and not (newest and git.holds(newest.commit, pull.merged))
            ):
                ui.say(f"pull request {pull.number} asks for a {part} version")
                return part
    return None


def build_version(version: Version) -> None:
    """The Bento of a version, of the very model that its commit locks."""
    if not layout.MODEL.exists():
        fetch.brought(version, layout.MODEL)
    verify.model(version, layout.MODEL)
    build.run(argparse.Namespace(version=version.name))


def _keep(version: Version) -> None:
    """Without a remote the model is in caches that do not last: a release at the forge keeps it, and the Bento."""
    name = f"{contents.name(settings.load())}-{version.name}"
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        archive = Path(folder) / assets.named(version.name)
        assets.pack(layout.MODEL, archive)
        files = [archive, layout.DIST / f"{name}.bento", layout.DIST / f"{name}.cdx.json"]
        says = (git.content(version.commit, layout.CARD) or b"").decode("utf-8", errors="replace")
        url = forge.here().publish(version.tag, version.name, says, files)
    ui.say(f"{version.name} is kept{f': {url}' if url else ' at origin'}")


def _output(found: Registry, *, released: bool) -> None:
    """For the workflow: the newest version, the environments that follow it and do not run it yet, missing images."""
    newest = found.newest()
    behind = [
        name
        for name in environment.names()
        if newest and environment.read(name).version == environment.NEWEST and found.runs(name) != newest
    ]
    if behind and newest:
        ui.say(f"Next: {' and '.join(f'`gitloop deploy {name}`' for name in behind)} to run {newest.name} there")
    actions.output(
        version=newest.name if newest else "",
        released=str(released).lower(),
        names=json.dumps(behind),
        images=",".join(images.wanted(found)),
    )
