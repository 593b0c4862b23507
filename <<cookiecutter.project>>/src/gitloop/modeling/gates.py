"""Check the chosen model against every bound of conf/gates/."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from gitloop import git, layout, settings, ui
from gitloop.errors import InputError, Refused
from gitloop.files import read_json, write_json
from gitloop.modeling import loosened, rivals
from gitloop.modeling.metrics import rounded
from gitloop.modeling.verdicts import HEADER, Verdict, cells, judge

NO_TESTS = 5  # pytest's exit code
OFF: dict[str, Any] = {"champion": {"judged": False, "why": "off"}, "main": None}


def run(arguments: argparse.Namespace) -> None:
    """`gitloop gate [--champion REV]`. Raises `Refused`, one line for each rule that says no."""
    loaded = settings.load()
    gates = loaded.gates
    evaluation = read_json(layout.EVALUATION, "gitloop evaluate")
    chosen = read_json(layout.SELECTED, "gitloop select")
    if evaluation["candidate"] != chosen["candidate"]:
        raise InputError(f"{layout.EVALUATION}: judges another candidate than {layout.SELECTED}; run `dvc repro`")
    compared = gates.champion is not None or gates.slice_regression is not None
    comparison = rivals.comparisons(loaded, arguments.champion) if compared else OFF
    if compared:
        write_json(layout.COMPARISON, comparison)
    base = git.base()
    verdicts = [*judge(gates, evaluation, comparison["champion"]), behaviour(gates.behaviour, base)]
    looser = loosened.bounds(gates, loosened.at(base, loaded.data), evaluation, comparison["champion"])
    verdicts += loosened.verdicts(looser, same=rivals.same(base))
    failed = [verdict for verdict in verdicts if verdict.passed is False]
    content = [verdict._asdict() for verdict in verdicts]
    about = {"candidate": chosen["candidate"], "sha256": chosen["model"]["sha256"], "passed": not failed}
    write_json(layout.GATES, rounded({**about, "verdicts": content, "loosened": [one._asdict() for one in looser]}))
    ui.table("gates", HEADER, cells(content))
    if failed:
        raise Refused("\n".join(f"{verdict.rule}: {verdict.why}" for verdict in failed))


def behaviour(folder: str | None, base: str | None = None) -> Verdict:
    """The user's tests of the model's behaviour pass, run by pytest. Raises `InputError` where there is no folder.

    They are not run again where the model is not there because nothing they depend on differs from `base`.
    """
    if folder is None:
        return Verdict("behaviour", why="off")
    if not Path(folder).is_dir():
        raise InputError(f"conf/gates/: behaviour: {folder} is not a folder; make it, or set null")
    if (
        base
        and not Path(read_json(layout.SELECTED, "gitloop select")["model"]["path"]).exists()
        and rivals.untouched(base, folder)
    ):
        return Verdict("behaviour", why=f"as on {git.MAIN}: neither the model nor its tests changed")
    with tempfile.TemporaryDirectory(prefix="gitloop-") as scratch:
        results = Path(scratch) / "results.xml"
        command = [sys.executable, "-m", "pytest", folder, "-q", "-p", "gitloop.testing", f"--junitxml={results}"]
        done = subprocess.run(
            [*command, "-p", "no:cacheprovider"], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
        suite = ElementTree.parse(results).getroot() if results.is_file() else None  # noqa: S314 -- from our own pytest
    if suite is None:
        tail = " ".join((done.stdout + done.stderr).split())[-300:]
        raise InputError(f"{folder}: pytest did not run: {tail}; run `pytest {folder}`")
    cases = list(suite.iter("testcase"))
    bad = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    skipped = [case for case in cases if case.find("skipped") is not None]
    ran = len(cases) - len(skipped)
    if bad:
        why = f"{', '.join(str(case.get('name')) for case in bad)} failed; run `pytest {folder}`"
    elif done.returncode == NO_TESTS or not ran:
        why = f"{folder} has no test that ran; add one, or set gates.behaviour to null"
    else:
        why = f"pytest ended with {done.returncode}; run `pytest {folder}`"
    passed = done.returncode == 0 and ran > 0
    return Verdict("behaviour", len(bad) if ran else None, "≤", 0, passed, "" if passed else why)
