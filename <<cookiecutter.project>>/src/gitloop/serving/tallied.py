"""What became of the requests of a window, from the counts that services keep in the prediction log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gitloop.serving.journal import HOUR, parts
from gitloop.serving.tally import NAME
from gitloop.settings import Log


@dataclass(frozen=True)
class Requests:
    """What became of the requests of a window."""

    count: int = 0
    refused: int = 0  # 4xx
    failed: int = 0  # 5xx
    most_refused: str = ""  # status and reason of the most of them
    most_failed: str = ""


def read(log: Log, since: datetime, until: datetime) -> Requests:
    """Of the minutes with since <= minute < until (naive UTC). Raises `InputError` where the log cannot be read."""
    ids: set[str] = set()
    counts: Counter[tuple[int, str]] = Counter()
    for one in _from_database(log, since, until) if log.url or log.url_env else _from_files(log, since, until):
        try:
            at = datetime.fromisoformat(one["time"]).astimezone(UTC).replace(tzinfo=None)
            key, id, count = (int(one["status"]), str(one["reason"])), str(one["id"]), int(one["count"])
        except (ValueError, KeyError, TypeError):
            continue
        if since <= at < until and id not in ids:
            ids.add(id)
            counts[key] += count
    refused = Counter({key: count for key, count in counts.items() if 400 <= key[0] < 500})
    failed = Counter({key: count for key, count in counts.items() if key[0] >= 500})
    return Requests(counts.total(), refused.total(), failed.total(), _most(refused), _most(failed))


def _most(counts: Counter[tuple[int, str]]) -> str:
    if not counts:
        return ""
    status, reason = max(counts, key=lambda key: (counts[key], key))
    return f"{status} {reason}".strip()


def _from_files(log: Log, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    for part in parts(Path(log.folder)):
        hour = part.hour.replace(tzinfo=None)
        # A minute's line is written after it, in the next hour's file maybe.
        if part.name == NAME and since - HOUR <= hour <= until + HOUR:
            yield from _lines(part.path)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = path.read_bytes()
    except OSError:
        return
    for line in content.splitlines():
        try:
            found = json.loads(line)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _from_database(log: Log, since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    from gitloop.serving import database

    for minute, *rest in database.requests(log, since, until):
        fields = dict(zip(("id", "status", "reason", "count"), rest, strict=True))
        yield {"time": minute.replace(tzinfo=UTC).isoformat(), **fields}
