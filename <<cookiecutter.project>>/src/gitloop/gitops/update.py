"""Bring the repository to a newer version of the template it was generated from: a three-way merge by Git."""

from __future__ import annotations

import argparse
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from gitloop import git, layout, ui
from gitloop.errors import InputError, Refused
from gitloop.gitops import actions, template, threeway, update_pull
from gitloop.gitops.template import Record, Template
from gitloop.gitops.threeway import Merged, Scratch, Sides
from gitloop.gitops.update_pull import Update

UNDER_WAY = ("MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD")
SHOWN = 20  # files
SAYS = "gitloop params: "
THEIRS = "`git checkout --theirs {0} && git add {0}`, and `make lock` at the end"


def run(arguments: argparse.Namespace) -> None:
    """`gitloop update [--template ADDRESS] [--from COMMIT] [--to REV] [--write FOLDER | --propose FOLDER]`.

    Nothing is changed before the merge is known. Raises `Refused` for changes that are not committed, and where both
    sides changed the same lines: then the merge is left in progress. Raises `InputError` where the template or what
    was recorded of it cannot be used.
    """
    if arguments.propose:
        update_pull.propose(Path(arguments.propose))
        return
    _ready()
    record = template.read()
    with tempfile.TemporaryDirectory(prefix="gitloop-update-") as name:
        folder = Path(name)
        newer = template.fetched(record, arguments.template, arguments.to, folder)
        old = _old(newer, record, arguments.since)
        before = f"{newer.name}: nothing to do: "
        if newer.commit == old or (arguments.to is None and _older(newer, old)):
            _nothing(arguments, before + "this repository has it already")
            return
        desk, head = threeway.scratch(folder / "merge"), git.git("rev-parse", "HEAD")
        trees, recorded = _trees(desk, newer, old, record, folder)
        if trees[0] == trees[1]:
            _nothing(arguments, before + "it generates what this repository was generated from")
            return
        sides = threeway.sides(desk, head, *trees)
        merged = threeway.merge(desk, sides)
        about = _done(desk, newer, old, record, recorded, sides, merged)
        if arguments.write:
            _write(Path(arguments.write), about, head)
        elif merged.conflicts:
            _leave(desk, head, trees, about, recorded)
        else:
            _take(about, head)


def _ready() -> None:
    """Raises `Refused` where something would be mixed into the update, or lost."""
    if git.git("rev-parse", "--show-prefix"):
        raise InputError("gitloop update: run it in the root of the repository")
    for name in UNDER_WAY:
        if git.commit(name) is not None:
            raise Refused("git: a merge, cherry-pick or rebase is under way; finish it or take it back first")
    changed = git.git("status", "--porcelain", "--untracked-files=no").splitlines()
    if changed:
        names = ", ".join(line.split(maxsplit=1)[1] for line in changed[:3])
        raise Refused(f"{names}: changed and not committed; commit (or `git stash`) it, then run again")


def _old(newer: Template, record: Record, since: str | None) -> str:
    """The template's commit that the repository has."""
    wanted = since or record.commit
    if wanted is None:
        raise InputError(
            f"{layout.ANSWERS}: commit: is not recorded (the repository is older than that, or was generated from "
            "files that were not committed); say from which commit of the template with --from COMMIT: the newest at "
            f"the time of `git log -1 --diff-filter=A -- {layout.ANSWERS}`"
        )
    found = newer.has(wanted) or newer.has(f"origin/{wanted}")
    if found is None and template.COMMIT.fullmatch(wanted):
        # Servers give a commit that no branch holds any more for a while.
        git.asked("fetch", "--quiet", "origin", wanted, root=newer.clone)
        found = newer.has(wanted)
    if found is None:
        raise InputError(
            f"{layout.ANSWERS}: commit: {wanted[:12]} is not in {newer.address} (its history was rewritten, or it is "
            "another template); say with --from COMMIT which commit of it this repository was generated from"
        )
    return found


def _older(newer: Template, old: str) -> bool:
    """Whether what would be updated to is in what the repository has."""
    return git.asked("merge-base", "--is-ancestor", newer.commit, old, root=newer.clone) is not None


def _trees(desk: Scratch, newer: Template, old: str, record: Record, folder: Path) -> tuple[tuple[str, str], Record]:
    """What both commits of the template generate, as trees; and what the newer one recorded."""
    made, _ = template.generated(newer, old, record, folder / "old")
    base = desk.tree(made)
    made, recorded = template.generated(newer, newer.commit, record, folder / "new")
    return (base, desk.tree(made)), _addressed(recorded, newer)


def _addressed(recorded: Record, newer: Template) -> Record:
    """A path of this machine is no address, but where it was recorded as one."""
    here = Path(newer.address).exists() and newer.address != recorded.template
    return recorded if here else Record(**{**vars(recorded), "template": newer.address})


