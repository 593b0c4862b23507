"""What `gitloop init` decided, for a person to read through."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gitloop import layout, ui
from gitloop.data import declare, sniff
from gitloop.data.bounds import Bound
from gitloop.data.decide import Decision, Table
from gitloop.data.sniff import Opened
from gitloop.settings import Settings

SHOWN = 40  # columns of the table that is shown
NAMED = 10  # columns that are named in one line
LARGE = 50 << 20  # bytes from which a file does not belong into Git


def show(
    name: str,
    opened: Opened,
    found: Table,
    moved: list[Bound],
    written: Mapping[Path, str],
    before: Settings,
) -> None:
    rows = [[one.name, one.keys["type"], one.role, one.why or None] for one in _first(found)]
    place = Path(opened.shown.partition("?")[0]).name
    title = f"{place}: {found.rows:,} rows, {len(opened.names)} columns, {found.outcome.task}"
    ui.table(title, ["column", "type", "role", "why"], rows)
    if len(found.decisions) > len(rows):
        ui.say(f"… and {len(found.decisions) - len(rows)} features more, see {layout.data_conf(name)}")
    if moved:
        gates = before.gates.model_dump()
        ui.table(
            "Gates for a first model",
            ["gate", "was", "is", "why"],
            [[one.gate, _said(gates[one.gate]), _said(one.value), one.why] for one in moved],
        )
    for line in _doubts(found):
        ui.say(f"unsure: {line}")
    ui.say(f"written: {', '.join(path.as_posix() for path in written)}")
    if opened.copy is not None:
        there = sniff.HOME / opened.copy.name
        large = there.stat().st_size > LARGE
        ui.say(f"copied: {there}" + (f"; it is large: `dvc add {there}` before you commit" if large else ""))
    ui.say("next: read the contract through, describe the model in conf/project.yaml, then `make train`")


def _doubts(found: Table) -> list[str]:
    """One line for each doubt, with the columns that it is about: hundreds may share it."""
    about: dict[str, list[str]] = {}
    for one in found.decisions.values():
        if one.unsure:
            about.setdefault(one.unsure, []).append(one.name)
    lines = []
    for doubt, names in about.items():
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        lines.append(f"{', '.join(names[:NAMED])}{more}: {doubt}")
    return [*lines, *found.unsure]


def _said(value: Any) -> str:
    return "off" if value is None else declare.flow(value)


def _first(found: Table) -> list[Decision]:
    """What is shown: all that is no feature, and features up to a screenful."""
    special = [one for one in found.decisions.values() if one.role != "feature"]
    features = [one for one in found.decisions.values() if one.role == "feature"]
    kept = {one.name for one in [*special[:SHOWN], *features[: max(10, SHOWN - len(special))]]}
    return [one for one in found.decisions.values() if one.name in kept]
