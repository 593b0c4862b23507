"""Lines of a prediction log, for tests."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gitloop.settings import Log

START = datetime(2026, 11, 21, 7, 30, tzinfo=UTC)


def log(folder: Path, **values: Any) -> Log:
    return Log.model_validate({"folder": str(folder), **values})


def prediction(number: int, **changes: Any) -> dict[str, Any]:
    """The record of a prediction, one a second."""
    return {
        "id": f"{number:032x}",
        "time": (START + timedelta(seconds=number)).isoformat(),
        "version": "0123456789ab",
        "inputs": {"age": float(number), "town": "Ávila"},
        "prediction": number % 2 == 0,
        "probability": 0.25,
        "latency_ms": 0.5,
        **changes,
    }


def truth(number: int, value: Any, after: int = 60) -> dict[str, Any]:
    time = START + timedelta(seconds=number + after)
    return {"id": f"{number:032x}", "time": time.isoformat(), "truth": value}


def put(folder: Path, name: str, *lines: Any, hour: str = "2026-11-21T07", of: str = "here-1") -> Path:
    """A file of the log; what is not bytes becomes a line of JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hour}-{of}.jsonl"
    with path.open("ab") as file:
        for line in lines:
            file.write(line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() + b"\n")
    return path


def lines(folder: Path, name: str = "predictions", killed: bool = False) -> list[dict[str, Any]]:
    """All of a log; each line must be whole, but for the last of a process that was killed."""
    found = []
    for path in sorted(folder.glob(f"{name}-*.jsonl")):
        *whole, last = path.read_bytes().split(b"\n")
        assert killed or not last
        found += [json.loads(line) for line in whole if line]
    return found
