"""A version's model comes from DVC's cache, else from its release, and is what was packaged."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from repositories import commit, git
from standin.server import standing_in
from standin.state import State

from gitloop.cli import main
from gitloop.errors import Refused
from gitloop.gitops import assets, fetch, registry
from gitloop.gitops.github import GitHub
from gitloop.gitops.local import Local

TAG = "model@v0.1.0"
STAGES = {"stages": {"package": {"cmd": "true", "outs": ["model"]}}}
FILES = {"model.onnx": b"weights" * 3000, "lineage.json": b"{}"}
NOWHERE = "v0.1.0: its model is in no cache and no remote that this clone knows, and "
MEND = f"; run `git checkout {TAG} && dvc repro` to make it again"


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """A model folder with its manifest."""
    folder.mkdir(parents=True)
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for name, content in {**files, "manifest.json": json.dumps({"files": sums}).encode()}.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("released")
    clone = folder / "clone"
    git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
    git(folder, "init", "--quiet", "--initial-branch=main", "clone")
    git(clone, "remote", "add", "origin", "../origin.git")
    (clone / "dvc.yaml").write_text(yaml.safe_dump(STAGES))
    (clone / ".gitignore").write_text("/model\n/model-v*\n")
    write(clone / "model", FILES)
    for arguments in (["init", "--quiet"], ["commit", "--force", "--quiet"]):
        subprocess.run([sys.executable, "-m", "dvc", *arguments], cwd=clone, check=True)
    commit(clone, "first")
    git(clone, "tag", "--annotate", TAG, "--message", "Registered v0.1.0: a test")
    git(clone, "push", "--quiet", "origin", "main", TAG)
    return folder


@pytest.fixture
def origin(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """In its clone, the working directory, nothing of DVC's cache is left."""
    shutil.copytree(site, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path / "clone")
    shutil.rmtree(".dvc/cache")
    return tmp_path / "origin.git"


def released(origin: Path, model: Path, cut: int | None = None) -> None:
    """Publish the first bytes of an archive of a folder."""
    archive = origin.parent / assets.named("v0.1.0")
    assets.pack(model, archive)
    archive.write_bytes(archive.read_bytes()[:cut])
    Local(origin).publish(TAG, "v0.1.0", "", [archive])


def fetched() -> dict[str, bytes] | None:
    """What is in the folder; None where there is none."""
    folder = Path("model-v0.1.0")
    assert not list(Path().glob(".*.tmp"))
    return (
        {path.name: path.read_bytes() for path in folder.iterdir() if path.name in FILES} if folder.exists() else None
    )


def test_it_comes_from_the_release_where_dvc_has_none(origin: Path) -> None:
    released(origin, Path("model"))
    for _ in range(2):
        assert main(["fetch", "v0.1.0"]) == 0
        assert sorted(path.name for path in Path("model-v0.1.0").iterdir()) == [
            "lineage.json",
            "manifest.json",
            "model.onnx",
        ]
        assert fetched() == FILES


def test_what_dvc_has_is_taken_from_there(origin: Path, site: Path, tmp_path: Path) -> None:
    released(origin, write(tmp_path / "other", {"model.onnx": b"other"}))
    shutil.copytree(site / "clone/.dvc/cache", ".dvc/cache")
    assert main(["fetch", "v0.1.0"]) == 0
    assert fetched() == FILES


def test_it_comes_from_github(origin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with standing_in(State(origin=origin)) as state:
        archive = origin.parent / assets.named("v0.1.0")
        assets.pack(Path("model"), archive)
        GitHub(state.repository, "ghs_bot", state.base_url, pause=0.0).publish(TAG, "v0.1.0", "", [archive])
        for name, value in {"REPOSITORY": state.repository, "API_URL": state.base_url, "TOKEN": "ghs_bot"}.items():
            monkeypatch.setenv(f"GITHUB_{name}", value)
        assert main(["fetch", "v0.1.0", "--to", "there"]) == 0
    assert (Path("there") / "model.onnx").read_bytes() == FILES["model.onnx"]


def test_a_release_that_was_tampered_with(origin: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed = tmp_path / "changed"
    shutil.copytree("model", changed)
    (changed / "model.onnx").write_bytes(b"WEIGHTS" * 3000)
    (changed / "more.py").write_text("evil()")
    released(origin, changed)
    assert main(["fetch", "v0.1.0"]) == 2
    said = capsys.readouterr().err
    assert f"v0.1.0: model-v0.1.0.tar of its release is not the model that was registered{MEND}" in said
    assert "model.onnx: is not the file that was packaged (its sha256 differs)" in said
    assert "more.py: does not belong to the model" in said
    assert fetched() is None


def test_a_release_whose_manifest_was_tampered_with_is_not_deployed(origin: Path, tmp_path: Path) -> None:
    """It is consistent in itself; what tells is dvc.lock."""
    version = registry.read().named("v0.1.0")
    released(origin, Path("model"))
    fetch.brought(version, Path("model-v0.1.0"))
    assert fetched() == FILES
    released(origin, write(tmp_path / "other", {**FILES, "lineage.json": b'{"rows": 1}'}))
    with pytest.raises(Refused, match="v0.1.0: its model is not the one that dvc.lock of "):
        fetch.brought(version, Path("model-v0.1.0"))


@pytest.mark.parametrize(
    ("size", "says"), [(5000, "is not a whole archive of files"), (1024, "manifest.json: not there")]
)
def test_a_release_that_is_cut_off(origin: Path, size: int, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """At the end of an entry it is an archive still."""
    released(origin, Path("model"), cut=size)
    assert main(["fetch", "v0.1.0"]) == 2
    assert says in capsys.readouterr().err
    assert fetched() is None


def test_it_is_nowhere(origin: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "v0.1.0"]) == 2
    assert f"{NOWHERE}no release of {TAG} has model-v0.1.0.tar{MEND}" in " ".join(capsys.readouterr().err.split())
    git(Path(), "remote", "set-url", "origin", "https://git.example.org/octo/late-flights")
    assert main(["fetch", "v0.1.0"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"{NOWHERE}its release cannot be asked for model-v0.1.0.tar (origin: is not a folder; " in said
    assert f"){MEND}" in said
    assert fetched() is None
