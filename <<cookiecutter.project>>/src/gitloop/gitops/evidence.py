"""What a report is written from: what the work tree holds, what the base held, what verbs have said."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gitloop import git, layout
from gitloop.errors import InputError
from gitloop.files import parse_yaml
from gitloop.gitops import actions
from gitloop.gitops.commit import MADE, TRAILER
from gitloop.modeling import loosened
from gitloop.settings import Gates

KEPT = (
    layout.DVC_LOCK,
    layout.PARAMS,
    layout.SELECTED,
    layout.EVALUATION,
    layout.SOURCE,
    layout.VALIDATION,
    layout.SPLIT,
)
OF_MAIN = "main"


@dataclass(frozen=True)
class Side:
    """What is kept in Git, in the work tree or at a commit; None where it is not there or cannot be read."""

    params: dict[str, Any] = field(default_factory=dict)
    selected: dict[str, Any] | None = None
    evaluation: dict[str, Any] | None = None
    source: dict[str, Any] | None = None
    validation: dict[str, Any] | None = None
    split: dict[str, Any] | None = None
    test: str | None = None  # hash of the test slice

    @property
    def model(self) -> str | None:
        """Hash of the chosen model."""
        return self.selected["model"]["sha256"] if self.selected else None


@dataclass(frozen=True)
class Evidence:
    """Everything a report says. What verbs wrote is None where it is not there or speaks of something else."""

    now: Side
    was: Side | None = None
    base: str = OF_MAIN  # what `was` is, for people
    checks: dict[str, Any] | None = None
    run: dict[str, Any] | None = None
    gates: dict[str, Any] | None = None
    comparisons: tuple[dict[str, Any], ...] = ()  # with the champion, with main
    loosened: tuple[dict[str, Any], ...] = ()  # bounds: gate, was, now, and why the model breaks what it was
    code: tuple[str, ...] = ()  # files that differ
    unmade: bool = False  # what this run made is not what is committed
    trained: bool = False  # the commit was made by a run
    fork: bool = False
    on_main: bool = False
    actions: bool = False
    branch: str | None = None
    commit: str | None = None

    @property
    def same(self) -> bool:
        """Whether the model is that of the base."""
        return self.was is not None and self.now.model is not None and self.now.model == self.was.model


def gather(revision: str | None) -> Evidence:
    """Read it all, from the root of the repository. `revision`: compare with it. Raises `InputError`."""
    base, name = _base(revision)
    now = _side({path: path.read_bytes() if path.is_file() else None for path in KEPT})
    gates = said(layout.GATES)
    if gates and gates["sha256"] != now.model:
        gates = None
    made = [path.as_posix() for path in MADE if path.exists()]
    return Evidence(
        now=now,
        was=at(base) if base else None,
        base=name,
        checks=said(layout.CHECKS),
        run=said(layout.RUN),
        gates=gates,
        comparisons=compared(said(layout.COMPARISON), now.model),
        loosened=tuple(gates["loosened"]) if gates else _loosened(base, now.params),
        code=tuple((git.asked("diff", "--name-only", base, "--", *layout.CODE) or "").splitlines()) if base else (),
        unmade=bool(made and git.asked("status", "--porcelain", "--", *made)),
        trained=bool(git.asked("log", "-1", f"--format=%(trailers:key={TRAILER},valueonly)")),
        fork=actions.fork(),
        on_main=git.branch() == git.MAIN,
        actions=layout.in_actions(),
        branch=git.branch(),
        commit=git.commit("HEAD"),
    )


def _base(revision: str | None) -> tuple[str | None, str]:
    if revision:
        found = git.commit(revision)
        if found is None:
            raise InputError(f"--base {revision}: is not a revision of this repository; fetch it, or name another")
        return found, revision
    base = git.base()
    if git.branch() != git.MAIN:
        return base, OF_MAIN
    return base, "the last commit" if base == git.commit("HEAD") else "the commit before"


def at(commit: str) -> Side:
    """What Git has of a commit."""
    found = git.contents((commit, path) for path in KEPT)
    return _side({path: found[commit, path] for path in KEPT})


def _side(kept: dict[Path, bytes | None]) -> Side:
    lock = _yaml(kept[layout.DVC_LOCK]).get("stages") or {}
    outs = (lock.get("split") or {}).get("outs") or []
    return Side(
        params=_yaml(kept[layout.PARAMS]),
        selected=_json(kept[layout.SELECTED]),
        evaluation=_json(kept[layout.EVALUATION]),
        source=_json(kept[layout.SOURCE]),
        validation=_json(kept[layout.VALIDATION]),
        split=_json(kept[layout.SPLIT]),
        test=next((out.get("md5") for out in outs if out.get("path") == layout.TEST.as_posix()), None),
    )


def said(path: Path) -> Any:
    """What a verb wrote last, unless configuration or lock are newer: then it spoke of something else.

    Actions begins with none of these files, and the stages write the lock after the checks were made.
    """
    if not path.is_file():
        return None
    if layout.in_actions():
        return _json(path.read_bytes())
    since = max((one.stat().st_mtime_ns for one in (layout.PARAMS, layout.DVC_LOCK) if one.exists()), default=0)
    return _json(path.read_bytes()) if path.stat().st_mtime_ns >= since else None


def compared(found: dict[str, Any] | None, model: str | None) -> tuple[dict[str, Any], ...]:
    """The comparisons of this very model; what could not be compared says why."""
    both = [one for one in (found or {}).values() if isinstance(one, dict) and "judged" in one]
    return tuple(one for one in both if one.get("challenger", {}).get("sha256", model) == model)


def _loosened(base: str | None, params: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """Where the gates have not been checked, what the configuration alone tells."""
    was = loosened.at(base)
    if was is None:
        return ()
    try:
        return tuple(one._asdict() for one in loosened.looser(Gates.model_validate(params.get("gates")), was))
    except ValidationError:
        return ()


def _json(content: bytes | None) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError:
        return None


def _yaml(content: bytes | None) -> dict[str, Any]:
    try:
        found = parse_yaml(content) if content else None
    except yaml.YAMLError:
        found = None
    return found if isinstance(found, dict) else {}
