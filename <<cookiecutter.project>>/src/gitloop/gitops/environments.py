"""`gitloop environments`: what is to run where, and what does."""

from __future__ import annotations

import argparse
import json

from gitloop import git, layout, ui
from gitloop.errors import InputError
from gitloop.gitops import actions, environment, registry


def run(arguments: argparse.Namespace) -> None:
    """`gitloop environments [--since REV]`. Raises `InputError` where a file is wrong, a line for each key."""
    found, rows, problems = registry.read(), [], []
    for name in environment.names():
        try:
            one = environment.read(name)
            wanted = environment.wanted(one, found)
        except InputError as error:
            problems.append(str(error))
            continue
        runs, last = found.runs(name), found.last(name)
        rows.append([name, one.target, one.version, wanted and wanted.name, runs and runs.name, last and last.says])
    if rows:
        ui.table("environments", ["environment", "target", "says", "so it is", "runs", "recorded"], rows)
    if problems:
        raise InputError("\n".join(problems))
    actions.output(names=json.dumps(changed(arguments.since)))


def changed(since: str | None) -> list[str]:
    """The environments whose files differ from a revision; all of them where there is no such revision."""
    names = environment.names()
    if since is None or git.commit(since) is None:
        return names
    return [name for name in names if git.changed(layout.environment(name).as_posix(), since=since)]
