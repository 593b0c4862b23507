"""The target `kubernetes`: manifests of a version, as pure functions. Argo CD or Flux brings them into a cluster.

    kustomization.yaml   what belongs together, and the namespace
    service.yaml         one address for whatever runs
    stable.yaml          Deployment and HorizontalPodAutoscaler
    canary.yaml          the same of a version that is tried on a share of the pods
    disruption.yaml      how many pods a maintenance may take away
    monitor.yaml         what Prometheus asks, where wanted
    notice.yaml          instead of them where the service is retired: 503, and why
    examples/            how Argo CD and Flux follow this branch; belongs into the cluster, once

The Service spreads requests over all pods, so a canary's share of the pods is its share of the requests. Each of its
pods takes itself out when too many of its requests fail: it is not ready any more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gitloop.gitops import examples
from gitloop.gitops.environment import Environment, Kubernetes, pods
from gitloop.gitops.manifests import NOTICE, PORT, TEMPORARY, USER, Destination, Release, dumped, needs_token

Manifest = dict[str, Any]
STABLE, CANARY, RETIRED = "stable", "canary", "notice"
IN_FLIGHT = "bentoml_service_request_in_progress"  # requests of a pod; BentoML's gauge, by way of prometheus-adapter
DRAIN = 45  # seconds from the wish to stop to the end: longer than a request may take, which is 30


def render(to: Destination, wanted: Environment, now: Release | None, before: Release | None) -> dict[str, str]:
    """Files of the branch, by path. `now` is None where nothing is to run; `before` ran before it, and is needed only
    for a canary, of which it is the rest, and for the image of the notice.

    Raises `InputError` where the environment lacks what the version needs.
    """
    target = _target(wanted)
    parts = {"service.yaml": [service(to)]}
    if now is None:
        if before is not None:
            parts["notice.yaml"] = [notice_script(to), notice(to, before)]
    else:
        runs = tracks(wanted, now, before)
        for track, (release, least, most) in runs.items():
            needs_token(to, release, "kubernetes.secret", "Secret", target.secret)
            trial = f"{wanted.watch.errors:g}/{wanted.watch.requests}" if track == CANARY else None
            runs_as = replace(release, trial=trial)
            made = [deployment(to, target, track, runs_as), autoscaler(to, target, track, least, most)]
            parts[f"{track}.yaml"] = made
        parts["disruption.yaml"] = [disruption(to)]
        if target.monitor:
            parts["monitor.yaml"] = [monitor(to, target, now)]
    files = {path: dumped(to, *manifests) for path, manifests in parts.items()}
    files["kustomization.yaml"] = dumped(to, kustomization(target, list(parts)))
    return files | examples.render(to, target.namespace)


def tracks(wanted: Environment, now: Release, before: Release | None) -> dict[str, tuple[Release, int, int]]:
    """What runs beside each other: a version, and the fewest and the most of its pods.

    A canary never has more than its share; where that needs more pods than the fewest, there are more.
    """
    replicas = _target(wanted).replicas
    if wanted.canary is None or before is None or before.version == now.version:
        return {STABLE: (now, replicas.min, replicas.max)}
    least = max(replicas.min, pods(wanted.canary))
    few, many = (count * wanted.canary // 100 for count in (least, replicas.max))
    return {STABLE: (before, least - few, replicas.max - many), CANARY: (now, few, many)}


def service(to: Destination) -> Manifest:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return _manifest("v1", "Service", to, to.app, {"selector": _labels(to), "ports": ports})


def deployment(to: Destination, target: Kubernetes, track: str, release: Release) -> Manifest:
    """Without a number of replicas, which is the autoscaler's."""
    mounts = {"temporary": TEMPORARY} | ({"log": release.folder} if release.folder else {})
    container: Manifest = {
        "name": "service",
        "image": release.image,
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": name, "value": value} for name, value in release.variables.items()],
        **({"envFrom": [{"secretRef": {"name": target.secret}}]} if target.secret else {}),
        "resources": {
            "requests": {"cpu": target.resources.cpu, "memory": target.resources.memory},
            "limits": {"memory": target.resources.memory},
        },
        "startupProbe": _probe("/readyz", period=2, failures=60),
        "readinessProbe": _probe("/readyz", period=5, failures=2),
        "livenessProbe": _probe("/livez", period=10, failures=3),
        # Requests go on to arrive until every node has heard that the pod is going.
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "securityContext": _locked(),
        "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts.items()],
    }
    volumes: list[Manifest] = [{"name": "temporary", "emptyDir": {"sizeLimit": "1Gi"}}]
    if release.folder:
        volumes.append({"name": "log", "emptyDir": {"sizeLimit": f"{release.megabytes + 64}Mi"}})
    name = to.app if track == STABLE else f"{to.app}-{track}"
    return _deployment(to, name, track, release.version, container, volumes)


