"""Targets that pull: the branch of the environment says what runs, and changes when that does."""

from __future__ import annotations

from typing import Any

import pytest
from deployed import Site
from repositories import git

KUBERNETES = {"namespace": "customers", "image": "registry.example.org/team/customers"}
TARGETS: dict[str, tuple[dict[str, Any], str]] = {
    "kubernetes": ({"target": "kubernetes", "kubernetes": KUBERNETES}, "stable.yaml"),
    "compose": ({"target": "compose", "compose": {"image": KUBERNETES["image"], "port": 3000}}, "compose.yaml"),
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_branch_follows_the_environment(target: str, site: Site) -> None:
    origin = site.root.parent / "origin.git"
    git(site.root, "remote", "set-url", "origin", str(origin))
    changes, file = TARGETS[target]
    site.wants("v0.1.0", **changes)
    assert "v0.1.0 runs in production: branch env/production" in site.becomes("v0.1.0", "--push")
    first = git(origin, "rev-parse", "env/production")
    assert f"image: {KUBERNETES['image']}:v0.1.0" in git(origin, "show", f"env/production:{file}")
    assert "nothing had to change" in site.becomes("v0.1.0", "--push")
    assert git(origin, "rev-parse", "env/production") == first
    site.becomes("v0.2.0", "--push")
    assert f"image: {KUBERNETES['image']}:v0.2.0" in git(origin, "show", f"env/production:{file}")
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


def test_a_target_that_is_not_delivered_to(site: Site) -> None:
    site.wants("v0.1.0", target="bentocloud", bentocloud={"deployment": "customers"})
    done = site.deploy("--push")
    assert done.returncode == 2
    assert "environments/production.yaml: target: bentocloud is not delivered to yet" in done.stderr
