"""The registry: GTO's tags. `model@v1.2.0` is a version, `model#production#3` says that an environment runs one.

`gto show` and `dvc artifacts get` read the same tags. Nothing about a version is kept anywhere but in Git.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gitloop import git, layout, ui
from gitloop.errors import InputError
from gitloop.files import parse_yaml

VERSION = re.compile(r"^model@v(\d+)\.(\d+)\.(\d+)$")
STAGE = re.compile(r"^model#([a-z][a-z0-9-]*)#(\d+)$")
ABOUT = (layout.PARAMS, layout.SELECTED, layout.EVALUATION)


@dataclass(frozen=True, order=True)
class Version:
    """One released version."""

    number: tuple[int, int, int]
    commit: str
    when: str  # UTC date and time, ISO 8601

    @property
    def name(self) -> str:
        return "v" + ".".join(map(str, self.number))

    @property
    def tag(self) -> str:
        return f"model@{self.name}"

    def next(self, part: str) -> tuple[int, int, int]:
        """The number after this one, where `part` (major, minor or patch) goes up."""
        major, minor, patch = self.number
        return {"major": (major + 1, 0, 0), "minor": (major, minor + 1, 0), "patch": (major, minor, patch + 1)}[part]


@dataclass(frozen=True)
class Registry:
    versions: tuple[Version, ...]  # oldest first
    stages: dict[str, str]  # environment → commit of the version that it was given last

    def newest(self) -> Version | None:
        return self.versions[-1] if self.versions else None

    def named(self, name: str) -> Version:
        """A version by its name. Raises `InputError` where it was never registered."""
        found = next((one for one in self.versions if one.name == name), None)
        if found is None:
            last = ", ".join(one.name for one in self.versions[-3:]) or "none yet"
            raise InputError(
                f"{name}: was never registered (there are {last}); see `gitloop versions`, or fetch the tags"
            )
        return found


def read() -> Registry:
    """What the tags of this clone say. Raises `InputError` in a clone that has no tags because it is shallow."""
    form = "%(refname:short)%09%(objecttype)%09%(*objectname)%09%(creatordate:format-local:%Y-%m-%dT%H:%M:%SZ)"
    lines = (
        git.asked("for-each-ref", f"--format={form}", "refs/tags/model@v*", "refs/tags/model#*", utc=True) or ""
    ).splitlines()
    if not lines and git.asked("rev-parse", "--is-shallow-repository") == "true":
        raise InputError("git: a shallow clone without tags shows no versions; run `git fetch --unshallow --tags`")
    versions: list[Version] = []
    stages: dict[str, list[tuple[int, str]]] = {}
    for line in lines:
        name, kind, commit, when = line.split("\t")
        if kind != "tag":
            continue  # GTO's are annotated: a light one is somebody's bookmark
        if found := VERSION.match(name):
            versions.append(Version((int(found[1]), int(found[2]), int(found[3])), commit, when))
        elif found := STAGE.match(name):
            stages.setdefault(found[1], []).append((int(found[2]), commit))
    return Registry(tuple(sorted(versions)), {name: max(given)[1] for name, given in sorted(stages.items())})


def run(_: argparse.Namespace) -> None:
    """`gitloop versions`."""
    found = read()
    if not found.versions:
        ui.say("no version yet: the first is registered when a model is merged to main (`gitloop register`)")
        return
    rows = []
    there = git.contents((one.commit, path) for one in found.versions for path in ABOUT)
    for one in reversed(found.versions):
        params, selected, evaluation = about(there, one.commit)
        window = (params.get("data") or {}).get("window") or {}
        runs = [name for name, commit in found.stages.items() if commit == one.commit]
        metric = evaluation.get("metric")
        value = (evaluation.get("metrics") or {}).get(metric, {}).get("value")
        rows.append(
            [
                one.name,
                one.when.replace("T", " ")[:16],
                one.commit[:10],
                f"{window.get('since') or '…'} to {window.get('until') or '…'}" if window else "all",
                selected.get("candidate"),
                f"{metric} {ui.cell(value)}" if metric else None,
                ", ".join(runs) or None,
            ]
        )
    ui.table(
        "versions, newest first", ["version", "when (UTC)", "commit", "data window", "model", "metric", "runs in"], rows
    )


def about(contents: dict[tuple[str, Path], bytes | None], commit: str) -> tuple[Any, Any, Any]:
    """params.yaml, metrics/selected.json and metrics/evaluation.json of a commit; empty where they are not there."""
    params, selected, evaluation = (contents[commit, path] or b"{}" for path in ABOUT)
    return parse_yaml(params), json.loads(selected), json.loads(evaluation)
