"""The service of a version on this machine: its folder, its start, its trial, and what the front reads of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gitloop import git, layout, settings
from gitloop.errors import GitloopError, InputError
from gitloop.files import whole_folder, write_json
from gitloop.gitops import fetch, front, processes, registry, smoke, verify
from gitloop.gitops.front import State
from gitloop.gitops.place import Failed, Place, start
from gitloop.gitops.registry import Version
from gitloop.serving.origin import Origin

PARTS = ("src", layout.CONF.as_posix(), layout.PARAMS.as_posix())


@contextmanager
def started(place: Place, version: Version, latency_ms: float | None) -> Iterator[tuple[str, str]]:
    """The version's service, verified and tried: where it answers, and how it did. It ends where the block fails."""
    folder = prepared(place, version)
    upstream = start(place, folder)
    try:
        package = verify.model(version, folder / layout.MODEL)
        found = smoke.tried(upstream, package, version.name, token(folder), latency_ms)
        if found.problems:
            raise Failed(found.problems, processes.last(place.log(upstream), 40))
        yield upstream, found.says
    except BaseException:
        processes.stop(place.mark(upstream))
        raise


def restore(place: Place) -> None:
    """Start what ran before again where it does not run, as after the machine was started anew."""
    before = front.read(place.folder)
    if before.upstream is None or before.version is None or processes.alive(place.mark(before.upstream)):
        return
    with suppress(GitloopError, OSError):  # then nothing runs, and the front says so
        write(place, before._replace(upstream=start(place, place.folder / before.version)))


def laid(version: Version, folder: Path, before: Path | None = None) -> None:
    """Put the code, the configuration and the model of a version into a folder, which then is a repository's root.

    `before` may hold the model already. Raises `InputError` where its commit lacks a part.
    """
    for part in PARTS:
        if not git.extracted(version.commit, part, folder):
            raise InputError(f"{version.name}: has no {part}; register a version whose commit holds it")
    fetch.brought(version, folder / layout.MODEL, before=before)
    write_json(folder / layout.ORIGIN, Origin(commit=version.commit, version=version.name).model_dump())


def prepared(place: Place, version: Version) -> Path:
    """The folder of the version, written anew from Git; its model, where it verifies, is kept from before."""
    folder = place.folder / version.name
    with whole_folder(folder) as temporary:
        laid(version, temporary, before=folder / layout.MODEL)
        for lock in layout.SERVING_LOCKS.values():
            git.extracted(version.commit, lock.as_posix(), temporary)
        log = ((params(temporary).get("serving") or {}).get("log") or {}).get("folder")
        if log and not Path(log).is_absolute():
            (place.folder / log).mkdir(parents=True, exist_ok=True)
            (temporary / log).parent.mkdir(parents=True, exist_ok=True)
            (temporary / log).symlink_to(place.folder / log)
    return folder


def forget(place: Place, kept: set[str | None]) -> None:
    """Remove the folders of versions that neither run nor ran before."""
    for path in place.folder.glob("v*"):
        if path.name not in kept and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def write(place: Place, state: State) -> None:
    write_json(place.folder / front.STATE, state.raw())


def params(folder: Path) -> dict[str, Any]:
    """Those of the version in a folder."""
    return registry.mapping((folder / layout.PARAMS).read_bytes(), folder.name)


def token(folder: Path) -> str | None:
    variable = (params(folder).get("serving") or {}).get("token_env")
    return settings.secret(variable, "conf/serving/: token_env")
