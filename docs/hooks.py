"""Pages of the documentation that are made from the code when it is built: every verb, every setting."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from itertools import groupby, takewhile
from pathlib import Path
from typing import Any

import yaml
from mkdocs.structure.files import File, Files

from gitloop import cli
from gitloop.gitops.environment import Environment
from gitloop.settings import LOSSES, METRICS, RATES
from gitloop.settings_reference import Setting, reference

TEMPLATE = Path(__file__).resolve().parent.parent / "<<cookiecutter.project>>"
ROOMS = {
    "data": "Data",
    "modeling": "Models",
    "serving": "Serving",
    "monitoring": "Watching",
    "gitops": "Git and GitHub",
}
# Verbs that a reader looks for elsewhere than where their module lies.
ELSEWHERE = {
    "schema": "Configuration",
    "serve": "Serving",
    "score": "Serving",
    "recall": "Watching",
    "act": "Watching",
    "site": "Watching",
}


def on_files(files: Files, config: Any) -> Files:
    pages = {"verbs": verbs, "settings": settings, "environments": environments, "workflows": workflows}
    for name, page in pages.items():
        files.append(File.generated(config, f"reference/{name}.md", content=page()))
    return files


def verbs() -> str:
    """Every verb by its room, as its own help says it."""
    top = cli.parser()
    (subparsers,) = (action for action in top._actions if isinstance(action, argparse._SubParsersAction))
    by_room: dict[str, list[str]] = {"Configuration": [], **{title: [] for title in ROOMS.values()}}
    for name, one in subparsers.choices.items():
        room = ROOMS.get(cli.VERBS[name].module.split(".")[1], "Configuration")
        by_room[ELSEWHERE.get(name, room)].append(verb(name, one))
    codes = top.epilog.partition("\n")[2].splitlines() if top.epilog else []
    return "\n".join(
        [
            "# Verbs",
            "",
            "Each step of the loop is a verb of `gitloop`; the Makefile, the workflows and people call the same ones. "
            "Run them in the root of the repository. With `--debug` an error shows where it comes from.",
            "",
            *table(["exit code", "means"], [line.strip().split("  ", 1) for line in codes if line.strip()]),
            *(line for room, found in by_room.items() if found for line in (f"## {room}", "", *found)),
        ]
    )


def verb(name: str, parser: argparse.ArgumentParser) -> str:
    rows = [
        [f"`{_written(action)}`", _escaped(_told(action))]
        for action in parser._actions
        if action.dest not in ("help", "debug")
    ]
    lines = [f"### gitloop {name}", "", parser.description or "", ""]
    lines += table(["argument", "says"], rows) if rows else []
    return "\n".join([*lines, "```bash", cli.VERBS[name].example, "```", ""])


def _written(action: argparse.Action) -> str:
    kind = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest)
    if not action.option_strings:
        return f"[{kind}]" if action.nargs in ("?", "*") else str(kind)
    takes = action.nargs != 0
    kind = action.metavar or ("|".join(map(str, action.choices)) if action.choices else action.dest.upper())
    return f"{action.option_strings[0]} {kind}" if takes else action.option_strings[0]


def _told(action: argparse.Action) -> str:
    return f"{action.help or ''}{'; must be given' if action.required and action.option_strings else ''}"


def settings() -> str:
    """Every key of conf/, by the file that holds it."""
    stages = yaml.safe_load((TEMPLATE / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    lines = [
        "# Settings",
        "",
        "Every key that `conf/` may set. `gitloop params` composes them into `params.yaml`; an unknown or wrong key is "
        "an error that names the file and the nearest right one. *runs again* are the stages of the pipeline that "
        "depend on the key. `*` stands for any name. `gitloop explain KEY` says of one what it is in your repository.",
        "",
    ]
    for group, found in groupby(reference(stages), lambda one: one.key.partition(".")[0]):
        lines += section(group, list(found))
    return "\n".join([*lines, *names()])


def section(group: str, found: list[Setting]) -> Iterator[str]:
    head, *keys = found
    yield from (f"## {group}", "", f"{head.description}. In `{_place(group)}`.", "")
    rows = [[f"`{one.key.removeprefix(f'{group}.')}`", *_cells(one), ", ".join(one.stages)] for one in keys]
    yield from table(["key", "holds", "default", "says", "runs again"], rows)


def _place(group: str) -> str:
    return f"conf/{group}.yaml" if (TEMPLATE / f"conf/{group}.yaml").exists() else f"conf/{group}/"


def _cells(one: Setting) -> list[str]:
    return [_escaped(one.type), f"`{_escaped(one.default)}`" if one.default else "", _escaped(one.description)]


def names() -> Iterator[str]:
    yield from ("## Metrics and rates", "", "What `metric`, `floor`, `slice_floor` and `fairness` may name.", "")
    rows = [
        [
            task,
            ", ".join(f"`{name}`{' (less is better)' if name in LOSSES else ''}" for name in METRICS[task]),
            ", ".join(f"`{name}`" for name in RATES[task]),
        ]
        for task in METRICS
    ]
    yield from table(["task", "metrics", "rates"], rows)


def environments() -> str:
    """Every key of environments/NAME.yaml."""
    rows = [[f"`{one.key}`", *_cells(one)] for one in reference({}, Environment)]
    return "\n".join(
        [
            "# Environments",
            "",
            "Every key of a file in `environments/`, which says "
            "[which version runs where](../release.md#environments). These files are read as they stand: nothing is "
            "composed into them.",
            "",
            *table(["key", "holds", "default", "says"], rows),
        ]
    )


def workflows() -> str:
    """Every workflow of a project: what starts it, what each job may do and why."""
    lines = ["# Workflows", "", "What each workflow is for, what starts it, and what its jobs may do at GitHub.", ""]
    for path in sorted((TEMPLATE / ".github/workflows").glob("*.yml")):
        text = path.read_text(encoding="utf-8")
        about = " ".join(line.removeprefix("# ") for line in takewhile(lambda line: line[:1] == "#", text.splitlines()))
        loaded = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 -- text only; `on` stays a word
        lines += [
            f"## {path.name}",
            "",
            about,
            "",
            f"Starts on: {', '.join(f'`{name}`' for name in loaded['on'])}.",
            "",
        ]
        lines += table(["job", "may", "for"], list(_grants(text, loaded["jobs"])))
    return "\n".join(lines)


def _grants(text: str, jobs: dict[str, Any]) -> Iterator[list[str]]:
    """A row for each grant; the comment behind it says what for."""
    for name, job in jobs.items():
        body = re.split(r"^  \w+:$", text.partition(f"\n  {name}:\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
        for scope, level in (job["permissions"] or {"nothing": ""}).items():
            why = re.search(rf"^ +{scope}: {level} # (.+)$", body, re.MULTILINE)
            yield [f"`{name}`", f"`{scope}: {level}`" if level else scope, why[1] if why else ""]


def table(columns: list[str], rows: list[list[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
    yield ""


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
