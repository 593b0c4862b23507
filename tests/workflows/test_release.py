"""Releases and deploys, run by act: from a merge to a version that answers in production, and back."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from hub import events, hub
from hub.act import Run
from hub.hub import Hub
from project import edit, run
from repositories import git
from service import free_port

from gitloop.gitops import processes

LIGHT = ("release.yml", "deploy.yml")
# Says something else than its model.
WRONG = (
    "src/gitloop/serving/desk.py",
    "said = outcomes(self.served, scores)",
    "said = outcomes(self.served, 1 - scores)",
)


class Place:
    """The hub, with both environments on this machine."""

    def __init__(self, here: Hub) -> None:
        self.here = here
        self.ports = {"staging": free_port(), "production": free_port()}
        here.variables.clear()
        clone = self.clone()
        for name, port in self.ports.items():
            edit(clone / f"environments/{name}.yaml", local__port=port, smoke__latency_ms=5000)
        self.commit(clone, "Ports")
        here.workflows = ()
        here.push(clone, "main")

    def clone(self) -> Path:
        return self.here.clone(f"clone-{len(list(self.here.folder.iterdir()))}")

    def commit(self, clone: Path, message: str) -> None:
        git(clone, "add", "--all")
        git(clone, "commit", "--quiet", "--allow-empty", "--message", message)

    def main(self, message: str, workflows: tuple[str, ...] = LIGHT, **files: str) -> list[Run]:
        """Something is merged to main; the runs that come of it."""
        clone = self.clone()
        for name, text in files.items():
            (clone / name).write_text(text)
        self.commit(clone, message)
        self.here.workflows = workflows
        return self.here.push(clone, "main")

    def sets(self, name: str, **changes: Any) -> list[Run]:
        """A change of an environment is merged, and starts nothing yet."""
        clone = self.clone()
        edit(clone / f"environments/{name}.yaml", **changes)
        self.commit(clone, f"{name}: {changes}")
        return self.here.push(clone, "main")

    def deployed(self, name: str, **changes: Any) -> Run:
        self.here.workflows = LIGHT
        (made,) = self.sets(name, **changes)
        self.here.workflows = ()
        assert made.ok, made.log[-3000:]
        return made

    def refused(self, name: str, **changes: Any) -> str:
        """What the deploy says that a change leads to."""
        self.here.workflows = LIGHT
        (made,) = self.sets(name, **changes)
        self.here.workflows = ()
        assert not made.ok
        return made.log

    def released(self) -> Run:
        self.here.workflows = LIGHT
        (made,) = self.here.dispatch("release.yml", "main")
        self.here.workflows = ()
        return made

    def says(self, name: str) -> str:
        """The version that answers in an environment, or the status without one."""
        try:
            answer = httpx.get(f"http://127.0.0.1:{self.ports[name]}/model", timeout=30, trust_env=False)
        except httpx.TransportError:
            return "nothing"
        return str(answer.json()["version"]) if answer.status_code == 200 else str(answer.status_code)

    def tags(self) -> list[str]:
        return git(self.here.origin, "tag", "--list", "model*", "--sort=creatordate").splitlines()

    def pulls(self, head: str = "") -> list[dict[str, Any]]:
        return [one for one in self.here.state.pulls() if one["head"].startswith(head)]

    def issues(self) -> list[dict[str, Any]]:
        return [one for one in self.here.state.threads.values() if "head" not in one]

    def end(self) -> None:
        for found in processes.marks(str(self.here.home)).values():
            for process in found:
                with suppress(psutil.NoSuchProcess):
                    process.kill()


@pytest.fixture
def place(here: Hub) -> Iterator[Place]:
    made = Place(here)
    try:
        yield made
    finally:
        made.end()


# As GitHub's command answers of what release.yml attested.
GH = """#!/bin/sh
test "$1 $2" = "attestation verify" || exit 64
test -e "$HUB_STORE/attested/$(sha256sum "$3" | cut -d' ' -f1)" && exit 0
echo 'no attestations found' >&2
exit 1
"""


def test_from_a_merge_to_production_and_back(place: Place) -> None:
    """Without a remote, in a public repository: what is built is attested, and kept as a release."""
    here = place.here
    here.visibility = "public"
    (here.home / "bin").mkdir(parents=True)
    (here.home / "bin/gh").write_text(GH)
    (here.home / "bin/gh").chmod(0o755)

    # main has passed: its model is released, tried in staging, proposed for production.
    first, *_ = place.main("Words", workflows=("train.yml",), **{"NOTES.md": "hello"})
    assert first.ok, first.log[-3000:]
    assert set(first.jobs) == {"lint", "test", "train", "pass", "release", "plan", "deploy", "promote"}
    assert place.tags() == ["model@v0.1.0", "model#staging#1"]
    assert (place.says("staging"), place.says("production")) == ("v0.1.0", "nothing")
    ((head, title, body),) = [(one["head"], one["title"], one["body"]) for one in place.pulls()]
    assert (head, title) == ("gitloop/promote-production", "Promote v0.1.0 to production")
    assert "v0.1.0 runs in staging: ready, 10 expected rows as recorded, median" in body
    for part in ("### Gates", "### Metrics", "Lineage", "Model card", "### The way back"):
        assert part in body
    (kept,) = here.state.releases.values()
    assert kept["tag_name"] == "model@v0.1.0"
    assert sorted(one["name"] for one in kept["assets"].values()) == [
        "late-flights-v0.1.0.bento",
        "late-flights-v0.1.0.cdx.json",
        "model-v0.1.0.tar",
    ]
    # What GITHUB_TOKEN pushed is checked all the same.
    assert ("train.yml", "gitloop/promote-production") in [
        (one["workflow"], one["ref"]) for one in here.state.dispatches
    ]

    # Once more, and after a merge that leaves the model as it is: nothing comes twice.
    commit, tags = here.commit(head), place.tags()
    again = place.released()
    assert again.ok, again.log[-3000:]
    assert "v0.1.0 is this commit's version" in again.log
    assert (here.commit(head), place.tags(), len(place.pulls())) == (commit, tags, 1)
    place.main("More words", workflows=(), **{"NOTES.md": "good bye"})
    same = place.released()
    assert "the model is that of the newest version" in same.log
    assert set(same.jobs) == {"release"}
    assert (place.tags(), len(place.pulls()), len(here.state.releases)) == (tags, 1, 1)

    # What nobody attested is not deployed.
    attested = here.store / "attested"
    attested.rename(attested.with_name("hidden"))
    here.workflows = LIGHT
    (refused,) = here.merge(head)
    assert not refused.ok
    assert "v0.1.0: its model is not attested as made by release.yml (no attestations found)" in refused.log
    assert place.says("production") == "503"  # nothing is deployed yet
    attested.with_name("hidden").rename(attested)
    (deployed,) = here.dispatch("deploy.yml", "main")
    assert deployed.ok, deployed.log[-3000:]
    assert (place.says("staging"), place.says("production")) == ("v0.1.0", "v0.1.0")
    assert place.tags() == [*tags, "model#production#1"]

    # Reverting the merge goes back: here to nothing.
    clone = place.clone()
    git(clone, "revert", "--no-edit", "--mainline", "1", "HEAD")
    (back,) = here.push(clone, "main")
    assert back.ok, back.log[-3000:]
    assert (place.says("staging"), place.says("production")) == ("v0.1.0", "503")
    assert place.tags() == [*tags, "model#production#1", "model#production!#2"]


@pytest.fixture
def kept(place: Place, tmp_path: Path) -> Callable[..., None]:
    """With a remote. The function trains main with a parameter and other code, pushes data and commit, no more."""
    clone = place.clone()
    run(clone, "dvc", "remote", "add", "--default", "storage", str(tmp_path / "remote"))
    (tar,) = (place.here.store / "caches").glob("*/*.tar")
    with tarfile.open(tar) as archive:
        archive.extractall(clone, filter="data")

    def train(strength: float, *, wrong: bool = False) -> None:
        git(clone, "pull", "--quiet", "--rebase", "--autostash", "origin", "main")
        edit(clone / "conf/candidate/linear.yaml", linear__classifier__C=strength)
        path, right, other = clone / WRONG[0], *WRONG[1:]
        path.write_text(path.read_text().replace(*((right, other) if wrong else (other, right))))
        for command in ("gitloop params", "dvc repro --quiet", "dvc push --quiet"):
            run(clone, *command.split())
        place.commit(clone, f"Strength {strength}")
        place.here.workflows = ()
        place.here.push(clone, "main")

    return train


def test_what_is_bad_or_not_what_was_registered_does_not_run(
    place: Place, kept: Callable[..., None], tmp_path: Path
) -> None:
    here = place.here
    kept(0.5)
    assert place.released().ok
    assert here.state.releases == {}  # the remote keeps it
    place.deployed("production", version="v0.1.0")
    assert (place.says("staging"), place.says("production")) == ("v0.1.0", "v0.1.0")

    # A version that says something else than its model: staging stays, an issue, no proposal.
    kept(0.6, wrong=True)
    bad = place.released()
    assert (bad.jobs["release"], bad.jobs["deploy"], bad.jobs.get("promote")) == ("success", "failure", None)
    assert "staging: v0.2.0 is not deployed: expected row 1: another score than the package records" in bad.log
    assert place.says("staging") == "v0.1.0"
    assert [(one["title"], one["state"]) for one in place.issues()] == [
        ("v0.2.0 could not be deployed to staging", "open")
    ]
    assert [one["title"] for one in place.pulls()] == ["Promote v0.1.0 to production"]

    # Mended by the next one.
    kept(0.7)
    assert place.released().ok
    assert (place.says("staging"), place.says("production")) == ("v0.3.0", "v0.1.0")
    assert [one["state"] for one in place.issues()] == ["closed"]
    (pull,) = place.pulls()
    assert pull["title"] == "Promote v0.3.0 to production"
    assert "### Against v0.1.0 on the same rows" in pull["body"].replace("\u2060", "").replace("model@", "")

    # Two merges whose runs come in the wrong order end with the later merge.
    before = here.commit("main")
    for version in ("v0.3.0", "v0.1.0"):
        place.sets("production", version=version, smoke__latency_ms=4000)
    here.workflows = LIGHT
    for commit in git(here.origin, "rev-list", "--max-count=2", "main").splitlines():
        here._add("push", "refs/heads/main", commit, events.push(hub.NAME, "main", before, commit))
    assert [one.ok for one in here.settle()] == [True, True]
    assert place.says("production") == "v0.1.0"

    # Never registered; moved; another model in the remote.
    assert "v9.9.9: was never registered" in place.refused("production", version="v9.9.9")
    (tag, old) = (git(here.origin, "rev-parse", f"model@{name}") for name in ("v0.3.0", "v0.1.0^{commit}"))
    git(here.origin, "tag", "--force", "--annotate", "model@v0.3.0", old, "--message", "moved")
    assert "model@v0.3.0: is at" in place.refused("production", version="v0.3.0")
    git(here.origin, "update-ref", "refs/tags/model@v0.3.0", tag)
    lock = yaml.safe_load(git(here.origin, "show", "model@v0.3.0:dvc.lock"))
    (model,) = [out["md5"] for out in lock["stages"]["package"]["outs"] if out["path"] == "model"]
    listed = tmp_path / "remote/files/md5" / model[:2] / model[2:]
    (onnx,) = [one["md5"] for one in json.loads(listed.read_text()) if one["relpath"] == "model.onnx"]
    file = tmp_path / "remote/files/md5" / onnx[:2] / onnx[2:]
    file.chmod(0o644)
    content = file.read_bytes()
    file.write_bytes(content[:-8] + b"tampered")
    said = place.refused("production", version="v0.3.0", smoke__latency_ms=4001)
    assert "v0.3.0: is not deployed" in said or "v0.3.0: its model" in said
    file.write_bytes(content)
    assert place.says("production") == "v0.1.0"

    # The target that pulls: its image is built and recorded, and what is rendered goes to a branch, once.
    image = "ghcr.io/octo/late-flights"
    clone = place.clone()
    edit(clone / "environments/production.yaml", version="v0.3.0", target="kubernetes")
    with (clone / "environments/production.yaml").open("a") as yml:
        yml.write(f"kubernetes: {{namespace: flights, image: {image}}}\n")
    place.commit(clone, "To a cluster")
    here.workflows = LIGHT
    (early,) = here.push(clone, "main")
    assert not early.ok
    assert "v0.3.0: no image of it is recorded, and the target kubernetes runs one by its digest" in early.log
    pushed = place.released()
    assert pushed.ok, pushed.log[-3000:]
    assert set(pushed.jobs) == {"release", "image"}
    ((said, digest, *how),) = [line.split() for line in (here.store / "images").read_text().splitlines()]
    assert (said, how) == (f"{image}:v0.3.0", ["sbom=true", "provenance=mode=max"])
    assert digest in git(here.origin, "tag", "--list", "--format=%(contents)", "image/v0.3.0")
    here.workflows = LIGHT
    (rendered,) = here.dispatch("deploy.yml", "main")
    assert rendered.ok, rendered.log[-3000:]
    files = git(here.origin, "ls-tree", "-r", "--name-only", "env/production").splitlines()
    assert "kustomization.yaml" in files
    assert f"image: {image}:v0.3.0@{digest}" in git(here.origin, "grep", "image:", "env/production")
    there = here.commit("env/production")
    assert here.dispatch("deploy.yml", "main")[0].ok
    assert here.commit("env/production") == there
