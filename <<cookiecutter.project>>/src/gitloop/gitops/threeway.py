"""Merge what a newer template generates into a repository: three ways, by Git, in a scratch folder.

The base is what the recorded commit of the template generates, made anew each time. So it is found however the last
update was merged: squashed, rebased or amended. The repository gets objects, and nothing else until the end.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import yaml

from gitloop import git, layout
from gitloop.errors import InputError

YOURS = ("conf", "data", "environments", "src", "tests")  # but for OURS
OURS = ("src/gitloop",)
MADE = ("params.yaml", "dvc.lock", "metrics", "MODEL_CARD.md")  # by the pipeline
GROUPS = ("environments",)  # and each folder of conf/: added whole where there is none
CONFIG = layout.CONF / "config.yaml"
IDENTITY = {f"GIT_{role}_{what}": "gitloop@localhost" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
# The template never moves a file of yours, and no hook or list of what to ignore of this machine has a say.
SETTINGS = f"[core]\n\thooksPath = {os.devnull}\n\texcludesFile = {os.devnull}\n[merge]\n\tdirectoryRenames = false\n"

Files = Mapping[str, tuple[str, str]]  # mode and blob by path


@dataclass(frozen=True)
class Scratch:
    """A repository of its own, with a work tree, that shares the objects of the one we are in."""

    folder: Path
    environment: dict[str, str]

    def git(self, *arguments: str, given: bytes = b"", index: str = "index") -> str:
        more = {"GIT_INDEX_FILE": str(self.folder / ".git" / index)}
        return git.git(*arguments, environment=self.environment | more, root=self.folder, given=given)

    def tree(self, work: Path) -> str:
        """The tree of all files of a folder."""
        places = {"GIT_DIR": str(self.folder / ".git"), "GIT_WORK_TREE": str(work)}
        index = {"GIT_INDEX_FILE": str(self.folder / ".git/added")}
        (self.folder / ".git/added").unlink(missing_ok=True)
        environment = self.environment | places | index
        git.git("add", "--all", environment=environment, root=work)
        return git.git("write-tree", environment=environment, root=work)

    def commit(self, tree: str, *parents: str) -> str:
        """A commit that nobody sees."""
        above = [word for parent in parents for word in ("-p", parent)]
        return self.git("commit-tree", tree, *above, "-m", "scratch")


@dataclass(frozen=True)
class Sides:
    """What the template gave and gives, as trees in which all that is not the template's is as in `head`."""

    head: str
    base: str
    new: str
    added: tuple[str, ...]  # groups of files that are the repository's from now on
    listed: tuple[str, ...]  # of them, those that got a line in conf/config.yaml
    unlisted: tuple[str, ...]  # those that should have one, and there is no place for it


@dataclass
class Merged:
    """The work tree of the scratch folder after the merge."""

    conflicts: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)  # the template deleted them, but they were changed here
    gone: list[str] = field(default_factory=list)  # deleted here, changed by the template


def scratch(folder: Path) -> Scratch:
    folder.mkdir()
    git.git("init", "--quiet", root=folder)
    with (folder / ".git/config").open("a", encoding="utf-8") as config:
        config.write(SETTINGS)
    objects = Path(git.git("rev-parse", "--git-path", "objects")).resolve()
    return Scratch(folder, {"GIT_OBJECT_DIRECTORY": str(objects), **IDENTITY})


def ours(path: str) -> bool:
    """Whether a file is the template's, so that an update may change it."""
    if any(_below(path, folder) for folder in OURS):
        return True
    return path != layout.ANSWERS.as_posix() and not any(_below(path, folder) for folder in (*YOURS, *MADE))


def sides(desk: Scratch, head: str, old: str, new: str, skip: Iterable[str] = ()) -> Sides:
    """The trees to merge, of the trees that both commits of the template gave. `skip`: files to leave as they are."""
    were, are, here = files(desk, old), files(desk, new), files(desk, f"{head}^{{tree}}")
    touched = {path for path in (*were, *are) if ours(path)} - set(skip)
    base = _tree(desk, head, {path: were.get(path) for path in touched})
    groups = _groups(were, are, here)
    more: dict[str, tuple[str, str] | None] = {path: one for path, one in are.items() if _group(path) in groups}
    listed: list[str] = []
    unlisted: list[str] = []
    if groups and CONFIG.as_posix() in here and CONFIG.as_posix() in are:
        mode, blob = here[CONFIG.as_posix()]
        mine, theirs = (desk.git("cat-file", "blob", one[CONFIG.as_posix()][1]) for one in (here, are))
        text, listed, unlisted = _listed(f"{mine}\n", theirs, groups)
        if listed:
            blob = desk.git("hash-object", "-w", "--stdin", given=text.encode())
            more[CONFIG.as_posix()] = (mode, blob)
    changed = {path: are.get(path) for path in touched} | more
    return Sides(head, base, _tree(desk, head, changed), tuple(sorted(groups)), tuple(listed), tuple(unlisted))


