"""What Git has of main and of every version, as the page shows it; what cannot be read there is left out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from pydantic import ValidationError

from gitloop import git, layout
from gitloop.errors import InputError
from gitloop.files import parse_yaml
from gitloop.gitops import environment
from gitloop.gitops.registry import ABOUT, Registry, Version
from gitloop.gitops.site_windows import Note
from gitloop.modeling.gates import OFF
from gitloop.modeling.metrics import greater_is_better
from gitloop.modeling.verdicts import Verdict, judge
from gitloop.monitoring.site import Release, Value
from gitloop.settings import Gates

FORM = "%H%x00%an%x00%s"
NO_CHAMPION = {**OFF["champion"], "why": "compared in pull requests"}


@dataclass(frozen=True)
class Main:
    """The newest commit of main that is here; all of it empty in a repository without a commit."""

    commit: str = ""
    when: str = ""
    params: Mapping[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] | None = None
    environments: Mapping[str, str] = field(default_factory=dict)  # name → what its file says

    def text(self, group: str, key: str) -> str:
        found = self.params.get(group)
        return str(found.get(key) or "") if isinstance(found, dict) else ""

    @property
    def metric(self) -> str | None:
        named = self.text("data", "metric")
        return str(self.evaluation["metric"]) if self.evaluation else named or None

    @property
    def greater(self) -> bool:
        return greater_is_better(self.metric or "")

    @property
    def floor(self) -> float | None:
        """Of the live metric."""
        performance = (self.params.get("monitoring") or {}).get("performance") or {}
        found = (performance.get("floor") or {}).get(self.metric)
        return float(found) if isinstance(found, int | float) else None

    @property
    def fairness(self) -> dict[str, float]:
        return dict((self.params.get("gates") or {}).get("fairness") or {})

    def verdicts(self, notes: list[Note]) -> tuple[Verdict, ...]:
        """Every gate that can be judged from Git."""
        if self.evaluation is None:
            return ()
        try:
            gates = Gates.model_validate(self.params.get("gates"))
            judged = judge(gates, self.evaluation, NO_CHAMPION)
        except (ValidationError, KeyError, TypeError) as error:
            words = f"Gates are not shown: {layout.PARAMS} or {layout.EVALUATION} of main is not what gitloop writes."
            notes.append(Note(words, type(error).__name__))
            return ()
        tests = Verdict("behaviour", why="runs in pull requests" if gates.behaviour else "off")
        return (*judged, tests)


def read() -> Main:
    """Origin's main as it was fetched last, else the one here, else what is checked out."""
    names = (f"refs/remotes/origin/{git.MAIN}", f"refs/heads/{git.MAIN}", "HEAD")
    commit = next((found for name in names if (found := git.commit(name))), None)
    if commit is None:
        return Main()
    form = "--date=format-local:%Y-%m-%dT%H:%M:%SZ"
    when = git.asked("log", "-1", form, "--format=%cd", commit, utc=True) or ""
    folder = layout.environment("x").parent
    listed = (git.asked("ls-tree", "--name-only", commit, f"{folder.as_posix()}/") or "").splitlines()
    files = [Path(name) for name in listed if PurePosixPath(name).suffix == ".yaml"]
    there = git.contents((commit, path) for path in (layout.PARAMS, layout.EVALUATION, *files))
    wanted = {path.stem: _wanted(path.stem, there[commit, path] or b"") for path in files}
    return Main(
        commit,
        when,
        _mapping(there[commit, layout.PARAMS]) or {},
        _mapping(there[commit, layout.EVALUATION]),
        {name: one for name, one in wanted.items() if one is not None},
    )


def _wanted(name: str, content: bytes) -> str | None:
    try:
        return environment.parse(name, content).version
    except InputError:
        return None


def releases(tags: Registry, running: Collection[str | None]) -> tuple[Release, ...]:
    """Every version with what Git has at its commit; cards of the newest and of those that run."""
    known = tags.versions
    newest = tags.newest()
    carded = [one for one in known if one == newest or one.name in running]
    wanted = [(one.commit, path) for one in known for path in ABOUT]
    there = git.contents([*wanted, *((one.commit, layout.CARD) for one in carded)]) if known else {}
    words = _subjects({one.commit for one in known})
    return tuple(_release(one, there, words.get(one.commit, ("", ""))) for one in known)


def _release(one: Version, there: Mapping[tuple[str, Path], bytes | None], words: tuple[str, str]) -> Release:
    params, selected, evaluation = (_mapping(there[one.commit, path]) or {} for path in ABOUT)
    window = (params.get("data") or {}).get("window") or {}
    metric = evaluation.get("metric")
    found = (evaluation.get("metrics") or {}).get(metric) or {}
    ends = [str(window.get(end) or "…")[:16].removesuffix(" 00:00") for end in ("since", "until")]
    return Release(
        name=one.name,
        when=one.when,
        commit=one.commit,
        subject=words[1],
        author=words[0],
        trained=" to ".join(ends) if any(window.values()) else "all",
        model=selected.get("candidate"),
        metric=metric,
        test=Value(found["value"], found.get("low"), found.get("high")) if found.get("value") is not None else None,
        card=(there.get((one.commit, layout.CARD)) or b"").decode(errors="replace"),
    )


def _subjects(commits: Iterable[str]) -> dict[str, tuple[str, str]]:
    """Author and first line of commits."""
    wanted = sorted(commits)
    lines = (git.asked("log", "--no-walk", f"--format={FORM}", *wanted) or "").splitlines() if wanted else []
    parts = [line.split("\0") for line in lines]
    return {part[0]: (part[1], part[2]) for part in parts if len(part) == 3}


def _mapping(content: bytes | None) -> dict[str, Any] | None:
    """JSON or YAML; JSON is YAML, and reads faster as such."""
    if content is None:
        return None
    try:
        found = json.loads(content) if content.lstrip()[:1] == b"{" else parse_yaml(content)
    except (ValueError, yaml.YAMLError):
        return None
    return found if isinstance(found, dict) else None
