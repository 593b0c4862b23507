"""How Argo CD and Flux follow a branch of rendered manifests: files to look at, applied to a cluster once, by hand."""

from __future__ import annotations

from gitloop.gitops.manifests import Destination, dumped


def render(to: Destination, namespace: str) -> dict[str, str]:
    """Files of the branch, by path."""
    name = f"{to.app}-{to.name}"
    application = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Application",
        "metadata": {"name": name, "namespace": "argocd"},
        "spec": {
            "project": "default",
            "source": {"repoURL": to.repository, "targetRevision": to.branch, "path": "."},
            "destination": {"server": "https://kubernetes.default.svc", "namespace": namespace},
            "syncPolicy": {
                "automated": {"prune": True, "selfHeal": True},
                "syncOptions": ["CreateNamespace=true"],
            },
        },
    }
    source = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {"interval": "1m", "url": to.repository, "ref": {"branch": to.branch}},
    }
    kustomization = {
        "apiVersion": "kustomize.toolkit.fluxcd.io/v1",
        "kind": "Kustomization",
        "metadata": {"name": name, "namespace": "flux-system"},
        "spec": {
            "interval": "10m",
            "sourceRef": {"kind": "GitRepository", "name": name},
            "path": "./",
            "prune": True,
            "wait": True,
            "timeout": "5m",
        },
    }
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    return {
        "examples/argocd.yaml": dumped(to, application),
        "examples/flux.yaml": dumped(to, space, source, kustomization),
    }
