"""The targets that pull: what is rendered goes to branch env/NAME, and whoever follows it brings it about.

Whether the version answers there, the readiness probes in what is rendered say: it gets no request before.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from gitloop import layout, settings
from gitloop.gitops import branches, compose, fetch, images, kubernetes, registry
from gitloop.gitops.environment import Environment
from gitloop.gitops.manifests import Destination, Release
from gitloop.gitops.registry import Registry, Version
from gitloop.gitops.stages import Delivered
from gitloop.serving import contents

RENDER = {"kubernetes": kubernetes.render, "compose": compose.render}


def deliver(name: str, wanted: Environment, found: Registry, version: Version | None, public: bool) -> Delivered:
    """Have the branch say that the version, or none, runs.

    Raises `Refused` where the model is not the one that was registered, or no image of it is recorded.
    """
    if version:
        with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
            fetch.brought(version, Path(folder) / layout.MODEL)
    to = Destination(contents.name(settings.load()), name, branches.repository())
    image: str = getattr(wanted, wanted.target).image
    now = _release(version, image, images.needed(version, wanted.target, public)) if version else None
    before = found.before(name, version.commit if version else None)
    rest = None
    if before:
        # Taking a service down is never refused: then the image of the version before is only what the notice runs in.
        runs = version and wanted.canary
        digest = images.needed(before, wanted.target, public) if runs else images.digest(before)
        rest = _release(before, image, digest)
    files = RENDER[wanted.target](to, wanted, now, rest)
    made = branches.deliver(name, files, f"{name}: {version.name if version else 'none'}", public)
    return Delivered(made is not None)


def _release(version: Version, image: str, digest: str | None) -> Release:
    return Release.of(version.name, image, registry.params(version.commit, version.name), digest)
