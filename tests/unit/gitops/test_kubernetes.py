"""What is rendered for Kubernetes: valid by its schemas, built by kustomize, locked down, and shared out as asked."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import kubernetes_validate
import pytest
import yaml
from service import free_port

from gitloop.errors import InputError
from gitloop.gitops import kubernetes
from gitloop.gitops.environment import Environment, parse
from gitloop.gitops.manifests import TEMPORARY, Destination, Release

TO = Destination("late-flights", "production", "https://github.com/team/late-flights.git")
IMAGE = "ghcr.io/team/late-flights"
PARAMS = {"serving": {"log": {"folder": "predictions", "max_megabytes": 512}, "token_env": None}}
NOW, BEFORE = (Release.of(version, IMAGE, PARAMS) for version in ("v1.2.0", "v1.1.0"))
OURS = ("v1", "apps/v1", "autoscaling/v2", "policy/v1")  # of which the schemas are known
Files = dict[str, str]


def wanted(canary: int | None = None, **keys: Any) -> Environment:
    block = {"namespace": "late", "image": IMAGE, **keys}
    raw = {"version": "v1.2.0", "target": "kubernetes", "canary": canary, "kubernetes": block}
    return parse("production", yaml.safe_dump(raw).encode())


FULL = wanted(10, replicas={"min": 3, "max": 20, "in_flight": 8}, secret="late-secrets", monitor=True)
CASES = {
    "plain": kubernetes.render(TO, wanted(), NOW, None),
    "everything": kubernetes.render(TO, FULL, NOW, BEFORE),
    "no log": kubernetes.render(TO, wanted(), Release.of("v1.2.0", IMAGE, {"serving": {"log": None}}), None),
    "retired": kubernetes.render(TO, wanted(), None, BEFORE),
    "never": kubernetes.render(TO, wanted(), None, None),
}


def manifests(files: Files) -> list[dict[str, Any]]:
    """What the kustomization takes in."""
    names = yaml.safe_load(files["kustomization.yaml"])["resources"]
    return [one for name in names for one in yaml.safe_load_all(files[name])]


def of(files: Files, kind: str, name: str = "late-flights") -> dict[str, Any]:
    (found,) = (one for one in manifests(files) if (one["kind"], one["metadata"]["name"]) == (kind, name))
    return found


def container(files: Files, name: str = "late-flights") -> dict[str, Any]:
    (found,) = of(files, "Deployment", name)["spec"]["template"]["spec"]["containers"]
    return dict(found)


@pytest.mark.parametrize("version", ["1.30", "1.34", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("case", CASES)
def test_valid_by_the_schemas_of_kubernetes(case: str, version: str) -> None:
    checked = [one for one in manifests(CASES[case]) if one["apiVersion"] in OURS]
    for manifest in checked:
        kubernetes_validate.validate(manifest, version, strict=True)
    assert checked


def test_the_schemas_bite() -> None:
    broken = of(CASES["plain"], "Deployment")
    broken["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, "1.34", strict=True)


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="needs kubectl, which holds kustomize")
@pytest.mark.parametrize("case", CASES)
def test_kustomize_builds_it(case: str, tmp_path: Path) -> None:
    for name, text in CASES[case].items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = subprocess.run(["kubectl", "kustomize", str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = list(yaml.safe_load_all(done.stdout))
    assert len(built) == len(manifests(CASES[case]))
    assert {one["metadata"]["namespace"] for one in built} == {"late"}


def test_the_kustomization_names_every_file_but_the_examples() -> None:
    for files in CASES.values():
        named = {"kustomization.yaml", *yaml.safe_load(files["kustomization.yaml"])["resources"]}
        assert {name for name in files if not name.startswith("examples/")} == named


def test_twice_the_same_text() -> None:
    assert kubernetes.render(TO, FULL, NOW, BEFORE) == CASES["everything"]
    assert all(text.startswith("# Rendered by `gitloop deploy production`") for text in CASES["everything"].values())


@pytest.mark.parametrize("case", ["plain", "everything", "retired"])
def test_a_pod_may_do_little(case: str) -> None:
    deployments = [one for one in manifests(CASES[case]) if one["kind"] == "Deployment"]
    assert deployments
    for one in deployments:
        pod = one["spec"]["template"]["spec"]
        (only,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == 1034
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        locked = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
        assert only["securityContext"] == locked
        assert set(only["resources"]["requests"]) == {"cpu", "memory"}
        assert "memory" in only["resources"]["limits"]


def test_what_the_service_writes_can_be_written() -> None:
    plain = container(CASES["plain"])
    mounted = {one["mountPath"] for one in plain["volumeMounts"]}
    assert mounted == {TEMPORARY, "/home/bentoml/bento/src/predictions"}
    assert {one["name"]: one["value"] for one in plain["env"]}["BENTOML_HOME"].startswith(f"{TEMPORARY}/")
    volumes = of(CASES["plain"], "Deployment")["spec"]["template"]["spec"]["volumes"]
    assert {one["name"]: one["emptyDir"]["sizeLimit"] for one in volumes} == {"temporary": "1Gi", "log": "576Mi"}
    assert {one["mountPath"] for one in container(CASES["no log"])["volumeMounts"]} == {TEMPORARY}
    elsewhere = Release.of("v1.2.0", IMAGE, {"serving": {"log": {"folder": "/var/log/late"}}})
    assert elsewhere.folder == "/var/log/late"


def test_probes_ask_what_the_service_answers() -> None:
    plain = container(CASES["plain"])
    paths = {name: plain[name]["httpGet"]["path"] for name in ("startupProbe", "readinessProbe", "livenessProbe")}
    assert paths == {"startupProbe": "/readyz", "readinessProbe": "/readyz", "livenessProbe": "/livez"}
    grace = of(CASES["plain"], "Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert grace > plain["lifecycle"]["preStop"]["sleep"]["seconds"] + 30  # as long as a request may take


def test_the_image_is_named_by_version_and_digest() -> None:
    assert container(CASES["plain"])["image"] == f"{IMAGE}:v1.2.0"
    digest = "sha256:" + "a" * 64
    files = kubernetes.render(TO, wanted(), Release.of("v1.2.0", IMAGE, PARAMS, digest), None)
    assert container(files)["image"] == f"{IMAGE}:v1.2.0@{digest}"


def test_pods_by_load() -> None:
    scaler = of(CASES["plain"], "HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 4)
    assert [one["type"] for one in scaler["metrics"]] == ["Resource"]
    assert "replicas" not in of(CASES["plain"], "Deployment")["spec"]  # they would fight over it
    both = of(CASES["everything"], "HorizontalPodAutoscaler")["spec"]["metrics"]
    assert both[1]["pods"]["metric"] == {"name": "bentoml_service_request_in_progress"}
    assert both[1]["pods"]["target"] == {"type": "AverageValue", "averageValue": "8"}


def test_the_gauge_is_bentoml_s(tmp_path: Path) -> None:
    """As a service tells it that is started like an image: what it writes, it writes below the temporary folder."""
    (tmp_path / "service.py").write_text(SERVICE)
    port = free_port()
    here = {"BENTOML_HOME": str(tmp_path / "new/bentoml"), "HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "serve", "service:Echo", "--host", "127.0.0.1", "--port", str(port)]
    running = subprocess.Popen(command, cwd=tmp_path, env=os.environ | here, start_new_session=True)
    try:
        told = asked(f"http://127.0.0.1:{port}")
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(timeout=30)
    assert f'{kubernetes.IN_FLIGHT}{{endpoint="/echo"' in told


SERVICE = """
import bentoml
@bentoml.service
class Echo:
    @bentoml.api
    async def echo(self, number: int) -> int:
        return number
