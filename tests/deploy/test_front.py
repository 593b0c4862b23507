"""The front passes on what it is given, to whatever version runs."""

from __future__ import annotations

import gzip
import http.server
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from servers import listening
from service import SOURCE, free_port

from gitloop.files import write_json
from gitloop.gitops import front


class Front(NamedTuple):
    client: httpx.Client
    folder: Path

    def to(self, upstream: str | None, version: str = "v1.0.0", notice: str = "") -> None:
        write_json(self.folder / front.STATE, front.State(version, "c0ffee", upstream, notice)._asdict())


@pytest.fixture
def fronted(tmp_path: Path) -> Iterator[Front]:
    (tmp_path / front.TOKEN).write_text("s3cret")
    port = free_port()
    command = [sys.executable, "-m", "gitloop.gitops.front", str(tmp_path), str(port)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(SOURCE)})
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            until = time.monotonic() + 30
            while time.monotonic() < until:
                with suppress(httpx.TransportError):
                    client.get("/")
                    break
                time.sleep(0.05)
            yield Front(client, tmp_path)
    finally:
        process.terminate()
        assert process.wait(timeout=30) == 0


@contextmanager
def upstream(name: str, closes: int = 0) -> Iterator[str]:
    """A service that echoes; the first `closes` requests it hangs up on."""
    left = [closes]

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if left[0]:
                left[0] -= 1
                self.close_connection = True
                return
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            seen = {key.lower(): value for key, value in self.headers.items()}
            said = {"name": name, "method": self.command, "path": self.path, "body": body, "headers": seen}
            content = gzip.compress(json.dumps(said).encode())
            self.send_response(418)
            for key, value in (("content-encoding", "gzip"), ("x-kept", "a"), ("x-kept", "b"), ("connection", "x-own")):
                self.send_header(key, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = answer  # noqa: N815 -- as http.server looks for them

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with listening(Handler) as url:
        yield url


def test_a_request_and_its_answer_are_passed_on_as_they_are(fronted: Front) -> None:
    with upstream("one") as url:
        fronted.to(url)
        headers = {"authorization": "Bearer x", "content-type": "text/plain", "accept-encoding": "gzip"}
        answer = fronted.client.post("/a%2Fb/?q=%20x&q=2", content="käse", headers=headers)
        assert (answer.status_code, answer.headers.get_list("x-kept")) == (418, ["a", "b"])
        seen = answer.json()
        assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/a%2Fb/?q=%20x&q=2", "käse")
        assert {key: seen["headers"][key] for key in headers} == headers
        assert "x-gitloop-front" not in seen["headers"]
        assert fronted.client.delete("/").json()["method"] == "DELETE"


def test_the_next_request_goes_to_the_version_that_runs_then(fronted: Front) -> None:
    with upstream("one") as one, upstream("two") as two:
        fronted.to(one)
        assert fronted.client.get("/").json()["name"] == "one"
        fronted.to(two)
        assert fronted.client.get("/").json()["name"] == "two"


def test_nothing_to_pass_on_to_is_503(fronted: Front) -> None:
    said = fronted.client.get("/predict")
    assert (said.status_code, said.json()) == (503, {"error": "unavailable", "notice": "nothing is deployed yet"})
    fronted.to(None, notice="production is retired")
    assert fronted.client.post("/predict").json()["notice"] == "production is retired"
    fronted.to(f"http://127.0.0.1:{free_port()}")
    said = fronted.client.get("/predict")
    assert (said.status_code, said.json()["notice"]) == (503, "v1.0.0 does not answer")


def test_a_connection_that_is_closed_unanswered_is_no_failure(fronted: Front) -> None:
    with upstream("one", closes=2) as url:
        fronted.to(url)
        assert fronted.client.post("/predict", content="{}").json()["body"] == "{}"


def test_requests_in_flight_are_told_to_who_has_the_token(fronted: Front) -> None:
    with upstream("one") as url:
        fronted.to(url)
        assert fronted.client.get("/", headers={front.ASK: "s3cret"}).json() == {"in_flight": {}}
        assert fronted.client.get("/", headers={front.ASK: "guessed"}).status_code == 418  # as any other request
