"""The answer to a merge conflict in what runs make: take one side whole, and let the pipeline make it anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from gitloop import config, git, layout, ui
from gitloop.errors import InputError, Refused
from gitloop.gitops.commit import MADE


def run(_: argparse.Namespace) -> None:
    """`gitloop resolve`. Raises `Refused` where a conflict is a person's to resolve; safe to repeat."""
    other = _incoming()
    made = tuple(path.as_posix() for path in MADE)
    open_ = git.git("diff", "--name-only", "--diff-filter=U").splitlines()
    yours = [name for name in open_ if name not in made and name.split("/")[0] not in made]
    if yours:
        raise Refused(
            "\n".join(f"{name}: has a conflict that is yours; edit it, `git add {name}`, run again" for name in yours)
        )
    # All of one side: metrics of one beside the lock of the other would belong to no run.
    for name in made:
        if name == layout.PARAMS.as_posix():
            continue
        if git.asked("cat-file", "-e", f"{other}:{name}") is None:
            git.git("rm", "--quiet", "-r", "-f", "--ignore-unmatch", "--", name)
        else:
            git.git("rm", "--quiet", "-r", "-f", "--cached", "--ignore-unmatch", "--", name)
            git.git("checkout", other, "--", name)
    _sweep(other)
    git.asked("checkout", other, "--", layout.PARAMS.as_posix())
    config.sync(Path(), check=False)
    git.git("add", "--", layout.PARAMS.as_posix(), layout.CONF.as_posix())
    ui.say(
        f"dvc.lock, metrics/ and MODEL_CARD.md are as in {other[:12]}; params.yaml is composed from the merged conf/."
    )
    ui.say("Commit (or `git rebase --continue`) and push: the run trains what is stale. On this machine: `make train`.")


def _incoming() -> str:
    """The commit of the side that is taken: main's, where the branch is being merged with or put after it."""
    for name in ("MERGE_HEAD", "CHERRY_PICK_HEAD"):
        if (found := git.commit(name)) is not None:
            return found
    if git.commit("REBASE_HEAD") is not None:
        return git.git("rev-parse", "HEAD")
    raise InputError("git: no merge or rebase is under way; run `git merge main` first")


def _sweep(other: str) -> None:
    """Metrics that the side taken does not know are those of the other side's run."""
    known = set(git.git("ls-tree", "-r", "--name-only", other, "--", "metrics").splitlines())
    for path in sorted(Path("metrics").rglob("*.json")):
        if path.as_posix() not in known:
            path.unlink()
