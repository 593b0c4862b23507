"""What cannot be served is not: one line that says why, and no server."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from service import SOURCE, Packaged, free_port

Spoil = Callable[[Path], object]


@pytest.fixture(scope="module")
def good(packaged: Packaged) -> Path:
    return packaged()


def refused(folder: Path, command: list[str] | None = None, **env: str) -> str:
    """What is said by a server that does not start."""
    command = command or ["-m", "gitloop", "serve", "--port", str(free_port())]
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(SOURCE), "BENTOML_DO_NOT_TRACK": "True", **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode not in (0, 3), done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def parameters(**changes: Any) -> Spoil:
    """Change keys of params.yaml; `a__b` is the key b below a."""

    def spoil(folder: Path) -> None:
        path = folder / "params.yaml"
        values = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            *place, last = key.split("__")
            branch = values
            for part in place:
                branch = branch[part]
            branch[last] = value
        path.write_text(yaml.safe_dump(values, sort_keys=False))

    return spoil


def cut(name: str) -> Spoil:
    def spoil(folder: Path) -> None:
        path = folder / "model" / name
        path.write_bytes(path.read_bytes()[:-100])

    return spoil


def swap(folder: Path) -> None:
    """A whole, right model, of another contract: its manifest fits, the configuration does not."""
    values = yaml.safe_load((folder / "params.yaml").read_text())
    values["data"]["columns"]["age"]["range"] = [0, 99]
    (folder / "params.yaml").write_text(yaml.safe_dump(values, sort_keys=False))


CASES: list[tuple[Spoil, str]] = [
    (lambda folder: shutil.rmtree(folder / "model"), "model/manifest.json: not there; run `dvc pull model`"),
    (cut("model.onnx"), "model/model.onnx: is not the file that was packaged (its sha256 differs); run `dvc checkout"),
    (cut("signature.json"), "model/signature.json: is not the file that was packaged"),
    (cut("manifest.json"), "model/manifest.json: is not a manifest"),
    (lambda folder: (folder / "model/more").touch(), "model/more: does not belong to the model"),
    (swap, "data.columns.age: range is not as in model/signature.json; run `dvc repro`"),
    (parameters(data__task="regression"), "conf/data/customers.yaml"),
    (parameters(serving__token_env="NOT_SET"), "conf/serving/: token_env: the environment variable NOT_SET is not set"),
    (parameters(serving__log={"url_env": "NOT_SET"}), "NOT_SET"),
    (parameters(serving__log={"url": "mysql://x/y"}), "log.url: mysql is not supported"),
    (parameters(serving__prt=3), "serving.prt: unknown key; did you mean 'port'?"),
    (lambda folder: (folder / "params.yaml").unlink(), "params.yaml: not there"),
]


@pytest.mark.parametrize(("spoil", "message"), CASES)
def test_what_is_wrong_is_said_in_a_line(good: Path, tmp_path: Path, spoil: Spoil, message: str) -> None:
    folder = shutil.copytree(good, tmp_path / "project")
    spoil(folder)
    said = refused(folder)
    assert message in said
    assert all(line.startswith("gitloop serve: ") for line in said.splitlines())


def forge(folder: Path) -> None:
    """Other expected answers, with the hash that fits them."""
    path = folder / "model/expected.json"
    expected = json.loads(path.read_text())
    expected["scores"][0] += 0.1
    path.write_text(json.dumps(expected))
    manifest = folder / "model/manifest.json"
    listed = json.loads(manifest.read_text())
    listed["files"]["expected.json"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest.write_text(json.dumps(listed))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (cut("model.onnx"), "model/model.onnx: is not the file that was packaged"),
        (forge, "does not say of the rows in expected.json what it said"),
        (swap, "data.columns.age: range is not as in model/signature.json"),
    ],
)
def test_bentoml_alone_refuses_too(good: Path, tmp_path: Path, spoil: Spoil, message: str) -> None:
    """In a container nobody calls `gitloop serve`; it would start processes that fail for ever."""
    folder = shutil.copytree(good, tmp_path / "project")
    spoil(folder)
    command = ["-m", "bentoml", "serve", "gitloop.serving.service:Service", "--port", str(free_port())]
    said = refused(folder, command)
    assert message in said
    assert len(said.splitlines()) == 1


def test_a_port_that_is_taken(good: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        said = refused(good, ["-m", "gitloop", "serve", "--port", str(port)])
    assert f"127.0.0.1:{port} cannot be used (Address already in use)" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "65536"], "127.0.0.1:65536 cannot be used (bind(): port must be 0-65535"),
        (["--port", "-1"], "127.0.0.1:-1 cannot be used"),
        (["--host", "host.invalid"], "host.invalid:3000 cannot be used ("),
    ],
)
def test_an_address_that_there_is_not(good: Path, options: list[str], message: str) -> None:
    said = refused(good, ["-m", "gitloop", "serve", *options])
    assert message in said
    assert "Unknown error" not in said


def test_a_manifest_that_was_made_to_fit_does_not_help(good: Path, tmp_path: Path) -> None:
    """Who changes the model and its hash is found out by what it says of the expected rows."""
    folder = shutil.copytree(good, tmp_path / "project")
    forge(folder)
    assert "does not say of the rows in expected.json what it said" in refused(folder)
