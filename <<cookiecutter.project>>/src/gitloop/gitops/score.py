"""`gitloop score`: with the model of the work tree, or with `--environment` with the version that runs there."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from gitloop import layout, settings, ui
from gitloop.errors import InputError, Refused
from gitloop.files import read_json, write_text
from gitloop.gitops import actions, environment, registry, services, verify
from gitloop.gitops.markdown import Part, render
from gitloop.gitops.registry import Version
from gitloop.modeling.report import Section
from gitloop.serving.destinations import CONF


def run(arguments: argparse.Namespace) -> None:
    """`gitloop score [--environment NAME] [--since T] [--until T]`.

    A version scores with its own code, configuration and model, in the packages that are installed here; where rows
    come from and where predictions go is what conf/scoring/ says today. Raises `Refused` where it is not what was
    registered, or sets too many rows aside.
    """
    if arguments.environment is None:
        from gitloop.serving import score

        score.run(arguments)
        return
    name = arguments.environment
    environment.read(name)
    found = registry.read()
    version = found.runs(name)
    if version is None:
        said = f"{name} runs no version, so nothing is scored; what is deployed there is recorded as model#{name}#N"
        ui.say(said)
        actions.summary(render(Part(Section("Scoring", [], [], said))))
        return
    verify.tag(version, found, public=False)
    today = settings.load().scoring
    ui.say(f"{version.name} runs in {name}: scoring with it")
    layout.SCORED.unlink(missing_ok=True)
    sys.stdout.flush()
    options = [f"--{one}={value}" for one in ("since", "until") if (value := getattr(arguments, one))]
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        _prepared(version, Path(folder), today)
        command = [sys.executable, "-m", "gitloop", "score", *options]
        done = subprocess.run(command, cwd=folder, env=os.environ | {"PYTHONPATH": f"{folder}/src"}, check=False)
    if layout.SCORED.exists():
        actions.summary(summary(read_json(layout.SCORED, "gitloop score"), version, name))
        actions.output(folder="" if today.url or today.url_env else today.folder)
    if done.returncode:
        kind = Refused if done.returncode == Refused.exit_code else InputError
        raise kind(f"{name}: {version.name} did not score every row, as is said above; mend that and run again")


def _prepared(version: Version, folder: Path, today: settings.Scoring) -> None:
    """The root of a repository in which the version is what was chosen; all else in it is that of this clone."""
    services.laid(version, folder)
    then = services.params(folder)
    write_text(folder / layout.PARAMS, yaml.safe_dump(then | {"scoring": today.model_dump()}, sort_keys=False))
    for made in (Path(today.folder), layout.SCORED.parent):  # so that they are made here, not there
        try:
            made.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"{made}: cannot be written ({error.strerror}); name another `folder` in {CONF}"
            ) from error
    for path in Path.cwd().iterdir():
        if not (folder / path.name).exists():
            (folder / path.name).symlink_to(path)


def summary(scored: dict[str, Any], version: Version, name: str) -> str:
    """What was scored, as Markdown."""
    header = ["rows", "scored", "there already", "repeats", "set aside"]
    rows = [[scored[key] for key in ("rows", "scored", "there", "repeats", "aside")]]
    window = "".join(f", {one} {scored[one]} (UTC)" for one in ("since", "until") if scored[one])
    text = f"With {version.name}, which runs in {name}: rows of {scored['source']}{window}, to {scored['to']}."
    parts = [render(Part(Section("Scored", header, rows, text)))]
    if scored["reasons"]:
        reasons = [[reason, count] for reason, count in scored["reasons"].items()]
        parts.append(render(Part(Section("Set aside", ["reason", "rows"], reasons))))
    return "".join(parts)
