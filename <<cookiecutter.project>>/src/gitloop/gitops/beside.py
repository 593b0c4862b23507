"""A canary on this machine: a version beside the one that runs, with a share of its requests while it does well."""

from __future__ import annotations

import time

from gitloop.errors import GitloopError
from gitloop.gitops import front, processes, services, smoke
from gitloop.gitops.canary import Canary
from gitloop.gitops.environment import Environment
from gitloop.gitops.front import State
from gitloop.gitops.place import Failed, Place, end, told
from gitloop.gitops.registry import Version
from gitloop.gitops.stages import Delivered

LOOKS = 0.2  # seconds between


def deliver(place: Place, version: Version, wanted: Environment, moved: bool) -> Delivered:
    """Have the version beside the one that runs, with its share of the requests. May be repeated.

    Looks on until it had `watch.requests`, or `watch.seconds` have passed; the front looks on for ever. Raises `Failed`
    where it was stopped, now or since the last deploy, or on the same terms before.
    """
    services.restore(place)
    state = front.read(place.folder)
    watch = wanted.watch
    canary = Canary(version.name, version.commit, wanted.canary or 0, watch.errors, watch.requests)
    if state.refused and state.refused[0].same(canary) and state.canary is None:
        raise Failed([f"{state.refused[1]}; change what is wrong, or `canary` or `watch` to try it again"], [])
    there = state.canary
    if there and canary.same(there) and (front.stopped(place.folder, there) or _answers(place, there)):
        canary, changed = there, moved
    else:
        canary, changed = _start(place, state, canary, version, wanted.smoke.latency_ms), True
    state = front.read(place.folder)
    if not canary.says:
        canary, changed = canary._replace(says=_looked(place, canary, watch.seconds)), True
        services.write(place, state._replace(canary=canary))
    if why := front.stopped(place.folder, canary):
        _stop(place, state, canary, why)
    return Delivered(changed, canary.says)


def _start(place: Place, before: State, canary: Canary, version: Version, latency_ms: float | None) -> Canary:
    with services.started(place, version, latency_ms) as (upstream, _):
        (place.folder / front.STOPPED).unlink(missing_ok=True)  # of a canary before, maybe at the same port
        canary = canary._replace(upstream=upstream)
        services.write(place, before._replace(canary=canary, refused=None))
    if before.canary:
        end(place, before.canary.upstream)
    services.forget(place, {version.name, before.version})
    return canary


def _looked(place: Place, canary: Canary, seconds: float) -> str:
    """How it did."""
    until, asked, failed = time.monotonic() + seconds, 0, 0
    while True:
        said = (told(place) or {}).get("canary") or {}
        if said.get("upstream") == canary.upstream:
            asked, failed = said["asked"], said["failed"]
        if asked >= canary.requests or time.monotonic() > until or front.stopped(place.folder, canary):
            return f"canary with {canary.percent} percent of the requests: {failed} of {asked} failed"
        time.sleep(LOOKS)


def _stop(place: Place, state: State, canary: Canary, why: str) -> None:
    """It has no requests any more; now it ends, and what was there with it is on record."""
    said = processes.last(place.log(canary.upstream), 40)
    services.write(place, state._replace(canary=None, refused=(canary, why)))
    end(place, canary.upstream)
    raise Failed([f"{why}, so {state.version} has all of them again"], said, serves=state.version)


def _answers(place: Place, canary: Canary) -> bool:
    try:
        return smoke.runs(canary.upstream, canary.version, services.token(place.folder / canary.version))
    except (GitloopError, OSError):
        return False