def _done(
    desk: Scratch, newer: Template, old: str, record: Record, recorded: Record, sides: Sides, merged: Merged
) -> Update:
    """Finish what was merged in the scratch folder, as far as it goes without a person, and say what it is."""
    _recorded(desk.folder, recorded)
    needs = () if merged.conflicts else tuple(_parameters(desk))
    desk.git("add", "--all")
    tree = desk.git("write-tree")
    changed = desk.git("diff", "--name-status", "--no-renames", sides.head, tree).splitlines()
    return Update(
        found=True,
        old=old,
        new=newer.commit,
        name=newer.name,
        versions=(record.version, recorded.version),
        tree=tree,
        changed=tuple(line.replace("\t", " ") for line in changed),
        conflicts=tuple(merged.conflicts),
        kept=tuple(merged.kept),
        gone=tuple(merged.gone),
        added=sides.added,
        listed=sides.listed,
        asked={name: value for name, value in recorded.answers.items() if name not in record.answers},
        dropped=tuple(name for name in record.answers if name not in recorded.answers),
        needs=(*(f"conf/config.yaml: add `- {one.rpartition('/')[2]}: default`" for one in sides.unlisted), *needs),
        log=tuple(newer.log(old)[: update_pull.LISTED]),
    )


def _recorded(root: Path, recorded: Record) -> None:
    (root / layout.ANSWERS).write_text(recorded.text(), encoding="utf-8", newline="\n")


def _parameters(desk: Scratch) -> Iterator[str]:
    """Compose params.yaml anew by the newer gitloop; what it says against conf/, line by line."""
    source = {"PYTHONPATH": str(desk.folder / "src")}
    done = template.program(desk.folder, desk.folder.parent / "params", "-m", "gitloop", "params", **source)
    lines = done.stderr.strip().splitlines()
    said = [line.removeprefix(SAYS) for line in lines if line.startswith(SAYS)]
    if said and done.returncode in (Refused.exit_code, InputError.exit_code):
        yield from said
    elif done.returncode:
        last = (said or lines or [f"it ended with {done.returncode}"])[-1]
        yield f"{layout.PARAMS}: the newer gitloop does not run here ({last}); `make setup`, then `gitloop params`"


def _take(about: Update, head: str) -> None:
    """Move the branch on: by Git, which refuses where a file that it does not know lies in the way."""
    commit = _commit(about, head)
    try:
        git.git("merge", "--quiet", "--ff-only", commit)
    except InputError as error:
        raise InputError(f"{error}; nothing was changed: mend that, then run again") from error
    _told(about)
    if about.needs:
        raise Refused(
            "\n".join([*about.needs, "the update is committed, and asks this of conf/: mend it, then `gitloop params`"])
        )
    ui.say(f"{git.git('log', '-1', '--format=%h %s')}. Next: `make setup`, `make test`, `make train`.")


def _leave(desk: Scratch, head: str, trees: tuple[str, str], about: Update, recorded: Record) -> None:
    """Leave the merge in progress where a person has to go on. Raises `Refused` with what to do."""
    sides = threeway.sides(desk, head, *trees, skip=(*about.kept, *about.gone))
    blob = desk.git("hash-object", "-w", "--stdin", given=recorded.text().encode())
    new = threeway.with_file(desk, sides.new, layout.ANSWERS, blob)
    base = git.git("commit-tree", sides.base, "-m", f"The template at {about.old[:10]}", environment=_identity())
    step = git.git("commit-tree", new, "-p", base, "-m", about.message(), environment=_identity())
    picked = subprocess.run(
        ["git", "-c", "merge.directoryRenames=false", "cherry-pick", step],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", **_identity()},
    )
    if git.commit("CHERRY_PICK_HEAD") is None:
        raise InputError(
            f"git cherry-pick: {' '.join(picked.stderr.split())}; nothing was changed: mend that, run again"
        )
    _told(about)
    raise Refused(
        "\n".join(
            [
                *(_conflict(path) for path in about.conflicts),
                "then `git cherry-pick --continue`, `make setup`, `gitloop params`, and commit what that changes; "
                "`git cherry-pick --abort` takes all of it back",
            ]
        )
    )


def _conflict(path: str) -> str:
    """What is wrong with a file, and the mend."""
    said = f"{path}: you and the template changed the same lines; "
    if path.startswith("requirements"):
        return said + THEIRS.format(path)
    return said + f"edit it, then `git add {path}`"


def _write(folder: Path, about: Update, head: str) -> None:
    """For the workflow: the update as a bundle, and what it is. The branch stays where it is."""
    update_pull.write(folder, about, _commit(about, head))
    _told(about)
    ui.say(f"{folder}: written; `gitloop update --propose {folder}` opens the pull request")


def _nothing(arguments: argparse.Namespace, why: str) -> None:
    ui.say(why)
    if arguments.write:
        update_pull.write(Path(arguments.write), Update(found=False), None)


def _commit(about: Update, parent: str) -> str:
    return git.git("commit-tree", about.tree, "-p", parent, "-m", about.message(), environment=_identity())


def _identity() -> dict[str, str]:
    return actions.identity()


def _told(about: Update) -> None:
    """What a person should know of the update."""
    rows = [one.split(" ", 1) for one in about.changed[:SHOWN]]
    more = len(about.changed) - len(rows)
    ui.table(f"update to {about.name}", ["", "file"], [*rows, *([["", f"and {more} more"]] if more > 0 else [])])
    for line in update_pull.points(about):
        ui.say(line)
