"""The registry: GTO's tags. `model@v1.2.0` is a version, `model#production#3` says that an environment runs one.

`model#production!#4` says that it runs none any more. `gto show` and `dvc artifacts get` read the same tags. Nothing
about a version is kept anywhere but in Git.
"""

from __future__ import annotations

import argparse
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from yaml import YAMLError

from gitloop import git, layout, ui
from gitloop.errors import InputError
from gitloop.files import parse_yaml

VERSION = re.compile(r"^model@v(\d+)\.(\d+)\.(\d+)$")
STAGE = re.compile(r"^model#([a-z][a-z0-9-]*)(!?)#(\d+)$")
COMMIT = "Commit"  # the trailer of a version's tag
ABOUT = (layout.PARAMS, layout.SELECTED, layout.EVALUATION)


@dataclass(frozen=True, order=True)
class Version:
    """One released version."""

    number: tuple[int, int, int]
    commit: str
    when: str  # UTC date and time, ISO 8601
    recorded: str = ""  # the commit that the tag's message names, empty where it names none

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


@dataclass(frozen=True, order=True)
class Stage:
    """An environment was given a version, or (`taken`) it runs none any more."""

    number: int
    commit: str
    taken: bool
    says: str  # the first line of the tag's message
    when: str = field(default="", compare=False)  # of the tag, UTC, ISO 8601


@dataclass(frozen=True)
class Registry:
    versions: tuple[Version, ...]  # oldest first
    stages: dict[str, tuple[Stage, ...]]  # by environment, oldest first

    def last(self, environment: str) -> Stage | None:
        """What was recorded last of an environment."""
        return self.stages.get(environment, (None,))[-1]

    def runs(self, environment: str) -> Version | None:
        """The version that was recorded to run in an environment; None where none does."""
        last = self.last(environment)
        return None if last is None or last.taken else self.at(last.commit)

    def before(self, environment: str, now: str | None) -> Version | None:
        """The version that an environment was given last, of those that have another commit than `now`."""
        for stage in reversed(self.stages.get(environment, ())):
            if stage.commit != now and (found := self.at(stage.commit)):
                return found
        return None

    def at(self, commit: str) -> Version | None:
        return next((one for one in self.versions if one.commit == commit), None)

    def newest(self) -> Version | None:
        return self.versions[-1] if self.versions else None

    def known(self, name: str) -> Version | None:
        return next((one for one in self.versions if one.name == name), None)

    def named(self, name: str) -> Version:
        """A version by its name. Raises `InputError` where it was never registered."""
        found = self.known(name)
        if found is None:
            last = ", ".join(one.name for one in self.versions[-3:]) or "none yet"
            raise InputError(
                f"{name}: was never registered (there are {last}); see `gitloop versions`, or fetch the tags"
            )
        return found


def read() -> Registry:
    """What the tags of this clone say. Raises `InputError` in a clone that has no tags because it is shallow."""
    when = "%(creatordate:format-local:%Y-%m-%dT%H:%M:%SZ)"
    said = f"%(trailers:key={COMMIT},valueonly,separator=%2C)%09%(contents:subject)"
    form = f"%(refname:short)%09%(objecttype)%09%(*objectname)%09{when}%09{said}"
    lines = (
        git.asked("for-each-ref", f"--format={form}", "refs/tags/model@v*", "refs/tags/model#*", utc=True) or ""
    ).splitlines()
    if not lines and git.asked("rev-parse", "--is-shallow-repository") == "true":
        raise InputError("git: a shallow clone without tags shows no versions; run `git fetch --unshallow --tags`")
    versions: list[Version] = []
    stages: dict[str, list[Stage]] = {}
    for line in lines:
        name, kind, commit, when, recorded, says = line.split("\t", 5)
        if kind != "tag":
            continue  # GTO's are annotated: a light one is somebody's bookmark
        if found := VERSION.match(name):
            versions.append(Version((int(found[1]), int(found[2]), int(found[3])), commit, when, recorded))
        elif found := STAGE.match(name):
            stages.setdefault(found[1], []).append(Stage(int(found[3]), commit, bool(found[2]), says, when))
    return Registry(tuple(sorted(versions)), {name: tuple(sorted(them)) for name, them in sorted(stages.items())})


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
        runs = [name for name in found.stages if found.runs(name) == one]
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


def params(commit: str, who: str) -> dict[str, Any]:
    """params.yaml of a commit, read as it is, for it may be of another gitloop's time. `who` is told of where it fails.

    Raises `InputError` where it is not there, or is no mapping.
    """
    content = git.content(commit, layout.PARAMS)
    if content is None:
        raise InputError(f"{who}: {commit[:10]} has no {layout.PARAMS}; run `gitloop params` and commit it")
    return mapping(content, who)


def mapping(content: bytes, who: str) -> dict[str, Any]:
    """Raises `InputError` where this is no params.yaml."""
    try:
        found = parse_yaml(content)
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{who}: its {layout.PARAMS} is no valid YAML; run `gitloop params` and commit it") from error
    if not isinstance(found, dict):
        raise InputError(f"{who}: its {layout.PARAMS} is no mapping; run `gitloop params` and commit it")
    return found
