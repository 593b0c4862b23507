"""Rendered manifests go to branch env/NAME, one commit for each change, where Argo CD, Flux or a machine pulls them.

The branch holds what was rendered and nothing else. Each commit says from which commit of main it comes: of two runs
that deliver at a time the one of the later commit wins, in whatever order they arrive.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from gitloop import git
from gitloop.errors import InputError, Refused
from gitloop.gitops import actions, origin

TRIES = 5
SOURCE = "Rendered-from"  # the trailer that names the commit of main


def branch(name: str) -> str:
    return f"env/{name}"


def deliver(name: str, files: Mapping[str, str], says: str, public: bool) -> str | None:
    """Have the branch of an environment hold exactly these files, as HEAD has them; the new commit, None without one.

    `says` is the first line of its message. With `public` it is origin's branch, else the one here. May be repeated.
    Raises `Refused` where a later commit of main was delivered, or other runs are always sooner; `InputError` where
    origin cannot be reached.
    """
    source = git.git("rev-parse", "HEAD")
    tree = written(files)
    for _ in range(TRIES):
        tip = origin.fetched(branch(name)) if public else git.commit(f"refs/heads/{branch(name)}")
        if tip is not None and git.git("rev-parse", f"{tip}^{{tree}}") == tree:
            return None
        _not_later(name, tip, source, public)
        parents = ("-p", tip) if tip else ()
        message = ("-m", says, "-m", f"{SOURCE}: {source}")
        commit = git.git("commit-tree", tree, *parents, *message, environment=actions.identity())
        if not public:
            git.git("update-ref", f"refs/heads/{branch(name)}", commit, tip or "")
            return commit
        if origin.push(f"{commit}:refs/heads/{branch(name)}"):
            return commit
    raise Refused(f"{branch(name)}: at each of {TRIES} tries another run was sooner; run it again")


def written(files: Mapping[str, str]) -> str:
    """The tree that holds these files, whatever the work tree and its index hold, and Git's configuration of text."""
    for name in files:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ValueError(f"{name}: leads out of the branch")
    return git.tree({Path(name): text.encode("utf-8") for name, text in files.items()})


def _not_later(name: str, tip: str | None, source: str, public: bool) -> None:
    """Two merges in a row end with the later one."""
    if tip is None:
        return
    form = f"--format=%(trailers:key={SOURCE},valueonly)"
    came = git.git("log", "-1", form, tip)
    if public and came and git.commit(came) is None:  # main went on since this run began
        origin.main()
    if came in ("", source) or git.commit(came) is None:
        return  # it comes from a commit that is on main no longer: then it is not after ours
    if git.holds(came, source):
        raise Refused(
            f"{branch(name)}: comes from {came[:10]}, which is after {source[:10]}; nothing is delivered: deploy from "
            "the newest commit of main"
        )


def repository() -> str:
    """Where origin is, without credentials: for the examples of Argo CD and Flux."""
    url = git.asked("remote", "get-url", "origin")
    if url is None:
        raise InputError("git: there is no remote origin to deliver to; run `git remote add origin URL`")
    scheme, found, rest = url.partition("://")
    if not found or scheme == "ssh":  # of ssh the user is part of the address
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
