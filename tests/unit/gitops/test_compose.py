"""What is rendered for a machine with compose; and the notice, which compose and Kubernetes start alike."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from service import free_port

from gitloop.errors import InputError
from gitloop.gitops import compose
from gitloop.gitops.environment import Environment, parse
from gitloop.gitops.manifests import NOTICE, PORT, TEMPORARY, USER, WORK, Destination, Release
from gitloop.serving.contents import DOCKERFILE

TO = Destination("late-flights", "production", "https://github.com/team/late-flights.git")
IMAGE = "ghcr.io/team/late-flights"
PARAMS = {"serving": {"log": {"folder": "predictions"}}}
NOW, BEFORE = (Release.of(version, IMAGE, PARAMS) for version in ("v1.2.0", "v1.1.0"))


def wanted(**keys: Any) -> Environment:
    raw = {"version": "v1.2.0", "target": "compose", "compose": {"image": IMAGE, "port": 8000, **keys}}
    return parse("production", yaml.safe_dump(raw).encode())


def rendered(now: Release | None, before: Release | None = None, **keys: Any) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(compose.render(TO, wanted(**keys), now, before)["compose.yaml"])
    return found


def test_one_service_that_may_do_little() -> None:
    found = rendered(NOW, env_file="late.env")
    assert found["name"] == "late-flights-production"
    one = found["services"]["late-flights"]
    assert one["image"] == f"{IMAGE}:v1.2.0"
    assert one["ports"] == ["8000:3000"]
    assert (one["read_only"], one["user"], one["cap_drop"]) == (True, "1034:1034", ["ALL"])
    assert one["security_opt"] == ["no-new-privileges:true"]
    assert one["env_file"] == ["late.env"]
    assert one["volumes"] == ["log:/home/bentoml/bento/src/predictions"]
    assert found["volumes"] == {"log": {}}
    assert one["tmpfs"][0].startswith(f"{TEMPORARY}:")
    assert one["environment"]["BENTOML_HOME"].startswith(f"{TEMPORARY}/")


@pytest.mark.parametrize(("now", "before"), [(NOW, None), (None, BEFORE), (None, None)])
def test_valid_by_the_schema_of_compose(now: Release | None, before: Release | None, tmp_path: Path) -> None:
    path = tmp_path / "compose.yaml"
    path.write_text(compose.render(TO, wanted(env_file="late.env"), now, before)["compose.yaml"])
    command = ["check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_is_the_image_that_is_built() -> None:
    """What manifests take for granted of the image."""
    dockerfile = DOCKERFILE.read_text()
    for line in (f"WORKDIR {WORK}", f"USER {USER}:{USER}", f"HOST=0.0.0.0 PORT={PORT}"):
        assert line in dockerfile


def test_without_a_log_there_is_no_volume() -> None:
    found = rendered(Release.of("v1.2.0", IMAGE, {"serving": {"log": None}}))
    assert "volumes" not in found
    assert "volumes" not in found["services"]["late-flights"]
    assert "env_file" not in found["services"]["late-flights"]


def test_twice_the_same_text() -> None:
    first, second = (compose.render(TO, wanted(), NOW, BEFORE) for _ in range(2))
    assert first == second
    assert list(first) == ["compose.yaml"]


def test_a_token_is_in_the_file() -> None:
    asks = Release.of("v1.2.0", IMAGE, {"serving": {"token_env": "LATE_TOKEN"}})
    with pytest.raises(InputError) as caught:
        rendered(asks)
    assert str(caught.value) == (
        "environments/production.yaml: compose.env_file: v1.2.0 asks its callers for a token, which it takes from the "
        "variable LATE_TOKEN; name the file that holds it"
    )
    assert rendered(asks, env_file="late.env")["services"]


def test_retired_a_notice_answers_in_its_place() -> None:
    files = compose.render(TO, wanted(), None, BEFORE)
    one = yaml.safe_load(files["compose.yaml"])["services"]["late-flights"]
    assert one["image"] == BEFORE.image
    assert one["ports"] == ["8000:3000"]
    assert one["environment"]["NOTICE"] == "production is retired: environments/production.yaml says `version: none`"
    assert one["volumes"] == ["./notice.py:/notice.py:ro"]
    assert files["notice.py"] == NOTICE.read_text()
    assert rendered(None)["services"] == {}


def test_the_notice_answers_503_whatever_is_asked(tmp_path: Path) -> None:
    """As it is started in a container: by itself, with Python's own library alone."""
    script = tmp_path / "notice.py"
    script.write_text(NOTICE.read_text())
    port = free_port()
    outside = {"PATH": os.environ["PATH"], "NOTICE": "production is retired", "PORT": str(port)}
    running = subprocess.Popen([sys.executable, "-I", str(script)], env=outside, cwd=tmp_path)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for _ in range(100):
                try:
                    client.get("/")
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            for method, path in (("GET", "/readyz"), ("POST", "/predict"), ("PUT", "/x"), ("HEAD", "/")):
                answer = client.request(method, path, content=b'{"a": 1}' * 1000 if method == "POST" else None)
                assert answer.status_code == 503
                assert answer.headers["content-type"] == "application/json"
                if method != "HEAD":
                    assert json.loads(answer.text) == {"error": "unavailable", "notice": "production is retired"}
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == 0
    finally:
        running.kill()
        running.wait()
