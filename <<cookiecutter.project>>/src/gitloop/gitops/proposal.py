"""A change that people decide on: a branch of one commit on main, and its one open pull request."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from gitloop import git, layout
from gitloop.errors import InputError
from gitloop.gitops import actions, forge, origin
from gitloop.gitops.forge import Pull

TRIES = 3


def commit(base: str | None, files: Mapping[Path, bytes], message: str) -> str:
    """A commit on `base`, or without one before it, with other contents of some files.

    The work tree and its index are left as they are.
    """
    tree = git.tree(files, base)
    parents = ("-p", base) if base else ()
    return git.git("commit-tree", tree, *parents, "-m", message, environment=actions.identity())


def propose(branch: str, made: str, title: str, body: str, label: str) -> Pull:
    """Push the commit as the branch, open its pull request or bring it up to date, and see that it is checked.

    A branch that says the same already is left as it is. Raises `InputError` where origin refuses.
    """
    # Where another run pushes at the same moment one of both is refused, and finds that its branch is there already.
    if not any(_there(branch, made) or origin.push(f"+{made}:refs/heads/{branch}") for _ in range(TRIES)):
        raise InputError(f"git push: {branch} was not taken by origin; allow this workflow `contents: write`")
    here = forge.here()
    pull = here.propose(branch, git.MAIN, title, body, (label,))
    if layout.in_actions() and not os.environ.get("GITLOOP_APP"):
        # What GITHUB_TOKEN pushes starts no workflow: the proposal would have no checks.
        here.dispatch("train.yml", branch, {})
    return pull


def _there(branch: str, made: str) -> bool:
    """Whether origin's branch is a commit of the same content on the same parent."""
    tip = origin.fetched(branch)
    form = "--format=%T %P"
    return tip is not None and git.git("log", "-1", form, tip) == git.git("log", "-1", form, made)