"""


def asked(url: str) -> str:
    """What the service tells Prometheus after a request."""
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        for _ in range(300):
            with suppress(httpx.TransportError):
                if client.get("/readyz").status_code == 200:
                    break
            time.sleep(0.1)
        assert client.post("/echo", json={"number": 1}).text == "1"
        return client.get("/metrics").text


@pytest.mark.parametrize(
    ("canary", "least", "most", "stable", "tried"),
    [
        (10, 2, 10, (9, 9), (1, 1)),
        (10, 3, 20, (9, 18), (1, 2)),
        (25, 8, 16, (6, 12), (2, 4)),
        (30, 2, 10, (3, 7), (1, 3)),
        (50, 1, 2, (1, 1), (1, 1)),
        (33, 2, 7, (3, 5), (1, 2)),
        (1, 1, 100, (99, 99), (1, 1)),
    ],
)
def test_a_canary_has_its_share_and_no_more(
    canary: int, least: int, most: int, stable: tuple[int, int], tried: tuple[int, int]
) -> None:
    found = kubernetes.tracks(wanted(canary, replicas={"min": least, "max": most}), NOW, BEFORE)
    assert found == {"stable": (BEFORE, *stable), "canary": (NOW, *tried)}
    for low, high in zip(tried, stable, strict=True):
        assert 100 * low <= canary * (low + high)


def test_a_canary_beside_the_version_before() -> None:
    files = CASES["everything"]
    assert container(files)["image"] == BEFORE.image
    assert container(files, "late-flights-canary")["image"] == NOW.image
    selector = of(files, "Service")["spec"]["selector"].items()
    matched = []
    for name in ("late-flights", "late-flights-canary"):
        spec = of(files, "Deployment", name)["spec"]
        assert selector <= spec["template"]["metadata"]["labels"].items()  # requests go to both
        assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()
        assert of(files, "HorizontalPodAutoscaler", name)["spec"]["scaleTargetRef"]["name"] == name
        matched.append(spec["selector"]["matchLabels"])
    assert matched[0] != matched[1]  # and each Deployment has its own pods
    # It takes itself out when too many of its requests fail; what ran before does not.
    terms = [
        {one["name"]: one["value"] for one in container(files, f"late-flights{name}")["env"]}
        for name in ("", "-canary")
    ]
    assert [one.get("GITLOOP_CANARY") for one in terms] == [None, "5/100"]
    assert of(files, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == dict(selector)


@pytest.mark.parametrize("before", [None, NOW], ids=["nothing", "the same"])
def test_no_canary_where_nothing_else_ran(before: Release | None) -> None:
    assert kubernetes.tracks(FULL, NOW, before) == {"stable": (NOW, 3, 20)}


def test_selectors_stay_from_version_to_version() -> None:
    """A Deployment's selector cannot be changed."""
    for kind in ("Deployment", "Service"):
        then, now = (
            of(kubernetes.render(TO, wanted(), release, None), kind)["spec"]["selector"] for release in (BEFORE, NOW)
        )
        assert then == now


