"""The target `local`: an environment on this machine, as processes that outlive the deploy.

    .deploy/.packages/   environments of what versions lock (see gitloop.gitops.packages)
    .deploy/<environment>/
      state.json         which version runs, and where: what the front reads (see gitloop.gitops.front)
      canary.json        why the front gives a canary no requests any more
      v1.2.0/            code, configuration and model of a version, as they were registered
      services/41234/    the log of the service on that port
      predictions/       the prediction log, of whatever version

A version is started beside the one that runs, tried, and then given the requests; the other one finishes its own.
"""

from __future__ import annotations

from gitloop import layout
from gitloop.errors import GitloopError
from gitloop.files import alone
from gitloop.gitops import beside, front, processes, services, smoke, verify
from gitloop.gitops.environment import Environment
from gitloop.gitops.front import HOST, State
from gitloop.gitops.place import Place, end, see_to_front, stop_others
from gitloop.gitops.registry import Version
from gitloop.gitops.stages import Delivered


def deliver(place: Place, version: Version | None, wanted: Environment) -> Delivered:
    """Have the version, or none, answer at the place; with `canary` beside the one that runs.

    May be repeated after a kill at any point. Raises `Failed` where the version does not do what it should, and
    `Refused` where it is not what was registered; then, too, what ran before runs.
    """
    with alone(place.folder / "lock"):
        state = front.read(place.folder)
        if version is None and state == State():
            return Delivered(False)  # nothing runs and nothing ever did: nobody calls
        stop_others(place, state)
        moved = see_to_front(place)
        if version is None:
            return Delivered(_retire(place, state) or moved)
        try:
            if wanted.canary and state.upstream and state.version != version.name:
                return beside.deliver(place, version, wanted, moved)
            if _serves(place, state, version):
                return Delivered(_whole(place, state) or moved, state.says)
            says = _swap(place, state, version, wanted.smoke.latency_ms)
        except GitloopError:
            services.restore(place)
            raise
        return Delivered(True, says)


def stopped(place: Place) -> bool:
    """Stop the front and whatever runs behind it; whether anything ran."""
    with alone(place.folder / "lock"):
        marks = [*processes.marks(place.fronts), *processes.marks(place.services)]
        for mark in marks:
            processes.stop(mark)
        return bool(marks)


def _swap(place: Place, before: State, version: Version, latency_ms: float | None) -> str:
    with services.started(place, version, latency_ms) as (upstream, says):
        services.write(place, State(version.name, version.commit, upstream, "", says))
    _end(place, before)
    services.forget(place, {version.name, before.version})
    return says


def _whole(place: Place, state: State) -> bool:
    """The version that runs has all requests again; whether a canary had some."""
    if state.canary is None:
        return False
    services.write(place, state._replace(canary=None))
    end(place, state.canary.upstream)
    return True


def _end(place: Place, state: State) -> None:
    end(place, state.upstream)
    if state.canary:
        end(place, state.canary.upstream)


def _retire(place: Place, before: State) -> bool:
    """Nothing runs any more, and callers are told so."""
    after = State(
        None, None, None, f"{place.name} runs no version: {layout.environment(place.name).as_posix()} says so"
    )
    if before == after:
        return False
    services.write(place, after)
    _end(place, before)
    return True


def _serves(place: Place, state: State, version: Version) -> bool:
    """Whether the version runs here already, from what was registered."""
    if state.upstream is None or (state.version, state.commit) != (version.name, version.commit):
        return False
    folder = place.folder / version.name
    try:
        verify.model(version, folder / layout.MODEL)
        return smoke.runs(f"http://{HOST}:{place.port}", version.name, services.token(folder))
    except (GitloopError, OSError):
        return False
