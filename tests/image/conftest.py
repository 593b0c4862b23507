"""Buildah with a storage of its own, and an image of Debian's Python made by debootstrap: no registry is asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SUITE = "bookworm"
PACKAGES = "python3,python3-venv,ca-certificates"
BASE = "localhost/gitloop-base:latest"
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
NEEDED = ("buildah", "debootstrap")


@pytest.fixture(scope="session")
def storage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment in which buildah keeps images in a temporary folder, and needs neither daemon nor registry."""
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing or (AS_ROOT and subprocess.run([*AS_ROOT, "true"], capture_output=True, check=False).returncode):
        pytest.skip(
            f"no image is built, started and asked here: needs {' and '.join(missing) or 'root'}; "
            f"`apt-get install {' '.join(NEEDED)}`, and run as root"
        )
    folder = Path(tempfile.mkdtemp(prefix="gitloop-image-"))
    configuration = folder / "storage.conf"
    configuration.write_text(f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/graph"\nrunroot = "{folder}/run"\n')
    environment = {"CONTAINERS_STORAGE_CONF": str(configuration), "BUILDAH_ISOLATION": "chroot"}
    yield environment
    subprocess.run(["buildah", "rm", "--all"], env=os.environ | environment, capture_output=True, check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def base(storage: dict[str, str]) -> str:
    """Debian with Python; made once and kept in the temporary folder of the machine."""
    kept = Path(tempfile.gettempdir()) / f"gitloop-{SUITE}-{os.getuid()}.tar"
    if not kept.exists():
        folder = Path(tempfile.mkdtemp(prefix="gitloop-debootstrap-"))
        try:
            tool(*AS_ROOT, "debootstrap", "--variant=minbase", f"--include={PACKAGES}", SUITE, str(folder / "root"))
            left_out = [
                f"--exclude=./{name}/*" for name in ("dev", "proc", "sys", "var/cache/apt", "var/lib/apt/lists")
            ]
            tool(*AS_ROOT, "tar", "-C", str(folder / "root"), *left_out, "-cf", str(folder / "base.tar"), ".")
            tool(*AS_ROOT, "chown", str(os.getuid()), str(folder / "base.tar"))
            shutil.move(folder / "base.tar", kept.with_suffix(".new"))
            kept.with_suffix(".new").replace(kept)
        finally:
            tool(*AS_ROOT, "rm", "-rf", "--one-file-system", str(folder))
    container = tool("buildah", "from", "scratch", **storage).strip()
    tool("buildah", "add", "--quiet", container, str(kept), "/", **storage)
    tool("buildah", "commit", "--quiet", "--rm", container, BASE, **storage)
    return BASE


def tool(*command: str, **more: str) -> str:
    done = subprocess.run(command, env=os.environ | more, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout
