"""BentoCloud on this machine: what BentoML's client asks of its REST API, and Bentos that really run.

The client's own schemas hold both sides: what is sent must be what they unstructure to, no more, and what is answered
is made of them. https://docs.bentoml.com/en/latest/reference/bentocloud/
"""

from __future__ import annotations

import http.server
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import httpx
from bentoml._internal.cloud.schemas import schemasv1 as v1
from bentoml._internal.cloud.schemas import schemasv2 as v2
from bentoml._internal.cloud.schemas.modelschemas import DeploymentStatus, UploadStatus
from bentoml._internal.cloud.schemas.utils import schema_from_object, schema_to_object
from servers import listening
from service import free_port

KEY = "cloud-key"
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
WHO = v1.UserSchema(name="ada", email="ada@example.org", first_name="Ada", last_name="L")


def _resource(name: str, kind: str) -> dict[str, Any]:
    stamps = {"uid": f"{kind}-{name}", "created_at": WHEN, "updated_at": WHEN, "deleted_at": None}
    return {**stamps, "name": name, "resource_type": kind, "labels": []}


CLUSTER = v1.ClusterSchema(**_resource("main", "cluster"), description="", organization_name="team", creator=WHO)


class Cloud:
    """Repositories, Bentos and deployments. `asked` is what came, `fails` are Bentos whose image cannot be built."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.fails: set[str] = set()
        self.repositories: dict[str, v1.BentoRepositorySchema] = {}
        self.bentos: dict[str, v1.BentoSchema] = {}
        self.deployments: dict[str, v2.DeploymentFullSchema] = {}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def answer(self, method: str, path: str, body: bytes) -> Any:
        """The object, or None where there is none."""
        self.asked.append(f"{method} {path}")
        for pattern, does in ROUTES.items():
            if found := re.fullmatch(pattern, f"{method} {path}"):
                return does(self, *found.groups(), body=body)
        raise AssertionError(f"{method} {path}: is not of the API")

    def repository(self, name: str, body: bytes) -> Any:
        return self.repositories.get(name)

    def new_repository(self, body: bytes) -> Any:
        asked = _read(body, v1.CreateBentoRepositorySchema)
        made = v1.BentoRepositorySchema(**_resource(asked.name, "bento_repository"), description="", latest_bento=None)
        self.repositories[asked.name] = made
        return made

    def bento(self, name: str, version: str, body: bytes) -> Any:
        return self.bentos.get(f"{name}:{version}")

    def new_bento(self, name: str, body: bytes) -> Any:
        asked = _read(body, v1.CreateBentoSchema)
        made = v1.BentoSchema(
            **{**_resource(asked.version, "bento"), "labels": asked.labels},
            description=asked.description,
            version=asked.version,
            image_build_status="pending",
            upload_status=UploadStatus.PENDING.value,
            upload_finished_reason="",
            presigned_upload_url="",
            presigned_download_url="",
            manifest=asked.manifest,
            transmission_strategy="proxy",
        )
        self.bentos[f"{name}:{asked.version}"] = made
        return made

    def start_upload(self, name: str, version: str, body: bytes) -> Any:
        return self.bentos[f"{name}:{version}"]

    def upload(self, name: str, version: str, body: bytes) -> Any:
        with tarfile.open(fileobj=io.BytesIO(body)) as packed:
            packed.extractall(self.folder / f"{name}-{version}", filter="data")
        self.bentos[f"{name}:{version}"].upload_status = UploadStatus.SUCCESS.value
        return {}

    def deployment(self, name: str, body: bytes) -> Any:
        return self.deployments.get(name)

    def new_deployment(self, body: bytes) -> Any:
        asked = _read(body, v2.CreateDeploymentSchema)
        assert asked.name
        made = v2.DeploymentFullSchema(
            **_resource(asked.name, "deployment"),
            status=DeploymentStatus.Deploying.value,
            kube_namespace="team",
            creator=WHO,
            cluster=CLUSTER,
            latest_revision=None,
        )
        self.deployments[asked.name] = made
        return self._runs(made, asked)

    def changed_deployment(self, name: str, body: bytes) -> Any:
        return self._runs(self.deployments[name], _read(body, v2.UpdateDeploymentSchema))

    def terminated(self, name: str, body: bytes) -> Any:
        made = self.deployments[name]
        self._stop(name)
        made.status, made.urls = DeploymentStatus.Terminated.value, []
        return made

    def _runs(self, made: v2.DeploymentFullSchema, asked: v2.UpdateDeploymentSchema) -> Any:
        name, _, version = asked.bento.partition(":")
        bento = self.bentos[asked.bento]
        assert bento.upload_status == UploadStatus.SUCCESS.value, f"{asked.bento}: was never uploaded"
        fields = {one.name for one in attrs.fields(v2.DeploymentConfigSchema)}
        target = v2.DeploymentTargetSchema(
            **_resource("main", "deployment_target"),
            creator=WHO,
            config=v2.DeploymentConfigSchema(**{one: getattr(asked, one) for one in fields}),
            bento=v1.BentoWithRepositorySchema(
                **attrs.asdict(bento, recurse=False), repository=self.repositories[name]
            ),
        )
        made.latest_revision = v2.DeploymentRevisionSchema(
            **_resource("1", "deployment_revision"), creator=WHO, status="active", targets=[target]
        )
        if version in self.fails:
            made.status = DeploymentStatus.ImageBuildFailed.value
            return made
        self._stop(made.name)
        port = free_port()
        command = [sys.executable, "-m", "bentoml", "serve", "gitloop.serving.service:Service", "--port", str(port)]
        where = self.folder / f"{name}-{version}/src"
        with (self.folder / f"{version}.log").open("wb") as log:
            self.running[made.name] = subprocess.Popen(
                command, cwd=where, env=os.environ | {"PYTHONPATH": str(where)}, stdout=log, stderr=log
            )
        made.status, made.urls = DeploymentStatus.Running.value, [f"http://127.0.0.1:{port}"]
        return made

    def _stop(self, name: str) -> None:
        if name in self.running:
            process = self.running.pop(name)
            process.terminate()
            process.wait(timeout=60)

    def end(self) -> None:
        for name in list(self.running):
            self._stop(name)


ONE = "/api/v1/bento_repositories/([^/]+)"
ROUTES: dict[str, Callable[..., Any]] = {
    f"GET {ONE}": Cloud.repository,
    "POST /api/v1/bento_repositories": Cloud.new_repository,
    f"GET {ONE}/bentos/([^/]+)": Cloud.bento,
    f"POST {ONE}/bentos": Cloud.new_bento,
    f"PATCH {ONE}/bentos/([^/]+)/start_upload": Cloud.start_upload,
    f"PUT {ONE}/bentos/([^/]+)/upload": Cloud.upload,
    "GET /api/v2/deployments/([^/]+)": Cloud.deployment,
    "POST /api/v2/deployments": Cloud.new_deployment,
    "PUT /api/v2/deployments/([^/]+)": Cloud.changed_deployment,
    "POST /api/v2/deployments/([^/]+)/terminate": Cloud.terminated,
}


def _read(body: bytes, schema: Any) -> Any:
    """What was sent, if the schema has all of it."""
    raw = json.loads(body)
    known = {one.name for one in attrs.fields(schema)}
    assert set(raw) <= known, f"{schema.__name__}: has no {set(raw) - known}"
    return schema_from_object(raw, schema)


@contextmanager
def cloud(folder: Path) -> Iterator[tuple[Cloud, str]]:
    """BentoCloud, and its endpoint."""
    made = Cloud(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if self.headers.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.headers["X-YATAI-API-TOKEN"] != KEY:
                return self.say(401, {"error": "unauthorized"})
            try:
                found = made.answer(self.command, self.path.partition("?")[0], body)
            except Exception as error:
                return self.say(422, {"error": repr(error)})
            if found is None:
                return self.say(404, {"error": "record not found"})
            return self.say(200, found if isinstance(found, dict) else schema_to_object(found))

        def say(self, status: int, content: Any) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815 -- as http.server looks for them

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with listening(Handler) as url:
        try:
            yield made, url
        finally:
            made.end()


def says(url: str) -> str:
    """The version that answers there."""
    return str(httpx.get(f"{url}/model", timeout=30, trust_env=False).json()["version"])
