"""Start a workflow at a branch."""

from __future__ import annotations

import argparse
import re

from gitloop import git, ui
from gitloop.errors import InputError
from gitloop.gitops import forge


def run(arguments: argparse.Namespace) -> None:
    """`gitloop dispatch WORKFLOW`, at the branch that is worked on (of a pull request: its head)."""
    if not re.fullmatch(r"[\w.-]+\.ya?ml", arguments.workflow):
        raise InputError(f"{arguments.workflow}: is not the name of a workflow's file; give it as in `train.yml`")
    branch = git.branch()
    if branch is None:
        raise InputError("git: the head is detached, so there is no branch to start at; run `git switch BRANCH`")
    forge.here().dispatch(arguments.workflow, branch, {})
    ui.say(f"{arguments.workflow} is asked for at {branch}")
