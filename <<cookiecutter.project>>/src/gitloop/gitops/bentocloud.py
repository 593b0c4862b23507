"""The target `bentocloud`: a deployment at BentoCloud, by BentoML's own client, that is told what to run and tried.

`bentoml deploy` creates or updates by a name; here the Bento is built of what was registered, and what ran before is
brought back where the new one does not do what it should.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import bentoml
import bentoml.deployment
from bentoml.exceptions import BentoMLException, NotFound
from httpx import HTTPError

from gitloop import git, layout, settings
from gitloop.errors import InputError, Refused
from gitloop.gitops import fetch, registry, smoke, verify
from gitloop.gitops.environment import BentoCloud, Environment
from gitloop.gitops.place import Failed
from gitloop.gitops.registry import Version
from gitloop.gitops.stages import Delivered
from gitloop.serving import contents
from gitloop.serving.integrity import Package

NEEDS = ("BENTO_CLOUD_API_KEY", "BENTO_CLOUD_API_ENDPOINT")
POLL = 5.0  # seconds
PATIENCE = 1800.0  # for an image to be built and started
RUNS, ENDED = ("running", "scaled-to-zero"), ("failed", "image-build-failed", "terminated", "terminating", "unhealthy")
Deployment = Any  # bentoml's class is not public


def deliver(name: str, wanted: Environment, version: Version | None) -> Delivered:
    """Have the deployment run the version, or none.

    May be repeated. Raises `InputError` without access, `Refused` where what runs or is kept there is not what was
    registered, and `Failed` where the version does not do what it should; then what ran before runs again.
    """
    target = _target(wanted)
    _access(name)
    with _asking(name):
        there = _found(target.deployment)
        if version is None:
            return Delivered(_ended(there))
        tag = f"{contents.name(settings.load())}:{version.name}"
        with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
            fetch.brought(version, Path(folder) / layout.MODEL)
            package, token = verify.model(version, Path(folder) / layout.MODEL), _token(name, target, version)
            if there and there.get_bento(refetch=False) == tag and _answers(there, version, token):
                return Delivered(False)
            _built(version, tag)
            before = there.get_bento(refetch=False) if there and _status(there) not in ENDED else None
            made = _told(target, tag, there is not None)
            found = _tried(made, package, version, token, wanted.smoke.latency_ms)
        if found.problems:
            _back(target, made, before)
            raise Failed(found.problems, [f"{made.name} is {_status(made)}: {made.admin_console}"])
        return Delivered(True, found.says)


def url(wanted: Environment) -> str:
    """Where the deployment answers, or its name while that is not known."""
    there = _found(_target(wanted).deployment)
    return str(there._urls[0]) if there and there._urls else _target(wanted).deployment


def _access(name: str) -> None:
    if missing := [one for one in NEEDS if not os.environ.get(one)]:
        raise InputError(
            f"{layout.environment(name)}: target: bentocloud needs {' and '.join(missing)}; put what `bentoml cloud "
            "login` shows into the environment, in Actions as secrets"
        )


@contextmanager
def _asking(name: str) -> Iterator[None]:
    """What BentoCloud refuses, as a finding."""
    os.environ["BENTOML_DO_NOT_TRACK"] = "True"
    try:
        yield
    except (BentoMLException, HTTPError) as error:
        said = " ".join(str(error).split())[:300]
        raise InputError(
            f"{layout.environment(name)}: BentoCloud at {os.environ[NEEDS[1]]} does not do what it is asked ({said}); "
            f"look at {NEEDS[0]} and the deployment there"
        ) from error


def _found(deployment: str) -> Deployment | None:
    try:
        return bentoml.deployment.get(deployment)
    except NotFound:
        return None


def _ended(there: Deployment | None) -> bool:
    if there is None or _status(there) in ("terminated", "terminating"):
        return False
    bentoml.deployment.terminate(there.name, cluster=there.cluster)
    return True


def _told(target: BentoCloud, tag: str, exists: bool) -> Deployment:
    """Tell BentoCloud to run a Bento: an update leaves what was set there besides as it is."""
    tell = bentoml.deployment.update if exists else bentoml.deployment.create
    return tell(target.deployment, bento=tag, secrets=list(target.secrets) or None)


def _built(version: Version, tag: str) -> None:
    """Have the Bento in the store of this machine, of the commit that was registered, or at BentoCloud already."""
    from bentoml._internal.configuration.containers import BentoMLContainer

    name, _, number = tag.partition(":")
    there = BentoMLContainer.rest_api_client.get().v1.get_bento(name, number)
    if there is not None and there.upload_status == "success":
        said = {label.key: label.value for label in there.labels}
        if said.get("commit") != version.commit:
            raise Refused(
                f"{tag}: is at BentoCloud, of commit {said.get('commit', 'none')[:10]} and not {version.commit[:10]}; "
                "delete it there"
            )
        with suppress(NotFound):
            if bentoml.bentos.get(tag).info.labels.get("commit") != version.commit:
                bentoml.bentos.delete(tag)  # the client would take the one here for it
        return
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        clone = Path(folder) / "clone"
        git.git("clone", "--quiet", "--shared", "--no-checkout", ".", str(clone))
        git.git("checkout", "--quiet", "--detach", version.commit, root=clone)
        fetch.brought(version, clone / layout.MODEL)
        command = [sys.executable, "-m", "gitloop", "build", "--version", version.name]
        ours = os.environ | {"PYTHONPATH": str(clone / "src")}
        done = subprocess.run(command, cwd=clone, env=ours, capture_output=True, text=True, check=False)
    if done.returncode:
        raise InputError("\n".join(f"{version.name}: {line}" for line in done.stderr.splitlines()[-5:]))


def _status(there: Deployment, refetch: bool = False) -> str:
    return str(there.get_status(refetch=refetch).status)


def _answers(there: Deployment, version: Version, token: str | None) -> bool:
    return _status(there) in RUNS and bool(there._urls) and smoke.runs(there._urls[0], version.name, token)


def _tried(
    made: Deployment, package: Package, version: Version, token: str | None, latency_ms: float | None
) -> smoke.Tried:
    """Wait until it runs, and try it. While the new one starts, the one before may still answer."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        status = _status(made, refetch=True)
        if status in ENDED:
            return smoke.Tried([f"{made.name}: is {status} at BentoCloud ({made.admin_console})"])
        if _answers(made, version, token):
            return smoke.tried(made._urls[0], package, version.name, token, latency_ms)
        time.sleep(POLL)
    return smoke.Tried([f"{made.name}: {version.name} does not answer after {PATIENCE:g} s ({made.admin_console})"])


def _back(target: BentoCloud, made: Deployment, before: str | None) -> None:
    if before is None:
        bentoml.deployment.terminate(made.name, cluster=made.cluster)
    else:
        _told(target, before, exists=True)


def _token(name: str, target: BentoCloud, version: Version) -> str | None:
    params = registry.params(version.commit, version.name)
    variable = (params.get("serving") or {}).get("token_env")
    if variable and not target.secrets:
        raise InputError(
            f"{layout.environment(name)}: bentocloud.secrets: {version.name} asks its callers for a token, which it "
            f"takes from the variable {variable}; name the secret at BentoCloud that holds it"
        )
    return settings.secret(variable, "conf/serving/: token_env")


def _target(wanted: Environment) -> BentoCloud:
    assert wanted.bentocloud is not None  # noqa: S101 -- an environment of this target has it
    return wanted.bentocloud
