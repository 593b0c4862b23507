"""The target `compose`: a compose.yaml of a version, as pure functions. One machine pulls the branch and brings it up.

git clone --branch env/production URL late-flights && cd late-flights
git pull && docker compose up --detach --wait --remove-orphans     # again and again, by a timer
"""

from __future__ import annotations

from typing import Any

from gitloop.gitops.environment import Compose, Environment
from gitloop.gitops.manifests import NOTICE, PORT, TEMPORARY, USER, Destination, Release, dumped, needs_token


def render(to: Destination, wanted: Environment, now: Release | None, before: Release | None) -> dict[str, str]:
    """Files of the branch, by path. `now` is None where nothing is to run; then `before` lends its image to the notice.

    Raises `InputError` where the environment lacks what the version needs.
    """
    target = wanted.compose
    assert target is not None  # noqa: S101 -- an environment of this target has it
    files: dict[str, str] = {}
    top: dict[str, Any] = {"name": f"{to.app}-{to.name}"}
    if now is not None:
        needs_token(to, now, "compose.env_file", "file", target.env_file)
        top["services"] = {to.app: service(target, now)}
        if now.folder:
            top["volumes"] = {"log": {}}
    elif before is not None:
        top["services"] = {to.app: notice(to, target, before)}
        files["notice.py"] = NOTICE.read_text(encoding="utf-8")
    else:
        top["services"] = {}
    return {"compose.yaml": dumped(to, top)} | files


def service(target: Compose, release: Release) -> dict[str, Any]:
    """One container. The log is a volume, and outlives it; the image's own health check says when it is ready."""
    made = _locked(target, release.image) | {"environment": release.variables}
    made["tmpfs"] = [f"{TEMPORARY}:uid={USER},gid={USER},mode=1777"]
    if target.env_file:
        made["env_file"] = [_escaped(target.env_file)]
    if release.folder:
        made["volumes"] = [f"log:{_escaped(release.folder)}"]
    return made | {"stop_grace_period": "45s"}


def notice(to: Destination, target: Compose, before: Release) -> dict[str, Any]:
    """Runs in the image of the version before: it is there already, and holds Python."""
    return _locked(target, before.image) | {
        "command": ["python", "/notice.py"],
        "environment": {"NOTICE": to.notice, "PORT": str(PORT)},
        "healthcheck": {"disable": True},
        "volumes": ["./notice.py:/notice.py:ro"],
    }


def _locked(target: Compose, image: str) -> dict[str, Any]:
    return {
        "image": image,
        "user": f"{USER}:{USER}",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "restart": "unless-stopped",
        "ports": [f"{target.port}:{PORT}"],
    }


def _escaped(text: str) -> str:
    """Compose replaces `$NAME` by a variable's value."""
    return text.replace("$", "$$")
