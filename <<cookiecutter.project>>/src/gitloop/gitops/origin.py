"""The remote that everything is agreed on: what it has, and what it takes."""

from __future__ import annotations

from gitloop import git
from gitloop.errors import InputError, Refused
from gitloop.gitops import actions

REFUSED = ("rejected", "fetch first", "non-fast-forward", "cannot lock ref")
NO_WORKFLOWS = "to create or update workflow"  # as GitHub says it, of an app and of a person's token


class NoWorkflows(Refused):
    """The token may not change what is in .github/workflows."""


def push(refspec: str) -> bool:
    """Whether origin took it. Raises `InputError` where it does not answer or does not let us, `NoWorkflows` too."""
    try:
        git.git("push", "--quiet", "origin", refspec, environment=actions.credential())
    except InputError as error:
        if NO_WORKFLOWS in str(error):
            raise NoWorkflows(
                "git push: the token may not change .github/workflows, which GITHUB_TOKEN never may; push from a "
                "machine, or give the workflow a token that may (`workflows: write`)"
            ) from error
        if any(word in str(error) for word in REFUSED):
            return False
        raise
    return True


def recorded(tag: str) -> bool:
    """Whether origin took a tag. Where another run was first its tag counts and ours is gone, for it never did."""
    if push(f"refs/tags/{tag}:refs/tags/{tag}"):
        return True
    git.git("tag", "--delete", tag)
    git.git("fetch", "--quiet", "--tags", "--force", "origin", environment=actions.credential())
    return False


def has(ref: str) -> str | None:
    """The hash that a ref, `refs/tags/x`, has at origin; None where it is not. Raises `InputError` without origin."""
    try:
        said = git.git("ls-remote", "origin", ref, environment=actions.credential())
    except InputError as error:
        if git.asked("remote", "get-url", "origin") is not None:
            raise
        raise InputError(
            "origin: is not set, so nothing can be proposed or released; `git remote add origin ADDRESS`, without an "
            "account `git init --bare FOLDER && git remote add origin FOLDER`"
        ) from error
    return said.split()[0] if said else None


def fetched(branch: str) -> str | None:
    """The newest commit of a branch at origin, which is here now; None where there is no such branch."""
    if has(f"refs/heads/{branch}") is None:
        return None
    here = f"refs/remotes/origin/{branch}"
    refspec = f"+refs/heads/{branch}:{here}"
    git.git("fetch", "--quiet", "--no-tags", "origin", refspec, environment=actions.credential())
    return git.git("rev-parse", here)


def main() -> str:
    """The newest commit of main. Raises `InputError` where origin has none."""
    found = fetched(git.MAIN)
    if found is None:
        raise InputError(f"git: origin has no {git.MAIN}; push it first")
    return found
