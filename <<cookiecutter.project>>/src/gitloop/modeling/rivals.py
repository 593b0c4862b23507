"""Whom the chosen model is compared with: the champion and main's model, as Git knows them.

Light, so that a push that changes nothing is judged without loading what models need.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gitloop import git, layout
from gitloop.errors import InputError
from gitloop.files import read_json
from gitloop.settings import Settings

TAGS = "model@v*"
NONE_YET = "no champion yet: there is no model@v… tag, and no --champion was named"


def comparisons(loaded: Settings, revision: str | None) -> dict[str, Any]:
    """The content of reports/comparison.json: with the champion, and with main where that is another model or null.

    The champion is the revision named, else the newest version; before the first release it is main's model.
    """
    base = git.base()
    there = base if base and git.content(base, layout.SELECTED) else None
    named = revision or newest()
    if named is None and there is None:
        return {"champion": {"judged": False, "why": NONE_YET, "champion": None}, "main": None}
    if named is None or there is None:
        return {"champion": _with(loaded, named) if named else _main(loaded, there), "main": None}
    one = chosen_at(named)[1] == chosen_at(there)[1]
    return {"champion": _with(loaded, named), "main": None if one else _main(loaded, there)}


def _main(loaded: Settings, base: str | None) -> dict[str, Any]:
    """With main's model. That it cannot be had is no error: nobody asked for it by name."""
    try:
        return _with(loaded, base or git.MAIN, git.MAIN)
    except InputError as error:
        return {"judged": False, "why": str(error), "champion": {"revision": git.MAIN}}


def _with(loaded: Settings, revision: str, name: str | None = None) -> dict[str, Any]:
    """The comparison with a revision's model; where it is the same model there is nothing to compare."""
    commit, _ = chosen_at(revision)
    if same(commit):
        mine = read_json(layout.SELECTED, "gitloop select")
        who = {"revision": name or revision, "commit": commit, "candidate": mine["candidate"]}
        return {
            "judged": False,
            "why": f"the model is that of {name or revision}",
            "same": True,
            "challenger": {"sha256": mine["model"]["sha256"], "candidate": mine["candidate"]},
            "metric": loaded.data.metric,
            "champion": who,
        }
    from gitloop.modeling.compare import compare

    return compare(loaded, revision, name)


def newest() -> str | None:
    """The newest released version's tag, or None where nothing was released or there is no Git.

    Raises `InputError` in a shallow clone without tags: there a released champion would be overlooked.
    """
    tags = (git.asked("tag", "--list", TAGS, "--sort=-version:refname") or "").split()
    if not tags and git.asked("rev-parse", "--is-shallow-repository") == "true":
        raise InputError(
            "git: a shallow clone without tags does not show whether there is a champion; "
            "run `git fetch --unshallow --tags`, or name one with --champion"
        )
    return tags[0] if tags else None


def chosen_at(revision: str) -> tuple[str, dict[str, Any]]:
    """The commit of a revision, and path and sha256 of the model chosen there. Raises `InputError` where none was."""
    found = git.commit(revision)
    if found is None:
        raise InputError(f"--champion {revision}: is not a revision of this repository; fetch it, or name another")
    return found, json.loads(file(revision, found, layout.SELECTED))["model"]


def same(commit: str | None) -> bool:
    """Whether the model chosen at a commit is today's, and says the same of today's test slice."""
    there = git.content(commit, layout.SELECTED) if commit else None
    if there is None or not layout.SELECTED.is_file():
        return False
    both = [json.loads(one)["model"]["sha256"] for one in (there, layout.SELECTED.read_bytes())]
    return both[0] == both[1] and git.same(commit, layout.EVALUATION)


def untouched(base: str, tests: str | None) -> bool:
    """Whether nothing that made or judges the chosen model differs from a commit: then nobody need have its file."""
    kept = (layout.PARAMS, layout.DVC_LOCK, layout.SELECTED, layout.EVALUATION)
    paths = ["src", "dvc.yaml", *(path.as_posix() for path in kept), *([tests] if tests else [])]
    return not git.changed(*paths, since=base)


def file(revision: str, commit: str, path: Path) -> bytes:
    """A file of a revision. Raises `InputError` where it is not there."""
    content = git.content(commit, path)
    if content is None:
        raise InputError(f"{path}: is not there in {revision}, where no model was chosen; name another --champion")
    return content
