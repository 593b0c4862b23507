"""BentoCloud runs what the environment says, or goes on with what ran before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clouds import KEY, Cloud, cloud, says
from deployed import Site
from repositories import git
from service import SOURCE

from gitloop.gitops import bentocloud

# Says something else than its model.
WRONG = ("desk.py", "said = outcomes(self.served, scores)", "said = outcomes(self.served, 1 - scores)")
TARGET = {"target": "bentocloud", "bentocloud": {"deployment": "leavers"}}
QUICK = "from gitloop.gitops import bentocloud; bentocloud.POLL = 0.2"


@pytest.fixture
def away(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Site, Cloud]]:
    """Versions that lock their packages: v0.5.0 is good, v0.6.0 says something else than its model."""
    for lock in SOURCE.parent.glob("requirements-serving*.txt"):
        shutil.copy(lock, site.root)
    path = site.root / "src/gitloop/serving" / WRONG[0]
    for version, text in (("v0.5.0", path.read_text()), ("v0.6.0", path.read_text().replace(*WRONG[1:]))):
        path.write_text(text)
        git(site.root, "add", "--all")
        git(site.root, "commit", "--quiet", "--message", version)
        git(site.root, "tag", "--annotate", f"model@{version}", "--message", f"Registered {version}: a test")
    git(site.root, "push", "--quiet", "origin", "main", "model@v0.5.0", "model@v0.6.0")
    monkeypatch.setenv("BENTOML_HOME", str(tmp_path / "bentoml"))
    (tmp_path / "cloud").mkdir()
    with cloud(tmp_path / "cloud") as (made, endpoint):
        monkeypatch.setenv("BENTO_CLOUD_API_KEY", KEY)
        monkeypatch.setenv("BENTO_CLOUD_API_ENDPOINT", endpoint)
        site.wants("v0.5.0", **TARGET)
        yield site, made


def test_created_then_left_alone_then_back_from_a_bad_version_and_taken_down(away: tuple[Site, Cloud]) -> None:
    site, there = away
    done = site.deploy("--push", code=QUICK)
    assert done.returncode == 0, done.stderr
    (url,) = there.deployments["leavers"].urls
    assert f"v0.5.0 runs in production: {url}\n" in done.stdout
    assert "ready, 10 expected rows as recorded" in done.stdout
    assert says(url) == "v0.5.0"
    assert site.stages() == [("model#production#1", "v0.5.0")]

    # Again: nothing is told, built or sent.
    there.asked.clear()
    assert "nothing had to change" in site.deploy("--push", code=QUICK).stdout
    assert {one.partition(" ")[0] for one in there.asked} == {"GET"}

    # One that says something else than its model: what ran before runs again, an issue says why.
    site.wants("v0.6.0")
    bad = site.deploy("--push", code=QUICK)
    assert bad.returncode == 1
    assert "production: v0.6.0 is not deployed: expected row 1: another score than the package records" in bad.stderr
    (issue,) = site.issues()
    assert issue["title"] == "v0.6.0 could not be deployed to production"
    assert "leavers is running: " in issue["body"]
    target = there.deployments["leavers"].latest_revision
    assert target is not None
    assert [one.bento.version for one in target.targets if one and one.bento] == ["v0.5.0"]
    assert site.stages() == [("model#production#1", "v0.5.0")]

    # One whose image cannot be built: likewise, without a word of prediction.
    there.fails.add("v0.6.0")
    assert "leavers: is image-build-failed at BentoCloud" in site.deploy("--push", code=QUICK).stderr

    # Of another commit under the name that was registered.
    there.bentos["customers:v0.6.0"].labels = []
    other = site.deploy("--push", code=QUICK)
    assert (other.returncode, "customers:v0.6.0: is at BentoCloud, of commit none" in other.stderr) == (1, True)

    # None.
    assert "nothing runs in production" in site.becomes("none", "--push")
    assert (there.deployments["leavers"].status, there.running) == ("terminated", {})
    assert "nothing had to change" in site.becomes("none", "--push")


def test_without_access(site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in bentocloud.NEEDS:
        monkeypatch.delenv(name, raising=False)
    site.wants("v0.1.0", **TARGET)
    done = site.deploy("--push")
    assert done.returncode == 2
    needs = "target: bentocloud needs BENTO_CLOUD_API_KEY and BENTO_CLOUD_API_ENDPOINT; put what `bentoml cloud login` "
    assert needs in done.stderr
    with cloud(tmp_path) as (_, endpoint):
        monkeypatch.setenv("BENTO_CLOUD_API_KEY", "guessed")
        monkeypatch.setenv("BENTO_CLOUD_API_ENDPOINT", endpoint)
        done = site.deploy("--push")
    assert done.returncode == 2
    assert f"BentoCloud at {endpoint} does not do what it is asked (request failed with status code 401" in done.stderr
    assert site.stages() == []