def merge(desk: Scratch, sides: Sides) -> Merged:
    """Do it in the scratch folder; where both changed the same lines, with Git's marks in the file."""
    desk.git("checkout", "--quiet", "--detach", desk.commit(f"{sides.head}^{{tree}}"))
    step = desk.commit(sides.new, desk.commit(sides.base))
    failed = None
    try:
        desk.git("cherry-pick", "--no-commit", step)
    except InputError as error:
        failed = error
    merged = Merged()
    for path, stages in _unmerged(desk):
        if stages == {1, 2}:
            merged.kept.append(path)
            desk.git("add", "--", path)
        elif stages == {1, 3}:
            merged.gone.append(path)
            desk.git("rm", "--quiet", "--force", "--", path)
        else:
            merged.conflicts.append(path)
    if failed is not None and not (merged.conflicts or merged.kept or merged.gone):
        raise failed
    return merged


def with_file(desk: Scratch, tree: str, path: Path, blob: str) -> str:
    """A tree with another content of one file."""
    return _tree(desk, tree, {path.as_posix(): ("100644", blob)})


def files(desk: Scratch, tree: str) -> Files:
    found = {}
    for line in desk.git("ls-tree", "-r", "-z", tree).split("\0"):
        about, _, path = line.partition("\t")
        if path:
            mode, _, blob = about.split()
            found[path] = (mode, blob)
    return found


def _tree(desk: Scratch, head: str, changed: Mapping[str, tuple[str, str] | None]) -> str:
    """The tree of a commit with other files; None: without it."""
    desk.git("read-tree", f"{head}^{{tree}}", index="side")
    lines = [f"0 {'0' * len(head)}\t{path}\0" for path, one in sorted(changed.items()) if one is None]
    lines += [f"{one[0]} {one[1]}\t{path}\0" for path, one in sorted(changed.items()) if one is not None]
    desk.git("update-index", "-z", "--index-info", given="".join(lines).encode(), index="side")
    return desk.git("write-tree", index="side")


def _groups(were: Files, are: Files, here: Files) -> set[str]:
    """The groups of files that the template has now, and neither it had nor the repository has."""
    known = {_group(path) for path in (*were, *here)}
    return {group for path in are if (group := _group(path)) and group not in known}


def _group(path: str) -> str | None:
    parts = PurePosixPath(path).parts
    if parts[0] == layout.CONF.as_posix():
        return "/".join(parts[:2]) if len(parts) > 2 else None
    return parts[0] if parts[0] in GROUPS and len(parts) > 1 else None


def _listed(mine: str, theirs: str, groups: Iterable[str]) -> tuple[str, list[str], list[str]]:
    """conf/config.yaml with a line for each new group that the template lists; those groups, and those without place.

    Nothing else of it changes.
    """
    lines, done, left = mine.splitlines(keepends=True), [], []
    for line in theirs.splitlines():
        entry = re.match(r" *- (\w+):", line)
        if entry is None or (group := f"{layout.CONF}/{entry[1]}") not in groups:
            continue
        items = [index for index, one in enumerate(lines) if re.match(r" *- ", one)]
        itself = [index for index in items if re.match(r" *- _self_", lines[index])]
        at = itself[0] if itself else (items or [-1])[-1] + 1
        indent = lines[items[0]][: lines[items[0]].index("-")] if items else ""
        trial = [*lines[:at], f"{indent}{line.strip()}\n", *lines[at:]]
        was, now = _defaults(lines), _defaults(trial)
        if was and [one for one in now if not (isinstance(one, dict) and entry[1] in one)] == was != now:
            lines = trial
            done.append(group)
        else:
            left.append(group)
    return "".join(lines), done, left


def _defaults(lines: Iterable[str]) -> list[object]:
    try:
        found = yaml.safe_load("".join(lines))
    except yaml.YAMLError:
        return []
    defaults = found.get("defaults") if isinstance(found, dict) else None
    return defaults if isinstance(defaults, list) else []


def _unmerged(desk: Scratch) -> Iterator[tuple[str, set[int]]]:
    found: dict[str, set[int]] = {}
    for line in desk.git("ls-files", "--unmerged", "-z").split("\0"):
        about, _, path = line.partition("\t")
        if path:
            found.setdefault(path, set()).add(int(about.split()[2]))
    yield from found.items()


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")
