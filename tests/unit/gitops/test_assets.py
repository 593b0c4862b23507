"""A model folder as one file: the same bytes wherever and whenever, and nothing but files when it is opened."""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gitloop.errors import InputError
from gitloop.gitops import assets

Add = Callable[[tarfile.TarFile], None]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    (folder / "more").mkdir(parents=True)
    for name, content in {"z.onnx": bytes(range(256)) * 900, "größe.json": b"{}", "more/a.txt": b""}.items():
        (folder / name).write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def archive(path: Path, add: Add) -> Path:
    with tarfile.open(path, "w") as opened:
        opened.addfile(tarfile.TarInfo("first.json"))
        add(opened)
    return path


def test_it_comes_back_as_it_was(model: Path, tmp_path: Path) -> None:
    assets.pack(model, tmp_path / "model.tar")
    assets.unpack(tmp_path / "model.tar", tmp_path / "back")
    assert contents(tmp_path / "back") == contents(model)
    assert not list(tmp_path.glob(".*.tmp"))


def test_the_same_folder_gives_the_same_bytes(model: Path, tmp_path: Path) -> None:
    """Written in another order, at another time, with other permissions, and as a link into a cache."""
    assets.pack(model, tmp_path / "a.tar")
    other = tmp_path / "other"
    for path in sorted(model.rglob("*"), reverse=True):
        if path.is_file():
            (other / path.relative_to(model)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, other / path.relative_to(model))
            (other / path.relative_to(model)).chmod(0o700)
            os.utime(other / path.relative_to(model), (0, 0))
    (other / "z.onnx").unlink()
    (other / "z.onnx").symlink_to(model / "z.onnx")
    assets.pack(other, tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    with tarfile.open(tmp_path / "b.tar") as opened:
        assert [(one.name, one.mode, one.mtime, one.uid, one.uname) for one in opened] == [
            (name, 0o644, 0, 0, "") for name in ("größe.json", "more/a.txt", "z.onnx")
        ]


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="model: holds nothing to keep; run `dvc pull "):
        assets.pack(tmp_path / "model", tmp_path / "model.tar")
    assert not (tmp_path / "model.tar").exists()


def _entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Add:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link
    return lambda opened: opened.addfile(entry, io.BytesIO())


@pytest.mark.parametrize(
    ("add", "says"),
    [
        (_entry("../outside"), "outside the destination"),
        (_entry("a/../../outside"), "outside the destination"),
        (_entry("link", tarfile.SYMTYPE, "../secret"), "'link' is not a file; nothing of it is used"),
        (_entry("link", tarfile.LNKTYPE, "first.json"), "'link' is not a file; nothing of it is used"),
        (_entry("pipe", tarfile.FIFOTYPE), "'pipe' is not a file; nothing of it is used"),
        (_entry("device", tarfile.CHRTYPE), "'device' is not a file; nothing of it is used"),
    ],
    ids=["outside", "outside by a folder", "symbolic link", "hard link", "pipe", "device"],
)
def test_what_does_not_belong_in_it(tmp_path: Path, add: Add, says: str) -> None:
    (tmp_path / "in/to").mkdir(parents=True)
    with pytest.raises(InputError, match=says):
        assets.unpack(archive(tmp_path / "odd.tar", add), tmp_path / "in/to")
    assert not list(tmp_path.rglob("outside"))
    assert not any(path.is_symlink() for path in tmp_path.rglob("*"))


def test_an_absolute_path_stays_inside(tmp_path: Path) -> None:
    assets.unpack(archive(tmp_path / "odd.tar", _entry(f"{tmp_path}/outside")), tmp_path / "in")
    assert not (tmp_path / "outside").exists()
    assert (tmp_path / "in" / str(tmp_path).lstrip("/") / "outside").exists()


def test_a_hole_is_not_filled(tmp_path: Path) -> None:
    """A sparse file of a terabyte takes a few bytes of an archive."""
    sparse = tarfile.TarInfo("hole")
    sparse.pax_headers = {"GNU.sparse.map": "0,0", "GNU.sparse.size": str(1 << 40), "GNU.sparse.name": "hole"}
    made = archive(tmp_path / "odd.tar", lambda opened: opened.addfile(sparse))
    with pytest.raises(InputError, match="'hole' is not a file"):
        assets.unpack(made, tmp_path / "in")


@pytest.mark.parametrize("size", [0, 100, 700, 100_000])
def test_one_that_is_cut_off(model: Path, tmp_path: Path, size: int) -> None:
    assets.pack(model, tmp_path / "model.tar")
    (tmp_path / "cut.tar").write_bytes((tmp_path / "model.tar").read_bytes()[:size])
    with pytest.raises(InputError, match=r"cut\.tar: is not a whole archive of files \(.+\); nothing of it is used"):
        assets.unpack(tmp_path / "cut.tar", tmp_path / "back")
