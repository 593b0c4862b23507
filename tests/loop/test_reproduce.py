"""`gitloop reproduce` in clones as a run finds them: with a remote, with a cache, with neither."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from project import edit, run

DATA = ("data/*.parquet", "models", "model", "logs", "reports/plots", "reports/profile.html")


def clone(project: Path, where: Path) -> Path:
    run(where.parent, "git", "clone", "--quiet", str(project), str(where))
    return where


def reproduced(project: Path, check: bool = True, **more: str) -> dict[str, Any]:
    run(project, "gitloop", "reproduce", check=check, **more)
    found: dict[str, Any] = json.loads((project / "reports/run.json").read_text())
    return found


def data(project: Path) -> list[str]:
    return sorted(path.relative_to(project).as_posix() for pattern in DATA for path in project.glob(pattern))


def change(project: Path) -> None:
    """One candidate's parameter, composed."""
    edit(project / "conf/candidate/forest.yaml", forest__classifier__n_estimators=11)
    run(project, "gitloop", "params")


def with_remote(project: Path, url: str, **options: str) -> None:
    run(project, "dvc", "remote", "add", "--default", "storage", url)
    for name, value in options.items():
        run(project, "dvc", "remote", "modify", "storage", name, value)
    run(project, "git", "commit", "--quiet", "--all", "--message", "remote")
    run(project, "dvc", "push", "--quiet")


CHANGED = ["train@forest", "select", "evaluate", "package"]


def test_nothing_changed_pulls_nothing(copied: Callable[[str], Path], tmp_path: Path) -> None:
    project = copied("project")
    with_remote(project, str(tmp_path / "store"))
    found = reproduced(fresh := clone(project, tmp_path / "fresh"))
    assert found["ran"] == []
    assert found["pulled_bytes"] == 0
    assert found["storage"] == "local"
    assert data(fresh) == []
    assert run(fresh, "git", "status", "--porcelain").stdout == ""
    # The gates need no data either: the model is the one of the commit before.
    run(fresh, "git", "commit", "--quiet", "--allow-empty", "--message", "words")
    done = run(fresh, "gitloop", "gate", check=False)
    assert "the model is that of main" in " ".join(done.stdout.split())
    assert "neither the model nor its tests changed" in " ".join(done.stdout.split())
    assert data(fresh) == []


def test_one_candidate_costs_itself_and_what_follows(copied: Callable[[str], Path], tmp_path: Path) -> None:
    project = copied("project")
    with_remote(project, str(tmp_path / "store"))
    fresh = clone(project, tmp_path / "fresh")
    change(fresh)
    found = reproduced(fresh)
    assert [stage for stage in found["ran"] if stage not in ("evaluate", "package")] == CHANGED[:2]
    assert set(found["ran"]) <= set(CHANGED)
    assert set(found["seconds"]) == set(found["ran"])
    kept = {path.relative_to(fresh).as_posix() for path in fresh.glob("data/*.parquet")}
    assert "data/raw.parquet" not in kept  # what no stage that ran reads
    whole = sum(path.stat().st_size for path in (tmp_path / "store").rglob("*") if path.is_file())
    assert 0 < found["pulled_bytes"] < whole
    run(fresh, "gitloop", "gate", check=False)
    compared = json.loads((fresh / "reports/comparison.json").read_text())["champion"]
    assert compared["champion"]["revision"] == "main"


def test_a_cache_that_was_restored_is_enough(copied: Callable[[str], Path], tmp_path: Path) -> None:
    project = copied("project")
    fresh = clone(project, tmp_path / "fresh")
    shutil.copytree(project / ".dvc/cache/files", fresh / ".dvc/cache/files")
    change(fresh)
    found = reproduced(fresh)
    assert found["storage"] == "cache"
    assert found["ran"][:2] == CHANGED[:2]
    assert found["pulled_bytes"] == 0


def test_with_neither_it_is_made_again_from_the_source(copied: Callable[[str], Path], tmp_path: Path) -> None:
    project = copied("project")
    fresh = clone(project, tmp_path / "fresh")
    change(fresh)
    found = reproduced(fresh)
    assert {"ingest", "validate", "split", *CHANGED[:2]} <= set(found["ran"])
    lock = [(where / "metrics/candidates/linear.json").read_bytes() for where in (project, fresh)]
    assert lock[0] == lock[1]


def test_a_fork_has_no_remote(copied: Callable[[str], Path], tmp_path: Path) -> None:
    """Without credentials the remote is not even asked."""
    project = copied("project")
    with_remote(project, str(tmp_path / "store"))
    shutil.rmtree(tmp_path / "store")
    fresh = clone(project, tmp_path / "fresh")
    found = reproduced(fresh, GITHUB_ACTIONS="true", GITHUB_EVENT_NAME="pull_request")
    assert (found["storage"], found["ran"]) == ("none", [])


def test_a_stage_that_fails_is_named(copied: Callable[[str], Path]) -> None:
    project = copied("project")
    edit(project / "conf/data/flights.yaml", window__since="2014-05-01", window__until="2014-06-01")
    run(project, "gitloop", "params")
    done = run(project, "gitloop", "reproduce", check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("gitloop reproduce: stage ingest: failed to run: gitloop ingest")
    found = json.loads((project / "reports/run.json").read_text())
    assert (found["ok"], found["failed"], found["ran"]) == (False, "ingest", ["ingest"])


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[str]:
    """The address of a server that speaks S3's protocol."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [str(Path(sys.executable).parent / "moto_server"), "--host", "127.0.0.1", "--port", str(port)]
    with (tmp_path / "moto.log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            for _ in range(300):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    assert server.poll() is None, (tmp_path / "moto.log").read_text()
                    time.sleep(0.1)
            yield url
        finally:
            server.kill()


def test_with_s3(copied: Callable[[str], Path], tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ID": "test", "SECRET": "test"}.items():
        key = "AWS_ACCESS_KEY_ID" if name == "ID" else "AWS_SECRET_ACCESS_KEY"
        monkeypatch.setenv(key, value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import boto3  # type: ignore[import-untyped]

    boto3.client("s3", endpoint_url=s3).create_bucket(Bucket="models")
    project = copied("project")
    with_remote(project, "s3://models/flights", endpointurl=s3)
    fresh = clone(project, tmp_path / "fresh")
    assert reproduced(fresh)["storage"] == "s3"
    assert data(fresh) == []
    change(fresh)
    found = reproduced(fresh)
    assert found["ran"][:2] == CHANGED[:2]
    assert found["pulled_bytes"] > 0
