"""The target `local`: an environment on this machine, as processes that outlive the deploy.

    .deploy/<environment>/
      state.json         which version runs, and where: what the front reads (see gitloop.gitops.front)
      v1.2.0/            code, configuration and model of a version, as they were registered
      services/41234/    the log of the service on that port
      predictions/       the prediction log, of whatever version

A version is started beside the one that runs, tried, and then given the requests; the other one finishes its own.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

from gitloop import git, layout, settings
from gitloop.errors import GitloopError, InputError
from gitloop.files import whole_folder, write_json
from gitloop.gitops import fetch, front, processes, smoke, verify
from gitloop.gitops.front import HOST, State
from gitloop.gitops.place import Failed, Place, end, see_to_front, start, stop_others
from gitloop.gitops.registry import Version
from gitloop.gitops.stages import Delivered
from gitloop.serving.origin import Origin

PARTS = ("src", layout.CONF.as_posix(), layout.PARAMS.as_posix())


def deliver(place: Place, version: Version | None, latency_ms: float | None) -> Delivered:
    """Have the version, or none, answer at the place.

    May be repeated after a kill at any point. Raises `Failed` where the version does not do what it should, and
    `Refused` where it is not what was registered; then, too, what ran before runs.
    """
    with _alone(place):
        state = front.read(place.folder)
        if version is None and state == State():
            return Delivered(False)  # nothing runs and nothing ever did: nobody calls
        stop_others(place, state)
        moved = see_to_front(place)
        if version is None:
            return Delivered(_retire(place, state) or moved)
        if _serves(place, state, version):
            return Delivered(moved, state.says)
        try:
            says = _swap(place, state, version, latency_ms)
        except GitloopError:
            _restore(place, state)
            raise
        return Delivered(True, says)


def stopped(place: Place) -> bool:
    """Stop the front and whatever runs behind it; whether anything ran."""
    with _alone(place):
        marks = [*processes.marks(place.fronts), *processes.marks(place.services)]
        for mark in marks:
            processes.stop(mark)
        return bool(marks)


def _swap(place: Place, before: State, version: Version, latency_ms: float | None) -> str:
    folder = prepared(place, version)
    upstream = start(place, folder)
    try:
        package = verify.model(version, folder / layout.MODEL)
        found = smoke.tried(upstream, package, version.name, _token(folder), latency_ms)
        if found.problems:
            raise Failed(found.problems, processes.last(place.log(upstream), 40))
        _write(place, State(version.name, version.commit, upstream, "", found.says))
    except BaseException:
        processes.stop(place.mark(upstream))
        raise
    end(place, before.upstream)
    _forget(place, {version.name, before.version})
    return found.says


def _retire(place: Place, before: State) -> bool:
    """Nothing runs any more, and callers are told so."""
    after = State(
        None, None, None, f"{place.name} runs no version: {layout.environment(place.name).as_posix()} says so"
    )
    if before == after:
        return False
    _write(place, after)
    end(place, before.upstream)
    return True


def _serves(place: Place, state: State, version: Version) -> bool:
    """Whether the version runs here already, from what was registered."""
    if state.upstream is None or (state.version, state.commit) != (version.name, version.commit):
        return False
    folder = place.folder / version.name
    try:
        verify.model(version, folder / layout.MODEL)
        return smoke.runs(f"http://{HOST}:{place.port}", version.name, _token(folder))
    except (GitloopError, OSError):
        return False


def _restore(place: Place, before: State) -> None:
    """Start what ran before again where it does not run, as after the machine was started anew."""
    if before.upstream is None or before.version is None or processes.alive(place.mark(before.upstream)):
        return
    with suppress(GitloopError, OSError):  # then nothing runs, and the front says so
        _write(place, before._replace(upstream=start(place, place.folder / before.version)))


def prepared(place: Place, version: Version) -> Path:
    """The folder of the version, written anew from Git; its model, where it verifies, is kept from before."""
    folder = place.folder / version.name
    with whole_folder(folder) as temporary:
        for part in PARTS:
            if not git.extracted(version.commit, part, temporary):
                raise InputError(f"{version.name}: has no {part}; register a version whose commit holds it")
        fetch.brought(version, temporary / layout.MODEL, before=folder / layout.MODEL)
        write_json(temporary / layout.ORIGIN, Origin(commit=version.commit, version=version.name).model_dump())
        log = ((_params(temporary).get("serving") or {}).get("log") or {}).get("folder")
        if log and not Path(log).is_absolute():
            (place.folder / log).mkdir(parents=True, exist_ok=True)
            (temporary / log).parent.mkdir(parents=True, exist_ok=True)
            (temporary / log).symlink_to(place.folder / log)
    return folder


def _forget(place: Place, kept: set[str | None]) -> None:
    """Remove the folders of versions that neither run nor ran before."""
    for path in place.folder.glob("v*"):
        if path.name not in kept and path.is_dir():
            shutil.rmtree(path, ignore_errors=True)


def _write(place: Place, state: State) -> None:
    write_json(place.folder / front.STATE, state._asdict())


@contextmanager
def _alone(place: Place) -> Iterator[None]:
    """One deploy at a time; the system gives the lock free when a process dies."""
    place.folder.mkdir(parents=True, exist_ok=True)
    with (place.folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _params(folder: Path) -> dict[str, Any]:
    """Those of a version: read as they are, for it may be of another gitloop's time."""
    found: dict[str, Any] = yaml.safe_load((folder / layout.PARAMS).read_text(encoding="utf-8"))
    return found


def _token(folder: Path) -> str | None:
    variable = (_params(folder).get("serving") or {}).get("token_env")
    return settings.secret(variable, "conf/serving/: token_env")
