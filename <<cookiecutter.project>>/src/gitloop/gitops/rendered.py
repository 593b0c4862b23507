"""The targets that pull: what is rendered goes to branch env/NAME, and whoever follows it brings it about.

Whether the version answers there, the readiness probes in what is rendered say: it gets no request before.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml

from gitloop import git, layout, settings
from gitloop.errors import InputError
from gitloop.gitops import branches, compose, fetch, kubernetes
from gitloop.gitops.environment import Environment
from gitloop.gitops.manifests import Destination, Release
from gitloop.gitops.registry import Registry, Version
from gitloop.gitops.stages import Delivered
from gitloop.serving import contents

RENDER = {"kubernetes": kubernetes.render, "compose": compose.render}


def deliver(name: str, wanted: Environment, found: Registry, version: Version | None, public: bool) -> Delivered:
    """Have the branch say that the version, or none, runs.

    Raises `Refused` where the model is not the one that was registered.
    """
    if version:
        with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
            fetch.brought(version, Path(folder) / layout.MODEL)
    to = Destination(contents.name(settings.load()), name, branches.repository())
    image: str = getattr(wanted, wanted.target).image
    now = _release(version, image) if version else None
    before = found.before(name, version.commit if version else None)
    files = RENDER[wanted.target](to, wanted, now, _release(before, image) if before else None)
    made = branches.deliver(name, files, f"{name}: {version.name if version else 'none'}", public)
    return Delivered(made is not None)


def _release(version: Version, image: str) -> Release:
    content = git.content(version.commit, layout.PARAMS)
    if content is None:
        raise InputError(f"{version.name}: has no {layout.PARAMS}; register a version whose commit holds it")
    params: dict[str, Any] = yaml.safe_load(content)
    return Release.of(version.name, image, params)
