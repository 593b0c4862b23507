"""A release: built, registered, kept, and the same in the end wherever it was killed."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deployed import Site, environment
from killing import killed
from project import edit
from repositories import git
from service import SOURCE

TAG = "model@v0.1.0"
IMPORTS = "from gitloop.gitops import local, register, release"
RUN = "from gitloop.cli import main; main(['release', '--push'])"
# One between any two of its changes: to the store of Bentos, to dist/, to tags here, at origin, to what origin keeps.
POINTS = (
    ("release.build", "_export", "before"),
    ("release", "build_version", "after"),
    ("register", "_push", "before"),
    ("local.Local", "publish", "before"),
    ("local.Local", "publish", "after"),
)


@pytest.fixture
def merged(site: Site, tmp_path: Path) -> Site:
    """Nothing is registered, and a model was merged to main."""
    git(site.root, "remote", "set-url", "origin", str(site.root.parent / "origin.git"))
    for name in git(site.root, "tag", "--list").splitlines():
        git(site.root, "tag", "--delete", name)
        git(site.root, "push", "--quiet", "--delete", "origin", name)
    edit(site.root / "params.yaml", project__limits="None known.")
    (site.root / "metrics").mkdir(exist_ok=True)
    for name, content in (("selected", {"candidate": "linear", "model": {"sha256": "1"}}), ("evaluation", {})):
        path = site.root / f"metrics/{name}.json"
        path.write_text(path.read_text() if path.exists() else json.dumps(content))
    for lock in SOURCE.parent.glob("requirements-serving*.txt"):
        shutil.copy(lock, site.root)
    (site.root / "environments/staging.yaml").write_text("version: newest\n")
    (site.root / ".gitignore").write_text("/model\n/models\n/data\n/.deploy\n/dist\n__pycache__\n")
    git(site.root, "add", "--all")
    git(site.root, "commit", "--quiet", "--message", "a model")
    git(site.root, "push", "--quiet", "origin", "main")
    return site


def release(site: Site, home: Path, code: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *(("-c", code) if code else ("-m", "gitloop", "release", "--push"))]
    more = {"BENTOML_HOME": str(home)}
    return subprocess.run(command, cwd=site.root, env=environment() | more, capture_output=True, text=True, check=False)


def state(site: Site) -> tuple[list[str], list[str]]:
    """Tags at origin, and what its release keeps."""
    origin = site.root.parent / "origin.git"
    refs = git(origin, "for-each-ref", "--format=%(refname)", "refs/gitloop/releases").splitlines()
    files = [name for ref in refs for name in git(origin, "ls-tree", "-r", "--name-only", ref).splitlines()]
    return git(origin, "tag", "--list").splitlines(), sorted(Path(name).name for name in files)


def test_killed_anywhere_and_run_again_it_ends_the_same(merged: Site, tmp_path: Path) -> None:
    done = release(merged, tmp_path / "undisturbed")
    assert done.returncode == 0, done.stderr
    assert "v0.1.0 registered: the first version" in done.stdout
    assert "Next: `gitloop deploy staging` to run v0.1.0 there" in done.stdout
    wanted = state(merged)
    assert wanted[0] == [TAG]
    assert "model-v0.1.0.tar" in wanted[1]
    origin = merged.root.parent / "origin.git"
    for number, (where, name, when) in enumerate(POINTS):
        git(merged.root, "tag", "--delete", TAG, check=False)
        git(origin, "tag", "--delete", TAG, check=False)
        git(origin, "update-ref", "-d", f"refs/gitloop/releases/{TAG}")
        home = tmp_path / f"home-{number}"
        ended = release(merged, home, f"{killed(IMPORTS, where, name, when)}\n{RUN}")
        assert ended.returncode == -signal.SIGKILL, (where, name, when, ended.stderr)
        done = release(merged, home)
        assert done.returncode == 0, (where, name, when, done.stderr)
        assert state(merged) == wanted, (where, name, when)
    # Where Git says that the model is the newest version's, DVC is not asked.
    (merged.root / "NOTES.md").write_text("hello")
    git(merged.root, "add", "--all")
    git(merged.root, "commit", "--quiet", "--message", "words")
    done = release(merged, tmp_path / "undisturbed", f"{IMPORTS}\nrelease.build.stale = None\n{RUN}")
    assert "the model is that of the newest version: nothing to register" in done.stdout
    assert done.stderr == ""


def test_a_model_that_is_not_the_locked_one_is_not_released(merged: Site, tmp_path: Path) -> None:
    model = merged.root / "model/model.onnx"
    content = model.read_bytes()
    model.unlink()  # it may be a link into the cache
    model.write_bytes(content[:-4] + b"evil")
    assert "nothing to release: dvc.lock is not in step" in release(merged, tmp_path).stdout
    # Nor one that comes so from a cache.
    for file in (merged.root / ".dvc/cache/files/md5").rglob("*"):
        if file.is_file() and file.read_bytes() == content:
            file.chmod(0o644)
            file.write_bytes(content[:-4] + b"evil")
    shutil.rmtree(model.parent)
    done = release(merged, tmp_path)
    assert done.returncode == 1, done.stdout
    assert "v0.1.0: is not deployed" in done.stderr
    assert state(merged) == ([], [])


def test_a_lock_that_is_stale_is_not_released(merged: Site, tmp_path: Path) -> None:
    (merged.root / "dvc.yaml").write_text(
        (merged.root / "dvc.yaml").read_text().replace("gitloop package", "gitloop package --debug")
    )
    git(merged.root, "commit", "--quiet", "--all", "--message", "another command")
    done = release(merged, tmp_path)
    assert done.returncode == 0
    assert "nothing to release: dvc.lock is not in step with its inputs" in done.stdout
    assert state(merged) == ([], [])
