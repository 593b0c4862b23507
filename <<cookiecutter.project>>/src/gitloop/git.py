"""Git, as far as gitloop needs it."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from gitloop import layout
from gitloop.errors import InputError

MAIN = "main"


def git(*arguments: str, environment: Mapping[str, str] | None = None, root: Path = Path(), given: bytes = b"") -> str:
    """What Git prints, without the white space around it. Raises `InputError` with what Git says."""
    done = _run(arguments, environment, root, given)
    if done.returncode:
        raise InputError(f"git {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())}")
    return done.stdout.decode(errors="replace").strip()


def asked(*arguments: str, root: Path = Path(), utc: bool = False) -> str | None:
    """What Git prints, local times as UTC if asked; None where it says no or is not installed."""
    try:
        done = _run(arguments, {"TZ": "UTC"} if utc else None, root)
    except InputError:
        return None
    return None if done.returncode else done.stdout.decode(errors="replace").strip()


def content(revision: str, path: Path | str) -> bytes | None:
    """A file as it is in a revision; None where it is not there."""
    done = _run(("show", f"{revision}:./{Path(path).as_posix()}"), None)
    return None if done.returncode else done.stdout


def contents(wanted: Iterable[tuple[str, Path]]) -> dict[tuple[str, Path], bytes | None]:
    """Files at commits, all asked of one process; None where one is not there."""
    keys = list(wanted)
    prefix = git("rev-parse", "--show-prefix")
    lines = "".join(f"{commit}:{prefix}{path.as_posix()}\n" for commit, path in keys)
    done = _run(("cat-file", "--batch"), None, given=lines.encode())
    found: dict[tuple[str, Path], bytes | None] = {}
    rest = done.stdout
    for key in keys:
        header, _, rest = rest.partition(b"\n")
        if header.endswith(b"missing"):
            found[key] = None
            continue
        size = int(header.split()[-1])
        found[key], rest = rest[:size], rest[size + 1 :]
    return found


def tree(files: Mapping[Path, bytes], base: str | None = None) -> str:
    """A tree that holds these files, beside what `base` has; the work tree and its index are left as they are."""
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        index = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        git("read-tree", base or "--empty", environment=index)
        for path, content in files.items():
            blob = _run(("hash-object", "-w", "--stdin"), None, given=content).stdout.decode().strip()
            git("update-index", "--add", "--cacheinfo", f"100644,{blob},{path.as_posix()}", environment=index)
        return git("write-tree", environment=index)


def same(revision: str | None, *paths: Path) -> bool:
    """Whether files are there, and are what they are in a revision."""
    return revision is not None and all(
        path.is_file() and content(revision, path) == path.read_bytes() for path in paths
    )


def extracted(revision: str, path: str, folder: Path) -> bool:
    """Write a folder as it is in a revision below another; False where it is not there."""
    done = _run(("archive", revision, path), None)
    if done.returncode:
        return False
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        packed.extractall(folder, filter="data")
    return True


def commit(revision: str) -> str | None:
    """The full hash of a revision; None where there is none."""
    return asked("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")


def branch() -> str | None:
    """The branch that is worked on: as Actions says it, else as Git does; None on a detached head."""
    if layout.in_actions():
        return os.environ.get("GITHUB_HEAD_REF") or (
            os.environ.get("GITHUB_REF_NAME") if os.environ.get("GITHUB_REF_TYPE") != "tag" else None
        )
    return asked("symbolic-ref", "--quiet", "--short", "HEAD")


def holds(revision: str, commit: str) -> bool:
    """Whether a commit is in the history of a revision."""
    return asked("merge-base", "--is-ancestor", commit, revision) is not None


def base() -> str | None:
    """The commit that the work is compared with: `$GITLOOP_BASE`, else where it left main; on main the commit before.

    On a laptop's main with changes that are not committed it is the last commit. None where there is no such commit.
    Raises `InputError` where `$GITLOOP_BASE` is not a revision.
    """
    if wanted := os.environ.get("GITLOOP_BASE"):
        found = commit(wanted)
        if found is None:
            raise InputError(f"GITLOOP_BASE={wanted}: is not a revision of this repository; fetch it, or unset it")
        return found
    head = commit("HEAD")
    if head is None:
        return None
    if branch() != MAIN:
        for name in (f"refs/remotes/origin/{MAIN}", f"refs/heads/{MAIN}"):
            if (tip := commit(name)) is not None:
                return asked("merge-base", head, tip)
    elif not layout.in_actions() and changed():
        return head
    return commit(f"{head}^")


def changed(*paths: str, since: str = "HEAD") -> bool:
    """Whether tracked files (below `paths`) differ from a revision."""
    return asked("diff", "--quiet", since, "--", *paths) is None


def _run(
    arguments: Sequence[str], environment: Mapping[str, str] | None, root: Path = Path(), given: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["git", "--no-optional-locks", *arguments],
            cwd=root,
            capture_output=True,
            check=False,
            input=given,
            env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C", **(environment or {})},
        )
    except FileNotFoundError as error:
        raise InputError("git: is not installed; install it") from error
