"""What is found in a window of the prediction log, as it is kept: small, without any row's value, the same every time.

One file for each window. Fields may be added to it, never taken away: the history is read for years.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from gitloop import layout
from gitloop.errors import InputError
from gitloop.files import write_json
from gitloop.modeling.metrics import rounded

Kind = Literal[
    # The model: the world has changed, or it has become worse.
    "drift",
    "prediction drift",
    "target drift",
    "performance",
    "floor",
    "calibration",
    "slice",
    "fairness",
    # The rows: somebody should look.
    "empty",
    "gone",
    "constant",
    "type",
    "missing",
    "unseen",
    "contract",
    "volume",
    "stale",
    # The service and its log.
    "failed",
    "refused",
    "latency",
    "errors",
    "clock",
    "repeated",
    "unknown",
    "contradicted",
    "broken",
    "reference",
]
Differences = dict[str, dict[str, dict[str, float | None]]]  # column → rate → value, low, high
Status = Literal["judged", "not enough data", "empty"]
FORM = "%Y-%m-%dT%H%M"  # of a window's end, in the names of files


@dataclass(frozen=True)
class Finding:
    """One rule that does not hold."""

    kind: Kind
    words: str  # one line: what, which rule, the numbers
    column: str | None = None
    value: float | None = None
    bound: float | None = None
    rows: int | None = None  # that `value` was computed from
    version: str | None = None  # of the model; None: of the whole window
    slice: str | None = None  # the part of the column


@dataclass(frozen=True)
class Distance:
    """How far a column is from the reference of the version."""

    distance: float
    bound: float
    p: float  # the chance of as much without any drift
    drifted: bool
    rows: int  # values in the window
    method: str


@dataclass(frozen=True)
class Truth:
    """How much of the truth has come, and how good the model was where it has."""

    rows: int  # with truth
    coverage: float  # their share
    delay_hours: float | None  # the median from prediction to truth
    slowest_hours: float | None  # 9 of 10 come sooner
    metrics: dict[str, dict[str, float | None]] = field(default_factory=dict)  # name → value, low, high, test
    calibration: float | None = None  # error
    why: str = ""  # why it is not judged


@dataclass(frozen=True)
class Part:
    """The predictions of one version."""

    rows: int
    status: Status
    trained_until: str | None = None
    columns: dict[str, Distance] = field(default_factory=dict)
    missing: dict[str, float] = field(default_factory=dict)  # column → share of nulls
    prediction: Distance | None = None
    truth: Truth | None = None
    fairness: dict[str, dict[str, float | None]] = field(default_factory=dict)  # column → rate → largest difference
    left_out: dict[str, str] = field(default_factory=dict)  # column → why it is not on Evidently's page
    groups: Differences = field(default_factory=dict)  # `fairness` with its intervals


@dataclass(frozen=True)
class Result:
    """All that is kept of a window."""

    since: str  # naive UTC, ISO 8601
    until: str
    status: Status
    rows: int  # about, where `share` is below 1
    share: float  # of the predictions that were looked at, drawn by their ids
    error: float  # of a share that is told of them: half the width of its 95 % interval, at most
    versions: dict[str, Part]
    findings: tuple[Finding, ...]
    latency_ms: dict[str, float] = field(default_factory=dict)  # p50, p95, p99
    requests: dict[str, int] = field(default_factory=dict)  # count, and of those refused and failed; empty: not counted

    @property
    def start(self) -> datetime:
        return datetime.fromisoformat(self.since)

    @property
    def end(self) -> datetime:
        return datetime.fromisoformat(self.until)

    @property
    def version(self) -> str | None:
        """The one that made most of the predictions."""
        return max(self.versions, key=lambda name: (self.versions[name].rows, name), default=None)


_RESULT = TypeAdapter(Result)


def named(time: datetime) -> str:
    """A time in the name of a file."""
    return (time if time.tzinfo is None else time.astimezone(UTC)).strftime(FORM)


def place(result: Result, folder: Path = layout.MONITORING) -> Path:
    return folder / f"{named(result.end)}.json"


def content(result: Result) -> dict[str, Any]:
    """What is written: numbers at six digits, what is no number as null."""
    kept: dict[str, Any] = rounded(asdict(result))
    return kept


def write(result: Result, folder: Path = layout.MONITORING) -> Path:
    path = place(result, folder)
    write_json(path, content(result))
    return path


def parse(text: str | bytes, where: str) -> Result:
    """Raises `InputError` where it is not what `gitloop monitor` writes."""
    try:
        return _RESULT.validate_json(text)
    except ValidationError as error:
        raise InputError(f"{where}: is not what `gitloop monitor` writes; delete it and run that again") from error


def history(folder: Path = layout.MONITORING) -> list[Result]:
    """Every window that was looked at, oldest first. Raises `InputError` where a file is broken."""
    return sorted(_results(folder), key=lambda one: (one.until, one.since))


def _results(folder: Path) -> Iterator[Result]:
    for path in sorted(folder.glob("*.json")):
        try:
            yield parse(path.read_bytes(), str(path))
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); mend its permissions") from error
