"""A model folder as one file, the same bytes for the same folder: what a release keeps of a version."""

from __future__ import annotations

import tarfile
from pathlib import Path

from gitloop.errors import InputError
from gitloop.files import whole


def named(version: str) -> str:
    """The name of the asset."""
    return f"model-{version}.tar"


def pack(folder: Path, to: Path) -> None:
    """Write the files of a folder, in the order of their names; nothing of when, where and by whom they were made."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    if not files:
        raise InputError(f"{folder}: holds nothing to keep; run `dvc pull {folder}`, or `dvc repro`")
    with whole(to) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as archive:
        for name, path in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            with path.open("rb") as content:
                entry.size = path.stat().st_size
                archive.addfile(entry, content)


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of an archive into a folder. Raises `InputError` where it is cut off or holds other things."""
    try:
        with tarfile.open(archive, "r:") as opened:
            for entry in opened:
                if not entry.isreg() or entry.issparse():
                    raise InputError(f"{archive}: {entry.name!r} is not a file; nothing of it is used")
            opened.extractall(folder, filter="data")
    except tarfile.TarError as error:
        raise InputError(f"{archive}: is not a whole archive of files ({error}); nothing of it is used") from error
