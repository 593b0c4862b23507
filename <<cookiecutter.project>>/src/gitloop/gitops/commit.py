"""Commit what a run made back to the branch, and see that the new head is checked."""

from __future__ import annotations

import argparse
import os
import subprocess
from pathlib import Path

from gitloop import git, layout, ui
from gitloop.errors import InputError, Refused
from gitloop.files import read_json
from gitloop.gitops import actions, origin, storage

MADE = (layout.DVC_LOCK, layout.PARAMS, Path("metrics"), layout.CARD)
# A commit that touches none of these cannot make what was trained stale.
INPUTS = ("conf", "data", "src", "dvc.yaml", *(path.as_posix() for path in MADE))
TRAILER = "Gitloop-Trained"  # the commit that was trained
BRANCH = "gitloop/train"  # what main's own stale lock is proposed from
TRIES = 3
FORK = (
    "is out of step with what the pull request changes, and a fork cannot be committed to; run `make train`, commit "
    "dvc.lock, params.yaml, metrics/ and MODEL_CARD.md, and push"
)


def run(arguments: argparse.Namespace) -> None:
    """`gitloop commit [--push]`. Raises `Refused` for a fork, on main, and where the same commit is stale twice."""
    changed = git.git("status", "--porcelain", "--", *(path.as_posix() for path in MADE if _there(path)))
    if not changed:
        ui.say("nothing to commit: dvc.lock and metrics are in step with the branch")
        return
    if actions.fork():
        raise Refused(f"dvc.lock: {FORK}")
    trained = git.git("rev-parse", "HEAD")
    if git.asked("log", "-1", f"--format=%(trailers:key={TRAILER},valueonly)"):
        ran = ", ".join(read_json(layout.RUN, "gitloop reproduce")["ran"])
        raise Refused(
            f"{trained[:12]}: was made by a run and is stale again ({ran}): a stage does not give the same twice; "
            "set its seed, or leave out of src/ what reads the clock"
        )
    if arguments.push and storage.kind(Path()) not in (storage.HERE, storage.NONE):
        _push_data()
    commit(trained)
    if arguments.push:
        deliver(git.branch())


def commit(trained: str) -> None:
    """Commit what was made, and only that."""
    for path in MADE:
        if _there(path):
            git.git("add", "--all", "--", path.as_posix())
    chosen = read_json(layout.SELECTED, "gitloop select")
    message = f"Train: {chosen['candidate']} is chosen\n\n{chosen['reason']}\n\n{TRAILER}: {trained}"
    git.git("commit", "--quiet", "--no-verify", "--message", message, environment=actions.identity())
    ui.say(f"committed {', '.join(git.git('show', '--format=', '--name-only', 'HEAD').splitlines())}")


def deliver(branch: str | None) -> None:
    """Push to the branch; where it moved on meanwhile, after it if that leaves the result true, else not at all."""
    if branch is None:
        raise InputError("git: the head is detached, so there is no branch to push to; run `git switch BRANCH`")
    if branch == git.MAIN:
        _propose()
        return
    for _ in range(TRIES):
        if origin.push(f"HEAD:refs/heads/{branch}"):
            ui.say(f"pushed to {branch}")
            if layout.in_actions() and not os.environ.get("GITLOOP_APP"):
                from gitloop.gitops import forge

                # A push with GITHUB_TOKEN starts no workflow: the new head would have no checks.
                forge.here().dispatch("train.yml", branch, {})
            return
        if not _after(branch):
            return
    raise Refused(f"{branch}: moved on at each of {TRIES} tries to push; the newest commit's own run trains it")


def _after(branch: str) -> bool:
    """Put the commit after what the branch has now; False where that has its own training to do."""
    tip = origin.fetched(branch)
    if tip is None:
        ui.say(f"{branch} was deleted meanwhile: nothing is pushed")
        return False
    since = git.git("merge-base", "HEAD", tip)
    touched = git.git("diff", "--name-only", since, tip).splitlines()
    inputs = [name for name in touched if name in INPUTS or name.split("/")[0] in INPUTS]
    if inputs or not _rebase(tip):
        why = f"changed {', '.join(inputs[:3])}" if inputs else "conflicts with what was made"
        ui.say(f"{branch} moved on to {tip[:12]}, which {why}: its own run trains it, nothing is pushed")
        return False
    return True


def _rebase(tip: str) -> bool:
    """Whether the commit could be put after `tip`; who commits must be said, for Actions has no identity of its own."""
    try:
        git.git("rebase", "--quiet", tip, environment=actions.identity())
    except InputError:
        git.asked("rebase", "--abort")
        return False
    return True


def _propose() -> None:
    """main changes only by merge: what brings its lock in step is a pull request."""
    from gitloop.gitops import proposal

    body = (
        f"The last merge left `dvc.lock` on `{git.MAIN}` out of step with its configuration, code or data. "
        f"This brings in what a run of the pipeline on `{git.MAIN}` made."
    )
    head = git.git("rev-parse", "HEAD")
    pull = proposal.propose(BRANCH, head, "Train: bring dvc.lock in step", body, "gitloop:train")
    raise Refused(
        f"dvc.lock: is stale on {git.MAIN}; merge {pull.url or f'pull request {pull.number}'}, which mends it"
    )


def _push_data() -> None:
    """Data before the commit that names them: a reader of the commit finds them."""
    done = subprocess.run([layout.program("dvc"), "push", "--quiet"], capture_output=True, text=True, check=False)
    if done.returncode:
        reason = " ".join(done.stderr.split())[-300:]
        raise InputError(f"dvc push: {reason}; see that the run may write to the remote in .dvc/config")


def _there(path: Path) -> bool:
    return path.exists() or bool(git.asked("ls-files", "--", path.as_posix()))
