"""A real image, from `dvc repro` to the answer of the container: the same as the pipeline's predictions."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import psutil
import pyarrow.parquet as pq
import pytest
from project import generate, run, shrink
from service import free_port

from gitloop.serving import contents

VERSION = "v0.1.0"
IMAGE = f"late-flights:{VERSION}"
CANARY = "canary.invalid"  # stands for the address of an index that only this machine may know
ROWS = 10


class Running(NamedTuple):
    project: Path
    container: str
    image: dict[str, Any]  # what buildah says of it
    client: httpx.Client
    port: int
    process: subprocess.Popen[bytes]
    environment: dict[str, str]

    def inside(self, *command: str, user: str | None = None) -> str:
        """What a command prints in the container, as the image's user or another."""
        options = ["--user", user] if user else []
        done = subprocess.run(
            ["buildah", "run", *options, "--env", f"PORT={self.port}", self.container, "--", *command],
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small flights project, trained and committed."""
    folder = generate(tmp_path_factory.mktemp("image"))
    shrink(folder)
    run(folder, "dvc", "repro", "package")
    run(folder, "git", "add", ".")
    run(folder, "git", "commit", "-q", "-m", "Train")
    return folder


@pytest.fixture(scope="module")
def running(base: str, project: Path, storage: dict[str, str]) -> Iterator[Running]:
    environment = {**storage, "BENTOML_HOME": str(project.parent / "bentoml")}
    run(project, "gitloop", "build", "--version", VERSION, **environment)
    options = ["--version", VERSION, "--backend", "buildah", "--base", base]
    run(project, "gitloop", "image", *options, PIP_TRUSTED_HOST=CANARY, **environment)
    said = subprocess.run(
        ["buildah", "inspect", "--type", "image", IMAGE],
        env=os.environ | storage,
        capture_output=True,
        text=True,
        check=True,
    )
    container = run(project, "buildah", "from", IMAGE, **storage).stdout.strip()
    with started(project, container, json.loads(said.stdout), storage) as one:
        yield one


@contextmanager
def started(project: Path, container: str, image: dict[str, Any], environment: dict[str, str]) -> Iterator[Running]:
    """The image's own command, as its own user, on this machine's loopback."""
    port = free_port()
    command = image["OCIv1"]["config"]["Cmd"]
    given = ["--env", f"PORT={port}", "--env", "HOST=127.0.0.1"]
    with (project / "container.log").open("wb") as log:
        process = subprocess.Popen(
            ["buildah", "run", *given, container, "--", *command],
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
        one = Running(project, container, image, client, port, process, environment)
        try:
            wait(one)
            yield one
        finally:
            for each in family(process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    each.kill()
            process.wait(timeout=30)


def family(pid: int) -> list[psutil.Process]:
    """A process and all below it; empty where it is gone."""
    try:
        one = psutil.Process(pid)
        return [*one.children(recursive=True), one]
    except psutil.NoSuchProcess:
        return []


def wait(one: Running, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            if one.client.get("/readyz").status_code == 200:
                return
        if one.process.poll() is not None:
            break
        time.sleep(0.2)
    raise AssertionError((one.project / "container.log").read_text())


def test_answers_as_the_pipeline_predicted(running: Running) -> None:
    columns = json.loads((running.project / "model/signature.json").read_text())["contract"]["columns"]
    rows = pq.read_table(running.project / "data/test.parquet").slice(0, ROWS).to_pylist()
    predicted = pq.read_table(running.project / "data/predictions.parquet").slice(0, ROWS).to_pylist()
    assert len(rows) == ROWS
    for row, before in zip(rows, predicted, strict=True):
        body = {name: value for name, value in row.items() if name in columns and name != "late" and value is not None}
        answered = running.client.post("/predict", json=body | {"time_hour": row["time_hour"].isoformat()})
        assert answered.status_code == 200, answered.text
        answer = answered.json()
        assert answer["version"] == VERSION
        assert answer["prediction"] is before["predicted"]
        assert answer["probability"] == pytest.approx(before["predicted_score"], abs=1e-5)


def test_tells_the_commit_that_it_was_built_from(running: Running) -> None:
    head = run(running.project, "git", "rev-parse", "HEAD").stdout.strip()
    origin = running.client.get("/model").json()["origin"]
    assert (origin["commit"], origin["dirty"], origin["version"]) == (head, False, VERSION)
    assert origin["dvc_lock_sha256"]


def test_runs_as_nobody_special_and_writes_only_its_log(running: Running) -> None:
    assert running.image["OCIv1"]["config"]["User"] == "1034:1034"
    assert running.inside("id", "-u").strip() == "1034"
    owned = running.inside("find", "/app", "/home/bentoml/bento", "-writable", "-not", "-type", "l").split()
    log = "/home/bentoml/bento/src/predictions"
    assert log in owned
    assert all(path.startswith(log) for path in owned)
    lines = running.inside("sh", "-c", f"cat {log}/predictions-*.jsonl").splitlines()
    assert len(lines) >= ROWS
    assert {json.loads(line)["version"] for line in lines} == {VERSION}


def test_checks_its_own_health(running: Running) -> None:
    check = running.image["Docker"]["config"]["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    running.inside(*check[1:])
    with pytest.raises(AssertionError, match="ConnectionRefusedError"):
        running._replace(port=free_port()).inside(*check[1:])


def test_holds_the_locked_packages_and_nothing_else(running: Running) -> None:
    listing = "from importlib.metadata import distributions as d; print(*{f'{x.name}=={x.version}' for x in d()})"
    normal = {
        name.lower().replace("_", "-").replace(".", "-") for name in running.inside("python", "-c", listing).split()
    }
    lock = running.project / "requirements-serving.txt"
    locked = {line.partition(" --hash")[0].replace(".", "-") for line in contents.requirements(lock)}
    assert normal == locked


def test_keeps_nothing_of_the_machine_that_built_it(running: Running) -> None:
    assert CANARY not in json.dumps(running.image)
    searched = "grep -rlsI --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev"
    found = running.inside("sh", "-c", f"{searched} {CANARY} / || true", user="0")
    assert found == ""
    assert running.inside("sh", "-c", "ls /etc/pip.conf /run/secrets 2> /dev/null || true").strip() in (
        "",
        "/run/secrets:",
    )


def test_stops_when_it_is_told_to(running: Running) -> None:
    server = next(
        one for one in family(running.process.pid) if "serve" in one.cmdline() and "python" in one.cmdline()[0]
    )
    server.terminate()
    assert running.process.wait(timeout=60) == 0
    assert family(running.process.pid) == []
