"""A new project at the hub, taken to the point where its model is on main: by its own workflows."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from project import edit, generate, run, shrink
from repositories import git

from hub import hub
from hub.act import Run
from hub.gitserver import Push


class Seed(NamedTuple):
    """What the first push of a new project led to, and what is there after its pull request was merged."""

    first: list[Run]
    merged: list[Run]
    pushes: list[Push]
    threads: dict[int, dict[str, Any]]
    comments: dict[int, dict[str, Any]]
    origin: Path
    store: Path
    home: Path


def grow(where: Path) -> Seed:
    project = generate(where / "generated")
    shrink(project)
    edit(project / "conf/gates/default.yaml", slice_floor=None, slice_regression=None, champion=0.9)
    run(project, "gitloop", "params")
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--amend", "--message", "Ten days of flights, small models")
    with hub.opened(where / "hub") as here:
        git(project, "remote", "add", "origin", str(here.origin))
        first = here.push(project, "main")
        merged = here.merge("gitloop/train")
        return Seed(
            first, merged, here.pushes, here.state.threads, here.state.comments, here.origin, here.store, here.home
        )
