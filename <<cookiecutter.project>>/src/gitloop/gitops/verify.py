"""A version is what was registered: its tag was not moved, and its model is the one that its commit locks."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

from gitloop import git, layout
from gitloop.errors import GitloopError, InputError, Refused
from gitloop.files import locked
from gitloop.gitops import origin, stages
from gitloop.gitops.registry import Registry, Version
from gitloop.serving import integrity
from gitloop.serving.integrity import Package

MEND = "put the tag back (`gitloop versions` on a clone that has it), or register a new version"


def tag(version: Version, found: Registry, public: bool) -> None:
    """Raises `Refused` where the version's tag is not what it was, a line for each thing that tells.

    `public`: origin must have the tag. `InputError` where origin does not answer.
    """
    wrong = []
    here = git.git("rev-parse", f"refs/tags/{version.tag}")
    if git.asked("remote", "get-url", "origin") is not None:
        there = origin.has(f"refs/tags/{version.tag}")
        if there is not None and there != here:
            wrong.append(f"{version.tag}: is another tag at origin ({there[:10]}) than here ({here[:10]}); {MEND}")
        if there is None and public:
            wrong.append(f"{version.tag}: is not at origin; run `gitloop register --push` on main")
    for name, stage in ((name, stage) for name, them in found.stages.items() for stage in them):
        if stage.says.startswith(stages.message(version.name, name, "")) and stage.commit != version.commit:
            wrong.append(
                f"{version.tag}: is at {version.commit[:10]}, and was at {stage.commit[:10]} when model#{name}#"
                f"{stage.number} was recorded; {MEND}"
            )
    if version.recorded not in ("", version.commit):
        wrong.append(f"{version.tag}: is at {version.commit[:10]}, and was made for {version.recorded[:10]}; {MEND}")
    main = next((one for one in (f"refs/remotes/origin/{git.MAIN}", f"refs/heads/{git.MAIN}") if git.commit(one)), None)
    if main and not git.holds(main, version.commit):
        wrong.append(f"{version.tag}: {version.commit[:10]} is not in the history of {git.MAIN}; {MEND}")
    if wrong:
        raise Refused("\n".join(wrong))


def model(version: Version, folder: Path) -> Package:
    """The model in a folder. Raises `Refused` where it is not the one that dvc.lock of the version's commit names."""
    try:
        package = integrity.verified(folder)
    except GitloopError as error:
        raise Refused(f"{version.name}: its model does not verify, so it is not used\n{error}") from error
    expected = locked(git.content(version.commit, layout.DVC_LOCK), layout.MODEL)
    if expected != _dvc_hash(folder):
        raise Refused(
            f"{version.name}: its model is not the one that {layout.DVC_LOCK} of {version.commit[:10]} names "
            f"({expected or 'none'}); fetch it from a cache or remote that nobody changed"
        )
    return package


def provenance(version: Version, folder: Path) -> None:
    """That release.yml of this repository made the model, as GitHub attests; asked where `$GITLOOP_ATTESTED` is true.

    Raises `Refused` where that is not attested, and `InputError` where it cannot be asked.
    """
    if os.environ.get("GITLOOP_ATTESTED") != "true":
        return
    repository = os.environ.get("GITHUB_REPOSITORY", "")
    made_by = ("--repo", repository, "--signer-workflow", f"{repository}/.github/workflows/release.yml")
    command = ["gh", "attestation", "verify", str(folder / integrity.MANIFEST), *made_by]
    token = {"GH_TOKEN": os.environ.get("GITHUB_TOKEN", "")}
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | token)
    except FileNotFoundError as error:
        raise InputError("gh: is not installed, and provenance is to be verified; install it") from error
    if done.returncode:
        reason = " ".join(done.stderr.split())[-300:]
        raise Refused(
            f"{version.name}: its model is not attested as made by release.yml ({reason}); release it again, or set "
            "the variable GITLOOP_ATTEST to false if nothing is attested here"
        )


def _dvc_hash(folder: Path) -> str:
    """Of a folder without folders, as DVC computes it (dvc_data.hashfile.tree.Tree)."""
    files = [
        {"md5": hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest(), "relpath": path.name}
        for path in sorted(folder.iterdir())
    ]
    return f"{hashlib.md5(json.dumps(files, sort_keys=True).encode(), usedforsecurity=False).hexdigest()}.dir"
