"""How the service starts and stops, whoever starts it: BentoML alone too, as in a container."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from service import SOURCE, Packaged, Server, serving

Row = dict[str, Any]


@pytest.fixture(scope="module")
def good(packaged: Packaged) -> Path:
    return packaged()


def begun(server: Server, content: bytes, length: int) -> socket.socket:
    """A request of which the service has the head and a part of the body."""
    head = f"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    connection = socket.create_connection(("127.0.0.1", server.port), timeout=30)
    connection.sendall(head.encode() + content)
    return connection


def answered(connection: socket.socket) -> tuple[int, Any]:
    """Status and body, in however many packets they come."""
    answer = http.client.HTTPResponse(connection)
    answer.begin()
    return answer.status, json.loads(answer.read())


def test_what_is_under_way_at_sigterm_is_answered_and_logged(good: Path, tmp_path: Path, row: Row) -> None:
    body = httpx.Request("POST", "http://x", json=row).content
    with serving(shutil.copytree(good, tmp_path / "project")) as server:
        with begun(server, body[:20], len(body)) as connection:
            time.sleep(0.5)
            server.process.terminate()
            time.sleep(1)
            connection.sendall(body[20:])
            status, told = answered(connection)
        assert status == 200
        assert server.process.wait(timeout=20) == 0
        assert [line["id"] for line in server.lines()] == [told["id"]]


def test_a_caller_who_stopped_sending_is_told_so_and_stops_no_stop(good: Path, tmp_path: Path) -> None:
    """In less than the 30 seconds that containers are given before they are killed."""
    with serving(shutil.copytree(good, tmp_path / "project")) as server, begun(server, b"{", 100) as connection:
        time.sleep(0.5)
        began = time.monotonic()
        server.process.terminate()
        assert answered(connection)[0] == 408
        assert server.process.wait(timeout=20) == 0
        assert time.monotonic() - began < 20


def test_what_is_told_of_the_origin_is_of_the_start(good: Path, tmp_path: Path) -> None:
    """What is served does not change with the work tree, and nobody waits for Git."""
    folder = shutil.copytree(good, tmp_path / "project")
    with serving(folder) as server:
        before = httpx.get(f"{server.url}/model").json()["origin"]
        git = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
        for command in (["init", "-q"], ["add", "params.yaml"], ["commit", "-q", "-m", "later"]):
            subprocess.run([*git, *command], cwd=folder, check=True)
        assert httpx.get(f"{server.url}/model").json()["origin"] == before


@pytest.mark.parametrize(("written", "excluded"), [("", "True"), ("sample_rate: 0.5, excluded_urls: []", "False")])
def test_spans_are_made_only_where_they_are_wanted(good: Path, tmp_path: Path, written: str, excluded: str) -> None:
    """BentoML makes four for each request, which nobody collects unless a configuration of its own says so."""
    path = tmp_path / "bentoml.yaml"
    path.write_text(f"services: {{customers: {{tracing: {{{written}}}}}}}")
    code = (
        "from gitloop.serving import service; service.service.to_asgi(is_main=True); "
        "from bentoml._internal.configuration.containers import BentoMLContainer as container; "
        "print(container.tracing_excluded_urls.get().url_disabled('http://x/predict'))"
    )
    env = {**os.environ, "PYTHONPATH": str(SOURCE), "BENTOML_DO_NOT_TRACK": "True"}
    env |= {"BENTOML_CONFIG": str(path)} if written else {}
    done = subprocess.run([sys.executable, "-c", code], cwd=good, env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == excluded


def test_the_metrics_of_one_service_outlive_the_start_of_another(good: Path, row: dict[str, Any]) -> None:
    """BentoML clears its folder of metrics when it starts, whoever's they are."""
    with serving(good) as first, serving(good) as second:
        for server, count in ((first, 2), (second, 1)):
            for _ in range(count):
                assert httpx.post(f"{server.url}/predict", json=row).status_code == 200
        for server, count in ((first, 2), (second, 1)):
            said = httpx.get(f"{server.url}/metrics").text
            assert re.search(rf"^gitloop_predictions_total{{.*}} {count}\.0$", said, re.MULTILINE), said[:500]
