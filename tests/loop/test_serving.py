"""One row, one answer: in the pipeline's test slice, in batch scoring, and from the service that is asked over HTTP."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest
from project import run

SINCE, UNTIL = "2013-01-10", "2013-01-11"  # inside the test slice
KEY = ("time_hour", "carrier", "flight")


@pytest.fixture(scope="module")
def served(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A project that was asked of a day, and what was shown of it."""
    project = tmp_path_factory.mktemp("served") / "project"
    shutil.copytree(trained, project, symlinks=True)
    done = run(project, "gitloop", "replay", "--since", SINCE, "--until", UNTIL, "--serve", "--feedback")
    return project, done.stdout


def logged(project: Path, name: str) -> list[dict[str, Any]]:
    files = sorted((project / "predictions").glob(f"{name}-*.jsonl"))
    return [json.loads(line) for file in files for line in file.read_text().splitlines()]


def test_replay_shows_latency_and_a_line_of_the_log(served: tuple[Path, str]) -> None:
    project, shown = served
    lines = logged(project, "predictions")
    assert len(lines) > 300
    assert f"{len(lines):,}" in shown
    assert "p99, ms" in shown
    told = json.loads(shown[shown.index('{"id"') :].splitlines()[0])
    assert told in lines
    assert {line["id"] for line in logged(project, "feedback")} == {line["id"] for line in lines}
    assert run(project, "git", "status", "--porcelain").stdout == ""  # the log is not a file of the repository


def test_the_service_says_what_the_pipeline_and_batch_scoring_say(served: tuple[Path, str]) -> None:
    project, _ = served
    run(project, "gitloop", "score", "--since", SINCE, "--until", UNTIL)
    asked = {
        (*(line["inputs"][name] for name in KEY),): (line["probability"], line["prediction"], line["version"])
        for line in logged(project, "predictions")
    }
    key = "strftime(time_hour, '%Y-%m-%dT%H:%M:%S'), carrier, flight"
    scores, slice = project / "scores/**/*.parquet", project / "data/predictions.parquet"
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT {key}, probability, prediction, version FROM '{scores}'").fetchall()
        scored = {row[:3]: row[3:] for row in rows}
        rows = connection.sql(f"SELECT {key}, predicted_score FROM '{slice}'").fetchall()
        tested = {row[:3]: row[3] for row in rows}
    assert asked.keys() == scored.keys()
    assert asked.keys() <= tested.keys()
    for row, (probability, prediction, version) in asked.items():
        assert scored[row][0] == pytest.approx(probability, abs=1e-6)
        assert scored[row][1:] == (prediction, version)
        assert tested[row] == pytest.approx(probability, abs=1e-5)


def test_replay_says_when_no_service_is_there(copied: Callable[..., Path]) -> None:
    done = run(copied(), "gitloop", "replay", "--url", "http://127.0.0.1:9", "--since", SINCE, check=False)
    assert done.returncode == 2
    assert "no service answers" in done.stderr
    assert "gitloop serve" in done.stderr


def test_replay_says_why_the_service_does_not_start(copied: Callable[..., Path]) -> None:
    project = copied()
    (project / "model/model.onnx").write_bytes(b"spoilt")
    done = run(project, "gitloop", "replay", "--serve", "--since", SINCE, "--until", UNTIL, check=False)
    assert done.returncode == 2
    assert "the service does not start: gitloop serve: model/model.onnx: is not the file" in done.stderr