def test_a_token_is_in_the_secret() -> None:
    asks = Release.of("v1.2.0", IMAGE, {"serving": {"token_env": "LATE_TOKEN"}})
    with pytest.raises(InputError) as caught:
        kubernetes.render(TO, wanted(), asks, None)
    assert caught.value.exit_code == 2
    assert str(caught.value) == (
        "environments/production.yaml: kubernetes.secret: v1.2.0 asks its callers for a token, which it takes from the "
        "variable LATE_TOKEN; name the Secret that holds it"
    )
    files = kubernetes.render(TO, FULL, asks, None)
    assert container(files)["envFrom"] == [{"secretRef": {"name": "late-secrets"}}]
    (endpoint,) = of(files, "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["authorization"] == {"credentials": {"name": "late-secrets", "key": "LATE_TOKEN"}}


def test_prometheus_finds_the_service() -> None:
    monitor = of(CASES["everything"], "ServiceMonitor")["spec"]
    service = of(CASES["everything"], "Service")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert [one["port"] for one in monitor["endpoints"]] == [one["name"] for one in service["spec"]["ports"]]
    assert "monitor.yaml" not in CASES["plain"]


def test_retired_a_notice_answers_in_its_place() -> None:
    files = CASES["retired"]
    assert [one["kind"] for one in manifests(files)] == ["Service", "ConfigMap", "Deployment"]
    one = container(files, "late-flights-notice")
    assert one["image"] == BEFORE.image
    said = {entry["name"]: entry["value"] for entry in one["env"]}["NOTICE"]
    assert said == "production is retired: environments/production.yaml says `version: none`"
    selector = of(files, "Service")["spec"]["selector"].items()
    pod = of(files, "Deployment", "late-flights-notice")["spec"]["template"]
    assert selector <= pod["metadata"]["labels"].items()
    (mount,) = one["volumeMounts"]
    (script,) = of(files, "ConfigMap", "late-flights-notice")["data"]
    assert one["command"] == ["python", f"{mount['mountPath']}/{script}"]


def test_argo_and_flux_follow_the_branch() -> None:
    argo = yaml.safe_load(CASES["plain"]["examples/argocd.yaml"])["spec"]
    assert argo["source"] == {"repoURL": TO.repository, "targetRevision": "env/production", "path": "."}
    assert argo["destination"]["namespace"] == "late"
    space, source, flux = yaml.safe_load_all(CASES["plain"]["examples/flux.yaml"])
    assert space["metadata"]["name"] == "late"
    assert source["spec"]["url"] == TO.repository
    assert source["spec"]["ref"] == {"branch": "env/production"}
    assert flux["spec"]["sourceRef"] == {"kind": "GitRepository", "name": source["metadata"]["name"]}
    kubernetes_validate.validate(space, "1.34", strict=True)