def autoscaler(to: Destination, target: Kubernetes, track: str, least: int, most: int) -> Manifest:
    name = to.app if track == STABLE else f"{to.app}-{track}"
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": target.replicas.cpu}}
    metrics: list[Manifest] = [{"type": "Resource", "resource": cpu}]
    if target.replicas.in_flight is not None:
        aim = {"type": "AverageValue", "averageValue": str(target.replicas.in_flight)}
        metrics.append({"type": "Pods", "pods": {"metric": {"name": IN_FLIGHT}, "target": aim}})
    spec = {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
        "minReplicas": least,
        "maxReplicas": most,
        "metrics": metrics,
    }
    return _manifest("autoscaling/v2", "HorizontalPodAutoscaler", to, name, spec)


def disruption(to: Destination) -> Manifest:
    spec = {"maxUnavailable": 1, "selector": {"matchLabels": _labels(to)}}
    return _manifest("policy/v1", "PodDisruptionBudget", to, to.app, spec)


def monitor(to: Destination, target: Kubernetes, release: Release) -> Manifest:
    """Of the Prometheus operator."""
    endpoint: Manifest = {"port": "http", "path": "/metrics", "interval": "15s"}
    if release.token:
        endpoint["authorization"] = {"credentials": {"name": target.secret, "key": release.token}}
    spec = {"selector": {"matchLabels": _labels(to)}, "endpoints": [endpoint]}
    return _manifest("monitoring.coreos.com/v1", "ServiceMonitor", to, to.app, spec)


def kustomization(target: Kubernetes, resources: list[str]) -> Manifest:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": target.namespace,
        "resources": resources,
    }


def notice_script(to: Destination) -> Manifest:
    made = _manifest("v1", "ConfigMap", to, f"{to.app}-notice", None)
    return made | {"data": {"notice.py": NOTICE.read_text(encoding="utf-8")}}


def notice(to: Destination, before: Release) -> Manifest:
    """Runs in the image of the version before: it is there already, and holds Python."""
    container = {
        "name": "notice",
        "image": before.image,
        "command": ["python", "/notice/notice.py"],
        "ports": [{"name": "http", "containerPort": PORT}],
        "env": [{"name": "NOTICE", "value": to.notice}, {"name": "PORT", "value": str(PORT)}],
        "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "64Mi"}},
        "readinessProbe": {"tcpSocket": {"port": "http"}, "periodSeconds": 5},
        "securityContext": _locked(),
        "volumeMounts": [{"name": "notice", "mountPath": "/notice"}],
    }
    volumes = [{"name": "notice", "configMap": {"name": f"{to.app}-notice"}}]
    return _deployment(to, f"{to.app}-notice", RETIRED, "none", container, volumes)


def _deployment(
    to: Destination, name: str, track: str, version: str, container: Manifest, volumes: list[Manifest]
) -> Manifest:
    labels = _labels(to) | {"gitloop/track": track}
    pod = {
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": DRAIN,
        "securityContext": {
            "runAsNonRoot": True,
            **dict.fromkeys(("runAsUser", "runAsGroup", "fsGroup"), USER),
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
                "labelSelector": {"matchLabels": labels},
            }
        ],
        "containers": [container],
        "volumes": volumes,
    }
    spec = {
        "selector": {"matchLabels": labels},
        # No pod goes before the one that takes over is ready.
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
        "template": {"metadata": {"labels": labels | {"app.kubernetes.io/version": version}}, "spec": pod},
    }
    return _manifest("apps/v1", "Deployment", to, name, spec)


def _manifest(api: str, kind: str, to: Destination, name: str, spec: Manifest | None) -> Manifest:
    labels = _labels(to) | {"app.kubernetes.io/managed-by": "gitloop"}
    made: Manifest = {"apiVersion": api, "kind": kind, "metadata": {"name": name, "labels": labels}}
    return made if spec is None else made | {"spec": spec}


def _labels(to: Destination) -> dict[str, str]:
    """By which the pods of an environment are found; they never change."""
    return {"app.kubernetes.io/name": to.app, "app.kubernetes.io/instance": to.name}


def _probe(path: str, period: int, failures: int) -> Manifest:
    asked = {"path": path, "port": "http"}
    return {"httpGet": asked, "periodSeconds": period, "failureThreshold": failures, "timeoutSeconds": 4}


def _locked() -> Manifest:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _target(wanted: Environment) -> Kubernetes:
    assert wanted.kubernetes is not None  # noqa: S101 -- an environment of this target has it
    return wanted.kubernetes
