"""`gitloop image` where it cannot: what to build, install or start first. Real images are built in tests/image."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gitloop.errors import InputError
from gitloop.serving import contents, image


def test_names_the_build_that_is_missing(project: Any, tmp_path: Path) -> None:
    folder = project()
    for options, mend in (([], "`gitloop build`"), (["--version", "v9"], "`gitloop build --version v9`")):
        done = subprocess.run(
            [sys.executable, "-m", "gitloop", "image", *options],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(contents.OURS), "BENTOML_HOME": str(tmp_path / "bentoml")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 2
        assert done.stderr.startswith("gitloop image: customers:")
        assert done.stderr.endswith(f": is not built; run {mend} first\n")


class TestBackend:
    @pytest.fixture(autouse=True)
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("PATH", str(tmp_path))
        return tmp_path

    def tool(self, path: Path, name: str, code: int) -> None:
        (path / name).write_text(f"#!/bin/sh\nexit {code}\n")
        (path / name).chmod(0o755)

    def test_none_is_there(self) -> None:
        with pytest.raises(InputError) as raised:
            image._backend(None)
        assert str(raised.value) == (
            "docker is not installed, podman is not installed, buildah is not installed; install or start one of them: "
            "`apt-get install podman`, for example"
        )

    def test_docker_without_its_daemon_is_passed_over(self, path: Path) -> None:
        self.tool(path, "docker", 1)
        self.tool(path, "buildah", 0)
        assert image._backend(None) == "buildah"
        with pytest.raises(InputError, match=r"docker is installed but does not answer .+ or another --backend"):
            image._backend("docker")

    def test_the_first_that_is_ready_is_taken(self, path: Path) -> None:
        self.tool(path, "podman", 0)
        self.tool(path, "buildah", 0)
        assert image._backend(None) == "podman"
        assert image._backend("buildah") == "buildah"
