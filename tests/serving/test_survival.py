"""What a service must survive: bad callers, being stopped and killed, a full log, more processes than one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from service import SOURCE, Load, Packaged, Server, serving

Row = dict[str, Any]


def send(server: Server, content: bytes) -> socket.socket:
    """A connection over which this much was sent, and which stays open."""
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection.sendall(content)
    return connection


def test_slow_and_half_closed_callers_hold_up_nobody(server: Server, client: httpx.Client, row: Row) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    stuck = [
        *(send(server, b"POST /pre") for _ in range(50)),
        *(send(server, head) for _ in range(50)),
        *(send(server, head + b"content-length: 100\r\n\r\n{") for _ in range(50)),
        *(send(server, head + b"transfer-encoding: chunked\r\n\r\n5\r\n{") for _ in range(50)),
    ]
    for connection in stuck[::2]:
        connection.shutdown(socket.SHUT_WR)
    began = time.perf_counter()
    assert [client.post("/predict", json=row).status_code for _ in range(20)] == [200] * 20
    assert time.perf_counter() - began < 10
    for connection in stuck:
        connection.close()
    assert client.post("/predict", json=row).status_code == 200
    assert client.get("/readyz").status_code == 200
    assert "Traceback" not in (server.folder / "server.log").read_text()


def test_a_caller_who_leaves_early_is_no_error(server: Server, client: httpx.Client, row: Row) -> None:
    for _ in range(20):
        send(server, b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}").close()
    assert client.post("/predict", json=row).status_code == 200
    assert "Traceback" not in (server.folder / "server.log").read_text()


def test_sigterm_lets_requests_finish_and_the_log_is_whole(packaged: Packaged, row: Row) -> None:
    with serving(packaged()) as server:
        load = Load(server, row)
        load.wait_for(300)
        assert server.end() == 0
        load.stop()
        assert set(load.statuses) == {200}
        kept = [line["id"] for line in server.lines()]
        assert set(load.answered) <= set(kept)
        assert len(kept) == len(set(kept))
        assert len(kept) - len(load.answered) <= 4  # a client may lose the answer, the log not


def test_sigkill_loses_nothing_that_was_answered(packaged: Packaged, row: Row) -> None:
    with serving(packaged()) as server:
        load = Load(server, row)
        load.wait_for(300)
        server.kill()
        load.stop()
        assert set(load.answered) <= {line["id"] for line in server.lines()}


def test_two_processes_have_each_a_log_and_one_count(packaged: Packaged, row: Row) -> None:
    with serving(packaged(change=lambda values: values["serving"].update(workers=2))) as server:
        files: set[Path] = set()
        loads = []
        while len(files) < 2 and len(loads) < 20:  # the system gives a new connection to either
            loads.append(Load(server, row, clients=8))
            loads[-1].wait_for(100)
            loads[-1].stop()
            files = set((server.folder / "predictions").glob("predictions-*.jsonl"))
        assert len(files) == 2
        answered = [one for load in loads for one in load.answered]
        assert {status for load in loads for status in load.statuses} == {200}
        assert {line["id"] for line in server.lines()} == set(answered)
        text = httpx.get(f"{server.url}/metrics").text
        counted = [line for line in text.splitlines() if line.startswith("gitloop_predictions_total")]
        assert sum(float(line.rpartition(" ")[2]) for line in counted) == len(answered)
        assert server.end() == 0


def test_a_log_that_cannot_be_written_fails_no_request(packaged: Packaged, row: Row) -> None:
    folder = packaged()
    (folder / "predictions").write_text("not a folder")
    with serving(folder) as server:
        answers = [httpx.post(f"{server.url}/predict", json=row).status_code for _ in range(5)]
        assert answers == [200] * 5
        text = httpx.get(f"{server.url}/metrics").text
        (dropped,) = [line for line in text.splitlines() if line.startswith("gitloop_log_dropped_total")]
        assert dropped.endswith(" 5.0")
        truth = {"id": "0" * 32, "truth": "stays"}
        assert httpx.post(f"{server.url}/feedback", json=truth).status_code == 503
        (folder / "predictions").unlink()  # mended while it runs
        told = httpx.post(f"{server.url}/predict", json=row).json()
        assert [line["id"] for line in server.lines()] == [told["id"]]


def test_a_log_keeps_within_its_bound(packaged: Packaged, row: Row) -> None:
    with serving(packaged(change=lambda values: values["serving"]["log"].update(max_megabytes=1))) as server:
        small = {name: row[name] for name in ("age", "balance", "colour")}
        for _ in range(10):
            answer = httpx.post(f"{server.url}/predict_batch", json={"rows": [small] * 1000}, timeout=30)
            assert answer.status_code == 200
        size = sum(file.stat().st_size for file in (server.folder / "predictions").iterdir())
        assert 500_000 < size <= 1_000_000
        assert "gitloop_log_dropped_total" in httpx.get(f"{server.url}/metrics").text


def test_no_log_is_kept_where_none_is_wanted(packaged: Packaged, row: Row) -> None:
    with serving(packaged(change=lambda values: values["serving"].update(log=None))) as server:
        assert httpx.post(f"{server.url}/predict", json=row).status_code == 200
        answer = httpx.post(f"{server.url}/feedback", json={"id": "0" * 32, "truth": "stays"})
        assert answer.status_code == 409
        assert not (server.folder / "predictions").exists()


def test_a_database_that_comes_late_gets_every_line(packaged: Packaged, row: Row) -> None:
    """At first its folder is not there: requests are answered, lines wait on disk."""
    import sqlalchemy

    folder = packaged(change=lambda values: values["serving"]["log"].update(url_env="LOG_URL"))
    place = folder / "late" / "log.db"
    with serving(folder, LOG_URL=f"sqlite:///{place}") as server:
        told = httpx.post(f"{server.url}/predict_batch", json={"rows": [row] * 50}).json()
        httpx.post(f"{server.url}/feedback", json={"id": told[0]["id"], "truth": "leaves"})
        time.sleep(2)
        assert 'gitloop_log_database_down{version="' in httpx.get(f"{server.url}/metrics").text
        place.parent.mkdir()
        database = sqlalchemy.create_engine(f"sqlite:///{place}")
        found: list[str] = []
        until = time.monotonic() + 60
        while len(found) < 50 and time.monotonic() < until:
            time.sleep(0.5)
            if place.exists() and sqlalchemy.inspect(database).has_table("predictions"):
                with database.connect() as connection:
                    found = [one for (one,) in connection.execute(sqlalchemy.text("SELECT id FROM predictions"))]
        assert sorted(found) == sorted(one["id"] for one in told)
        assert server.end() == 0


def test_the_token_is_asked_of_all_but_probes(packaged: Packaged, row: Row) -> None:
    folder = packaged(change=lambda values: values["serving"].update(token_env="SERVICE_TOKEN"))
    with serving(folder, SERVICE_TOKEN="s3cret") as server, httpx.Client(base_url=server.url) as client:
        for path in ("/livez", "/readyz", "/healthz"):
            assert client.get(path).status_code == 200
        for headers in ({}, {"authorization": "Bearer s3cre"}, {"authorization": "s3cret"}):
            answer = client.post("/predict", json=row, headers=headers)
            assert answer.status_code == 401
            assert "Bearer <token>" in answer.json()["problems"][0]["problem"]
            assert client.get("/metrics", headers=headers).status_code == 401
        right = {"authorization": "Bearer s3cret"}
        assert client.post("/predict", json=row, headers=right).status_code == 200
        assert client.get("/docs.json", headers=right).json()["security"] == [{"token": []}]


def test_a_model_that_takes_milliseconds_answers_callers_together(packaged: Packaged, row: Row) -> None:
    """Text is served by scikit-learn; rows that wait are computed in one call, and each gets its own answer."""
    folder = packaged(text=True)
    assert (folder / "model/model.skops").exists()
    with serving(folder) as server:
        rows = [{**row, "age": age, "remark": "rude again"} for age in range(20, 60)]
        batch = httpx.post(f"{server.url}/predict_batch", json={"rows": rows}, timeout=30).json()
        loads = [Load(server, one, clients=1) for one in rows[:8]]
        for load in loads:
            load.wait_for(5)
            load.stop()
        told = {line["id"]: line for line in server.lines()}
        for load, alone in zip(loads, batch, strict=False):
            for one in load.answered:
                assert told[one]["probability"] == pytest.approx(alone["probability"], abs=1e-9)


def test_it_starts_lean(packaged: Packaged) -> None:
    """A compiled model and no database: what only training needs is not loaded."""
    heavy = ("pandas", "sklearn", "skops", "duckdb", "pyarrow", "hydra", "sqlalchemy", "dvc", "evidently", "optuna")
    code = (
        "import sys; from gitloop.serving import service; service.service.inner().desk.close(); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    folder = packaged()
    env = {**os.environ, "PYTHONPATH": str(SOURCE)}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"
