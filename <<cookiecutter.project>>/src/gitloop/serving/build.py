"""`gitloop build`: a Bento of the model in model/, exported to dist/ with its bill of materials."""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from gitloop import git, layout, settings, ui
from gitloop.errors import InputError, Refused
from gitloop.files import whole, write_json
from gitloop.serving import contents, integrity, runtime
from gitloop.serving.origin import Origin, origin
from gitloop.serving.sbom import model_component, sbom
from gitloop.settings import Settings

VERSION = r"[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?"  # as BentoML and registries of images take it
# The model answers as it did when it was packaged, from what lies in the working directory.
LOAD = "from gitloop import settings; from gitloop.serving import runtime; runtime.load(contract=settings.load().data)"


def run(arguments: argparse.Namespace) -> None:
    read = settings.load()
    named: str | None = arguments.version
    if named is not None and not re.fullmatch(VERSION, named):
        raise InputError(f"--version {named}: use small letters, digits, and `.`, `-` or `_` between them: v1.2.0")
    served = runtime.load(contract=read.data)
    code = contents.code(read, served.signature, Path("src").resolve())
    lock = contents.lock(served.signature)
    contents.check(code, lock)
    state = origin().model_copy(update={"version": named})
    _up_to_date(state, named)
    name, version = contents.name(read), named or served.version
    with tempfile.TemporaryDirectory(prefix="gitloop-build-") as folder:
        digest = contents.put(Path(folder), code, read, served.signature, state)
        new = _build(Path(folder), f"{name}:{version}", digest, read, replace=named is None)
    archive = layout.DIST / f"{name}-{version}.bento"
    if new or not archive.exists():
        _export(f"{name}:{version}", archive)
    sha256 = integrity.verified(layout.MODEL).sha256
    bill = archive.with_name(f"{name}-{version}.cdx.json")
    model = model_component(layout.MODEL, served.signature.name, sha256)
    write_json(bill, sbom(contents.requirements(lock), name, version, model))
    ui.say(f"{name}:{version} {'is built' if new else 'was built before from the same content'} (content {digest})")
    ui.say(f"  {archive}  {archive.stat().st_size / 1e6:.1f} MB: the Bento")
    ui.say(f"  {bill}  its bill of materials (CycloneDX)")
    ui.say("Next: `make image` puts it into a container")


def _up_to_date(state: Origin, named: str | None) -> None:
    """A version with a name must be what the repository says; without one it is enough to know that it is not."""
    wrong = []
    if state.commit is None:
        wrong.append("this is not a commit of a Git repository; commit first")
    if state.dirty:
        wrong.append("tracked files differ from the commit; commit them, or take the changes back")
    if layout.DVC_LOCK.exists() and stale():
        wrong.append("the pipeline is not up to date with its inputs; run `make train` and commit dvc.lock")
    if wrong and named is not None:
        raise Refused("\n".join(f"--version {named}: {line}" for line in wrong))
    for line in wrong:
        ui.warn(line)


def stale() -> bool:
    """Whether a stage up to the package would run; data that are in a remote or a cache need not be here for that."""
    command = [layout.program("dvc"), "repro", "--dry", "--allow-missing", "package"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return done.returncode != 0 or "Running stage" in done.stdout


def _build(folder: Path, tag: str, digest: str, read: Settings, replace: bool) -> bool:
    """Have BentoML build what lies in the folder; False where the store holds it already."""
    import bentoml

    try:
        before = bentoml.bentos.get(tag)
    except bentoml.exceptions.NotFound:
        before = None
    if before is not None:
        if before.info.labels.get("digest") == digest:
            return False
        commit = before.info.labels.get("commit", "none")
        # The store is the machine's: what a project of the same name left there is not this one's version.
        if not replace and git.commit(commit):
            raise Refused(
                f"{tag}: is built already, of other content (commit {commit[:12]}); use another --version, or "
                f"`bentoml delete {tag}`"
            )
        bentoml.bentos.delete(tag)
    _inside(folder, tag, read, "-c", LOAD)
    _inside(folder, tag, read, "-m", "bentoml", "build", "--version", tag.partition(":")[2], "--output", "tag", ".")
    return True


def _inside(folder: Path, tag: str, read: Settings, *command: str) -> None:
    """Run Python in the folder, where it sees nothing else of ours: what is missing in the Bento is missed now."""
    environment = os.environ | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",  # it would become part of the Bento
        "BENTOML_DO_NOT_TRACK": "True",
    }
    if read.serving.token_env:
        environment.setdefault(read.serving.token_env, "none")  # asked for when the service is imported, not kept
    done = subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        reason = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["no reason given"]
        raise InputError(f"{tag}: cannot be built ({reason[-1]})")


def _export(tag: str, archive: Path) -> None:
    import bentoml

    with tempfile.TemporaryDirectory(prefix="gitloop-build-") as folder:
        # An absolute path: BentoML takes a relative one from the root of the file system.
        exported = bentoml.bentos.export_bento(tag, str(Path(folder).resolve() / "one.bento"))
        with whole(archive) as temporary:
            shutil.copyfile(exported, temporary)
