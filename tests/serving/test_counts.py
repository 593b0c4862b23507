"""What a real service refuses is counted in its log, whoever refuses it, and the watcher finds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import customers
import httpx
from service import Packaged, serving

from gitloop import settings
from gitloop.monitoring import service, watched


def test_what_is_refused_is_counted_and_found(packaged: Packaged, row: dict[str, Any]) -> None:
    folder = packaged()
    begin = datetime.now(UTC).replace(tzinfo=None) - timedelta(minutes=1)
    with serving(folder) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        sent: list[tuple[str, Any, int]] = [
            *[("/predict", row, 200)] * 90,
            *[("/predict_batch", {"rows": [row] * 3}, 200)] * 5,
            *[("/predict", {**row, "age": None}, 400)] * 4,
            ("/predict", {**row, "age": "SECRET"}, 400),
            ("/predict", {**row, "SECRET": 1}, 400),
            ("/predict_batch", {"rows": [row, {**row, "town": 1.5}]}, 400),
            ("/predict", {"town": "x" * 2_000_000}, 413),
            ("/SECRET", row, 404),
        ]
        assert [client.post(path, json=body).status_code for path, body, _ in sent] == [status for *_, status in sent]
        assert server.end() == 0
        counted = {(one["endpoint"], one["status"], one["reason"]): 0 for one in server.lines("requests")}
        for one in server.lines("requests"):
            counted[one["endpoint"], one["status"], one["reason"]] += one["count"]
    assert counted[("predict", 200, "")] == 90
    assert counted[("predict_batch", 200, "")] == 5
    assert counted[("predict", 400, "age: is missing; give a value")] == 4
    assert counted[("predict", 400, "a field that is not in the contract")] == 1
    assert counted[("predict", 413, "is too long")] == 1
    assert sum(counted.values()) == len(sent) - 1
    assert not any("SECRET" in path.read_text() for path in (folder / "predictions").glob("requests-*"))
    with customers.inside(folder):
        found = _findings(begin)
    assert found == {"refused": "8 of 103 (7.77%) requests were refused, most with 400 age: is missing; give a value"}


def _findings(begin: datetime) -> dict[str, str]:
    loaded = settings.load()
    assert loaded.serving.log is not None
    end = datetime.now(UTC).replace(tzinfo=None) + timedelta(minutes=1)
    seen = watched.read(loaded.serving.log, loaded.data, begin, end, most=50_000, truth_days=30, now=end)
    bounds = loaded.monitoring.quality
    return {one.kind: one.words.partition("; the bound")[0] for one in service.findings(seen, bounds, 100)}
