"""`gitloop image`: a container image of a Bento, by docker, podman or buildah."""

from __future__ import annotations

import argparse
import contextlib
import logging
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from gitloop import layout, settings, ui
from gitloop.errors import InputError
from gitloop.serving import contents, integrity, network

# What each prints when it is ready to build.
BACKENDS = {
    "docker": ["docker", "info", "--format", "{{.ServerVersion}}"],
    "podman": ["podman", "info", "--format", "{{.Version.Version}}"],
    "buildah": ["buildah", "--version"],
}


class Lines(logging.Handler):
    """Shows what the backend says, and keeps the end of it."""

    def __init__(self) -> None:
        super().__init__()
        self.last: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = str(record.exc_info[1]) if record.exc_info else record.getMessage()
        self.last = [*self.last, *(line for line in text.splitlines() if line.strip())][-20:]
        if not record.exc_info:
            ui.note(record.getMessage().rstrip())


def run(arguments: argparse.Namespace) -> None:
    import bentoml
    import bentoml.container

    read = settings.load()
    version = arguments.version or integrity.verified(layout.MODEL).sha256[:12]
    tag = f"{contents.name(read)}:{version}"
    try:
        bentoml.bentos.get(tag)
    except (bentoml.exceptions.BentoMLException, ValueError) as error:
        again = f" --version {version}" if arguments.version else ""
        raise InputError(f"{tag}: is not built; run `gitloop build{again}` first") from error
    backend = _backend(arguments.backend)
    os.environ.setdefault("BUILDAH_FORMAT", "docker")  # of buildah and podman: OCI's own format has no health check
    logger, lines = logging.getLogger("bentoml"), Lines()
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    with tempfile.TemporaryDirectory(prefix="gitloop-image-") as folder:
        given = {"build_arg": (f"BASE={arguments.base}",)} if arguments.base else {}
        secret = tuple(network.secrets(Path(folder), os.environ, network.pip_files(os.environ)))
        # BentoML refuses its own temporary copy of the Dockerfile elsewhere: https://github.com/bentoml/BentoML/issues/5566
        with contextlib.chdir(tempfile.gettempdir()):
            made = bentoml.container.build(tag, backend=backend, image_tag=(tag,), secret=secret, **given)
    if made is None:  # BentoML logs errors and goes on
        raise InputError(f"{tag}: {backend} cannot build the image ({lines.last[-1] if lines.last else 'see above'})")
    run_it = {"docker": "docker run", "podman": "podman run"}.get(backend)
    ui.say(f"{tag} is an image of {backend}")
    if run_it:
        ui.say(f"Next: {run_it} --rm --publish 127.0.0.1:{read.serving.port}:3000 {tag}")


def _backend(asked: str | None) -> str:
    """The one asked for, or the first that is ready. Raises `InputError` naming what to install or to start."""
    problems = []
    for name in [asked] if asked else BACKENDS:
        if shutil.which(name) is None:
            problems.append(f"{name} is not installed")
        elif subprocess.run(BACKENDS[name], capture_output=True, check=False).returncode:
            problems.append(f"{name} is installed but does not answer (is its service running?)")
        else:
            return name
    others = " or another --backend" if asked else ""
    mend = f"install or start {asked or 'one of them'}{others}: `apt-get install podman`, for example"
    raise InputError(f"{', '.join(problems)}; {mend}")
