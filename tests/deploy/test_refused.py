"""What was never registered, is not what was registered, or cannot be named: refused before anything runs."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from deployed import Site
from repositories import git

MEND = "put the tag back (`gitloop versions` on a clone that has it), or register a new version"
Break = Callable[[Site], None]


def _at(site: Site, revision: str) -> str:
    return git(site.root, "rev-parse", f"{revision}^{{commit}}")[:10]


def _move(site: Site, where: str, revision: str, *more: str) -> None:
    git(site.root / where, "tag", "--force", "--annotate", "model@v0.2.0", revision, "--message", "moved", *more)


def moved_here(site: Site) -> None:
    _move(site, ".", "model@v0.1.0^{commit}")


def moved_there(site: Site) -> None:
    _move(site, "../origin.git", "model@v0.1.0^{commit}")


def moved_everywhere_after_staging(site: Site) -> None:
    """staging was given the version; now the tag is at another commit, here and there."""
    said = ("--message", "v0.2.0 runs in staging")
    git(site.root, "tag", "--annotate", "model#staging#1", "model@v0.2.0^{commit}", *said)
    for where in (".", "../origin.git"):
        _move(site, where, "model@v0.1.0^{commit}")
    git(site.root, "fetch", "--quiet", "--tags", "--force", "origin")


def beside_main(site: Site) -> None:
    git(site.root, "switch", "--quiet", "--create", "side")
    git(site.root, "commit", "--quiet", "--allow-empty", "--message", "not reviewed")
    _move(site, ".", "side")
    git(site.root, "push", "--quiet", "--force", "origin", "model@v0.2.0")


def only_here(site: Site) -> None:
    git(site.root / "../origin.git", "tag", "--delete", "model@v0.2.0")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (moved_here, "model@v0.2.0: is another tag at origin ("),
        (moved_there, "model@v0.2.0: is another tag at origin ("),
        (
            moved_everywhere_after_staging,
            "model@v0.2.0: is at {v0.1.0}, and was at {v0.2.0} when model#staging#1 was recorded; " + MEND,
        ),
        (beside_main, "is not in the history of main; " + MEND),
        (only_here, "model@v0.2.0: is not at origin; run `gitloop register --push` on main"),
    ],
)
def test_a_tag_that_was_moved(change: Break, says: str, site: Site) -> None:
    commits = {version: _at(site, f"model@{version}") for version in ("v0.1.0", "v0.2.0")}
    change(site)
    for version, commit in commits.items():
        says = says.replace(f"{{{version}}}", commit)
    site.wants("v0.2.0")
    done = site.deploy("--push")
    assert done.returncode == 1
    assert says in done.stderr
    _nothing_runs(site)


def test_a_version_that_was_never_registered(site: Site) -> None:
    site.wants("v0.9.0")
    done = site.deploy("--push")
    assert done.returncode == 2
    assert "v0.9.0: was never registered (there are v0.2.0, v0.3.0, v0.4.0)" in done.stderr
    _nothing_runs(site)


def _cached(site: Site, name: str) -> Path:
    """The file of the model in DVC's cache."""
    md5 = hashlib.md5((site.root / "model" / name).read_bytes(), usedforsecurity=False).hexdigest()
    return site.root / f".dvc/cache/files/md5/{md5[:2]}/{md5[2:]}"


def _write(path: Path, content: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(content)


@pytest.mark.parametrize("consistent", [False, True], ids=["one file", "its manifest too"])
def test_a_model_that_was_tampered_with(consistent: bool, site: Site) -> None:
    metrics = b'{"metric": "roc_auc", "metrics": {"roc_auc": {"value": 1.0}}}'
    manifest = json.loads((site.root / "model/manifest.json").read_text())
    manifest["files"]["metrics.json"] = hashlib.sha256(metrics).hexdigest()
    _write(_cached(site, "metrics.json"), metrics)
    if consistent:
        _write(_cached(site, "manifest.json"), json.dumps(manifest).encode())
    site.wants("v0.2.0")
    done = site.deploy("--push")
    assert done.returncode == 1, done.stderr
    if consistent:
        assert "v0.2.0: its model is not the one that dvc.lock of " in done.stderr
    else:
        assert "metrics.json: is not the file that was packaged (its sha256 differs)" in done.stderr
    assert site.services() == []
    assert site.stages() == []
    assert site.get("/readyz").json()["notice"] == "nothing is deployed yet"


def test_a_port_that_is_taken(site: Site) -> None:
    site.wants("v0.1.0")
    with socket.socket() as other:
        other.bind(("127.0.0.1", site.port))
        other.listen()
        done = site.deploy()
    assert done.returncode == 2
    assert f"environments/production.yaml: local.port: 127.0.0.1:{site.port} cannot be used (" in done.stderr
    assert "stop what uses it, or name another" in done.stderr
    _nothing_runs(site)


def _nothing_runs(site: Site) -> None:
    assert site.pids() == set()
    assert not any(name.startswith("model#production#") for name, _ in site.stages())
    assert not (site.folder / "state.json").exists()
