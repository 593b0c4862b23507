"""Where a model comes from: baked into a Bento, or asked of Git."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from gitloop.errors import InputError
from gitloop.serving.origin import Origin, origin


def git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_outside_of_git_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert origin(tmp_path) == Origin()
    monkeypatch.setenv("PATH", str(tmp_path))  # no git either
    assert origin(tmp_path) == Origin()


def test_git_says_the_commit_and_whether_files_were_changed(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert origin(tmp_path) == Origin()  # no commit yet
    (tmp_path / "dvc.lock").write_text("schema: '2.0'\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "First")
    (tmp_path / "untracked").write_text("")
    digest = hashlib.sha256((tmp_path / "dvc.lock").read_bytes()).hexdigest()
    clean = Origin(commit=git(tmp_path, "rev-parse", "HEAD"), dirty=False, dvc_lock_sha256=digest)
    assert origin(tmp_path) == clean
    (tmp_path / "dvc.lock").write_text("schema: '2.1'\n")
    assert origin(tmp_path).dirty is True


def test_what_a_build_wrote_goes_before_git(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    built = Origin(commit="ab" * 20, dirty=False, dvc_lock_sha256="cd" * 32, version="v1.2.0")
    (tmp_path / "origin.json").write_text(built.model_dump_json())
    assert origin(tmp_path) == built


@pytest.mark.parametrize("content", ["{", "[]", '{"commit": 3}', '{"author": "x"}'])
def test_a_broken_origin_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "origin.json").write_text(content)
    with pytest.raises(InputError) as caught:
        origin(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'origin.json'}: is not ")
    assert len(str(caught.value).splitlines()) == 1
