"""Targets that pull: the branch of the environment says what runs, and changes when that does."""

from __future__ import annotations

import subprocess
from typing import Any

import pytest
from deployed import Site
from repositories import git

KUBERNETES = {"namespace": "customers", "image": "registry.example.org/team/customers"}
TARGETS: dict[str, tuple[dict[str, Any], str]] = {
    "kubernetes": ({"target": "kubernetes", "kubernetes": KUBERNETES}, "stable.yaml"),
    "compose": ({"target": "compose", "compose": {"image": KUBERNETES["image"], "port": 3000}}, "compose.yaml"),
}


DIGESTS = {"v0.1.0": f"sha256:{'1' * 64}", "v0.2.0": f"sha256:{'2' * 64}"}


@pytest.mark.parametrize("target", TARGETS)
def test_the_branch_follows_the_environment(target: str, site: Site) -> None:
    origin = site.root.parent / "origin.git"
    git(site.root, "remote", "set-url", "origin", str(origin))
    changes, file = TARGETS[target]
    site.wants("v0.1.0", **changes)
    early = site.deploy("--push")
    assert early.returncode == 1
    assert (
        f"v0.1.0: no image of it is recorded, and the target {target} runs one by its digest; run the " in early.stderr
    )
    for version, digest in DIGESTS.items():
        assert f"{version} has the image {digest}" in site.verb("pushed", version, digest, "--push").stdout
    assert "v0.1.0 runs in production: branch env/production" in site.becomes("v0.1.0", "--push")
    first = git(origin, "rev-parse", "env/production")
    assert f"image: {KUBERNETES['image']}:v0.1.0@{DIGESTS['v0.1.0']}" in git(origin, "show", f"env/production:{file}")
    assert "nothing had to change" in site.becomes("v0.1.0", "--push")
    assert git(origin, "rev-parse", "env/production") == first
    site.becomes("v0.2.0", "--push")
    assert f"image: {KUBERNETES['image']}:v0.2.0@{DIGESTS['v0.2.0']}" in git(origin, "show", f"env/production:{file}")
    assert "nothing runs in production, which says so" in site.becomes("none", "--push")
    assert "production is retired" in git(origin, "grep", "--ignore-case", "is retired", "env/production")
    assert git(origin, "log", "--format=%s", "env/production").splitlines() == [
        "production: none",
        "production: v0.2.0",
        "production: v0.1.0",
    ]
    assert site.stages() == [
        ("model#production!#3", "nothing"),
        ("model#production#1", "v0.1.0"),
        ("model#production#2", "v0.2.0"),
    ]
    assert site.pids() == set()


def test_an_image_is_recorded_once_and_where_it_was_moved_it_is_refused(site: Site) -> None:
    origin, first, other = site.root.parent / "origin.git", *DIGESTS.values()
    git(site.root, "remote", "set-url", "origin", str(origin))
    assert "v0.1.0 has the image" in site.verb("pushed", "v0.1.0", first).stdout
    site.wants("v0.1.0", **TARGETS["compose"][0])
    assert "image/v0.1.0: is not at origin" in site.deploy("--push").stderr
    assert "v0.1.0 has the image" in site.verb("pushed", "v0.1.0", first, "--push").stdout
    assert "v0.1.0 has the image" in site.verb("pushed", "v0.1.0", first, "--push").stdout
    again = site.verb("pushed", "v0.1.0", other)
    assert (again.returncode, f"its image is {first} already" in again.stderr) == (2, True)
    assert "is no digest" in site.verb("pushed", "v0.1.0", "latest").stderr
    assert site.deploy("--push").returncode == 0
    shown = subprocess.run(["gto", "show"], cwd=site.root, capture_output=True, text=True, check=True).stdout
    assert "image" not in shown
    move = ("tag", "--force", "--annotate", "image/v0.1.0", "--message")
    git(site.root, *move, f"The image of v0.1.0 is {other}", "model@v0.1.0^{commit}")
    assert "image/v0.1.0: is another tag at origin (" in site.deploy("--push").stderr
    git(site.root, *move, f"The image of v0.1.0 is {other}", "model@v0.2.0^{commit}")
    moved = site.deploy("--push")
    assert (moved.returncode, "image/v0.1.0: is not as `gitloop pushed` made it" in moved.stderr) == (1, True)
