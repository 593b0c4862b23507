"""Where the image of a version is recorded: the tag `image/v1.2.0`, at the version's commit, says its digest.

A tag of a registry of images may be moved, a digest may not: what is deployed is asked for by its digest.
"""

from __future__ import annotations

import argparse
import re

from gitloop import git, ui
from gitloop.errors import InputError, Refused
from gitloop.gitops import actions, environment, origin, registry
from gitloop.gitops.environment import Environment
from gitloop.gitops.registry import Registry, Version

DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
GITHUB = "ghcr.io/"  # the registry that release.yml pushes to


def tag(version: Version) -> str:
    return f"image/{version.name}"


def digest(version: Version) -> str | None:
    """As it was recorded; None where none was. Raises `Refused` where the tag is not what `gitloop pushed` makes."""
    form = "--format=%(objecttype)%09%(*objectname)%09%(contents:subject)"
    said = git.git("for-each-ref", form, f"refs/tags/{tag(version)}")
    if not said:
        return None
    kind, commit, message = said.split("\t", 2)
    found = DIGEST.search(message)
    if kind != "tag" or commit != version.commit or found is None:
        raise Refused(
            f"{tag(version)}: is not as `gitloop pushed` made it (at {version.commit[:10]}, with a digest); put it back"
        )
    return found[0]


def needed(version: Version, target: str, public: bool) -> str:
    """The digest of the image that is to run. Raises `Refused` where none is recorded, or origin says another.

    `public`: origin must have the tag.
    """
    found = digest(version)
    if found is None:
        raise Refused(
            f"{version.name}: no image of it is recorded, and the target {target} runs one by its digest; run the "
            f"workflow Release (it pushes to {GITHUB[:-1]}), or push it and say "
            f"`gitloop pushed {version.name} sha256:… --push`"
        )
    if public and git.git("rev-parse", f"refs/tags/{tag(version)}") != (
        there := origin.has(f"refs/tags/{tag(version)}")
    ):
        is_there = f"is another tag at origin ({there[:10]})" if there else "is not at origin"
        raise Refused(f"{tag(version)}: {is_there}; run `git fetch --tags --force`, or `gitloop pushed` with --push")
    return found


def wanted(found: Registry) -> list[str]:
    """The images, with tag, that environments ask GitHub's registry for, and that the newest version lacks."""
    newest = found.newest()
    if newest is None or digest(newest) is not None:
        return []
    names = {_name(environment.read(name)) for name in environment.names()}
    return [f"{name}:{newest.name}" for name in sorted(names) if name.startswith(GITHUB)]


def _name(one: Environment) -> str:
    return str(getattr(getattr(one, one.target), "image", ""))


def run(arguments: argparse.Namespace) -> None:
    """`gitloop pushed VERSION DIGEST [--push]`. May be repeated. Raises `InputError` where another is recorded."""
    version = registry.read().named(arguments.version)
    if not DIGEST.fullmatch(arguments.digest):
        raise InputError(f"{arguments.digest}: is no digest; write it as the registry says it, sha256:… of 64 digits")
    before = digest(version)
    if before not in (None, arguments.digest):
        raise InputError(f"{version.name}: its image is {before} already; register a new version for another")
    if before is None:
        message = f"The image of {version.name} is {arguments.digest}"
        git.git(
            *("tag", "--annotate", tag(version), version.commit, "--message", message), environment=actions.identity()
        )
    if arguments.push and not origin.recorded(tag(version)) and digest(version) != arguments.digest:
        raise InputError(f"{version.name}: origin has another image of it, {digest(version)}; that one counts")
    ui.say(f"{version.name} has the image {arguments.digest}")
