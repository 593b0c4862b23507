"""What the page shows, as values: versions, where they ran, windows, decisions. Times are UTC, as Git has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from gitloop.modeling.verdicts import Verdict
from gitloop.monitoring.decide import Decision
from gitloop.monitoring.findings import Part, Result

MOST = 260  # windows: five years of weeks
Move = Literal["deployed", "promoted", "rolled back", "deployed again", "taken down"]


class Value(NamedTuple):
    """A metric, and its interval where it is known."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Release:
    """A version."""

    name: str
    when: str
    commit: str
    subject: str = ""  # of the commit
    author: str = ""
    trained: str = ""  # the window of its data
    model: str | None = None
    metric: str | None = None
    test: Value | None = None  # on the test slice
    card: str = ""  # Markdown; empty where it is not shown

    @property
    def number(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.name.removeprefix("v").split("."))


@dataclass(frozen=True)
class Stay:
    """A version in an environment, from when to when."""

    version: str | None  # None: nothing runs
    move: Move
    since: str
    until: str | None  # None: still
    was: str | None = None  # the version before
    says: str = ""  # what was recorded with it


@dataclass(frozen=True)
class Lane:
    """An environment."""

    name: str
    wanted: str | None = None  # what its file on main says
    stays: tuple[Stay, ...] = ()  # oldest first

    @property
    def now(self) -> Stay | None:
        return self.stays[-1] if self.stays else None


@dataclass(frozen=True)
class Proposal:
    """An open pull request of the repository's own."""

    number: int
    title: str
    labels: tuple[str, ...]
    url: str = ""


@dataclass(frozen=True)
class Page:
    """One of Evidently's reports, copied beside the page."""

    until: str
    version: str
    path: str  # relative to the page


@dataclass(frozen=True)
class Site:
    """All that the page shows."""

    name: str
    description: str = ""
    owner: str = ""
    contact: str = ""
    commit: str = ""  # of main
    when: str = ""
    address: str = ""  # of the repository, for a browser
    metric: str | None = None
    greater: bool = True  # is better
    floor: float | None = None  # of the live metric
    releases: tuple[Release, ...] = ()  # oldest first
    lanes: tuple[Lane, ...] = ()
    windows: tuple[Result, ...] = ()  # oldest first
    older: int = 0  # windows that are not shown
    decisions: Mapping[str, Decision] = field(default_factory=dict)  # by the end of the window
    evaluation: Mapping[str, Any] | None = None  # of main
    fairness_bounds: Mapping[str, float] = field(default_factory=dict)
    verdicts: tuple[Verdict, ...] = ()
    pages: tuple[Page, ...] = ()
    proposals: tuple[Proposal, ...] | None = None  # None: not known
    notes: tuple[str, ...] = ()  # what could not be read, and why

    def release(self, name: str | None) -> Release | None:
        return next((one for one in self.releases if one.name == name), None)

    def live(self, result: Result) -> Value | None:
        """The headline metric of a window, of the version that made most of its predictions."""
        return value_of(part_of(result), self.metric)

    def tested(self, result: Result) -> float | None:
        """The same metric of that version on its test slice."""
        part = part_of(result)
        known = part.truth.metrics.get(self.metric or "", {}).get("test") if part and part.truth else None
        if known is not None:
            return known
        release = self.release(result.version)
        return release.test.value if release and release.test and release.metric == self.metric else None


def stays(records: Iterable[tuple[str, str | None, str]]) -> tuple[Stay, ...]:
    """From what was recorded of an environment, oldest first: time, version (None: nothing), words."""
    found: list[Stay] = []
    for when, version, says in records:
        was = found[-1].version if found else None
        if found:
            found[-1] = Stay(**{**vars(found[-1]), "until": when})
        before = was or next((one.version for one in reversed(found) if one.version), None)
        found.append(Stay(version, _move(version, before), when, None, was, says))
    return tuple(found)


def _move(version: str | None, before: str | None) -> Move:
    if version is None:
        return "taken down"
    if before is None:
        return "deployed"
    order = _order(version), _order(before)
    return "deployed again" if order[0] == order[1] else "promoted" if order[0] > order[1] else "rolled back"


def _order(version: str) -> tuple[int, ...]:
    parts = version.removeprefix("v").split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def part_of(result: Result) -> Part | None:
    """The version that made most of a window's predictions."""
    return result.versions.get(result.version or "")


def value_of(part: Part | None, metric: str | None) -> Value | None:
    found = part.truth.metrics.get(metric or "") if part and part.truth else None
    if not found or (value := found.get("value")) is None:
        return None
    return Value(value, found.get("low"), found.get("high"))


def drifted(result: Result) -> tuple[int, int]:
    """Columns that drifted, of those that were compared."""
    part = part_of(result)
    columns = part.columns if part else {}
    return sum(one.drifted for one in columns.values()), len(columns)


def share(result: Result) -> float | None:
    """Of the columns that were compared those that drifted; None where none was."""
    some, all_ = drifted(result)
    return some / all_ if all_ else None


def shown(windows: Sequence[Result]) -> tuple[tuple[Result, ...], int]:
    """The newest windows, oldest first, and how many are left out."""
    known = sorted(windows, key=lambda one: (one.until, one.since))
    return tuple(known[-MOST:]), max(len(known) - MOST, 0)


def changes(windows: Sequence[Result]) -> list[tuple[Result, str]]:
    """The windows from which on another version makes the predictions, and that version."""
    found: list[tuple[Result, str]] = []
    for one in windows:
        if one.version is not None and (not found or found[-1][1] != one.version):
            found.append((one, one.version))
    return found
