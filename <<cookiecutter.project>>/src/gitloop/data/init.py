"""From somebody's table to a contract that can be trained on: read, infer, try, declare."""

from __future__ import annotations

import argparse
import filecmp
import re
import shutil
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np

from gitloop import config, layout, targets
from gitloop.arrays import Array, Columns
from gitloop.data import bounds, declare, shown, sniff, table, trial
from gitloop.data.bounds import Bound
from gitloop.data.decide import Table
from gitloop.data.infer import infer
from gitloop.data.sniff import Opened
from gitloop.errors import InputError
from gitloop.files import whole, write_text
from gitloop.settings import Settings, parse

NAME = re.compile(r"[a-z][a-z0-9_-]*")
WORDS = {"yes", "no", "on", "off", "true", "false", "null", "y", "n"}
RESERVED = ("_row", "_reason", "file_row_number")
DEMO = "Says before take-off which flights"
CALENDAR = "gitloop.data.calendar"
LEFT_OUT = "left out; if it is known before the outcome, make it a feature again"


def run(arguments: argparse.Namespace) -> None:
    """`gitloop init SOURCE --target COLUMN`."""
    root = Path()
    before = parse(config.compose(root))
    name = _name(arguments.source, arguments.query, arguments.name)
    path = layout.data_conf(name)
    if path.exists() and not arguments.force:
        raise InputError(f"{path}: is there already; say --name for another, or --force to write it anew")
    with sniff.opened(arguments.source, arguments.query) as opened:
        _refuse_copy(opened, arguments.force)
        _refuse_names(opened)
        found = infer(opened, arguments.target, arguments.task)
        tried, given = _try(opened, found)
        moved = bounds.bounds(found, tried, before.gates.model_dump())
        written = _written(root, before, name, opened, found, moved, given)
        written |= _composed(root, written)
        if opened.copy is not None:
            _copied(opened.copy)
        for file, text in written.items():
            write_text(file, text)
        shown.show(name, opened, found, moved, written, before)


def _name(source: str, query: str | None, wanted: str | None) -> str:
    if wanted is not None:
        if not NAME.fullmatch(wanted) or wanted in WORDS:
            raise InputError(f"--name: {wanted!r} cannot name a file; use small letters, digits and _, a letter first")
        return wanted
    stem = source.partition("?")[0].rstrip("/").rpartition("/")[2]
    stem = query if query and not re.search(r"\s", query.strip()) else stem.partition(".")[0]
    slug = re.sub(r"[^a-z0-9]+", "_", stem.lower()).strip("_")
    return slug if NAME.fullmatch(slug) and slug not in WORDS else f"table_{slug}".rstrip("_")


def _refuse_copy(opened: Opened, force: bool) -> None:
    if opened.copy is None or force:
        return
    there = sniff.HOME / opened.copy.name
    if there.exists() and not filecmp.cmp(there, opened.copy, shallow=False):
        raise InputError(f"{there}: another file of this name is there; rename yours, or say --force to replace it")


def _refuse_names(opened: Opened) -> None:
    for name in opened.names:
        if name.casefold() in RESERVED:
            raise InputError(f"{opened.shown}: {name}: gitloop needs this name itself; rename the column")


def _try(opened: Opened, found: Table) -> tuple[trial.Trial, Columns]:
    """The trial, and some rows of it; its findings are taken into the table: what gives the target away is left out."""
    columns, y, ordered = _arrays(opened, found)
    given = {name: values[:50] for name, values in columns.items()}
    if ordered is not None and found.timestamp is not None:
        given[found.timestamp] = ordered[:50]
        _parted(found, y, ordered)
    ordered = ordered if found.timestamp else None
    tried = trial.trial(found, columns, y, ordered)
    certain = len(y) >= trial.LEAST
    for name, skill in tried.alone.items():
        decision = found.decisions[name]
        if decision.role != "feature":
            continue
        if name in tried.same:
            decision.ignore(f"is {found.target} in another form")
            decision.unsure = LEFT_OUT
        elif skill >= trial.CERTAIN and certain:
            decision.ignore(f"gives {found.target} away: alone it goes {skill:.1%} of the way from chance to perfect")
            decision.unsure = LEFT_OUT
        elif skill >= trial.STRONG:
            decision.why += f"; alone it goes {skill:.0%} of the way from chance to perfect"
            decision.unsure = "very telling alone; is it known before the outcome?"
    for name, other in tried.copies.items():
        found.decisions[name].ignore(f"says the same as {other}")
    if not found.features:
        raise InputError(f"{opened.shown}: every column gives {found.target} away or says nothing; name another target")
    if tried.skill < 0.05:
        found.unsure.append(
            f"whether {found.target} can be learned: a trial was hardly better than chance ({tried.skill:.2f})"
        )
    return tried, given


def _arrays(opened: Opened, found: Table) -> tuple[Columns, Array, Array | None]:
    """Features and target of the sample's rows that have a target, and the timestamp where there is one."""
    left_out = ("ignored", "pii", "key")
    columns = {name: found.reading.columns[name] for name, one in found.decisions.items() if one.role not in left_out}
    target = table.identifier(found.target)
    named = ", ".join(map(table.identifier, columns))
    query = f"SELECT {named} FROM read WHERE {target} IS NOT NULL"
    rows = opened.connection.sql(query).to_arrow_table()
    arrays = {name: table.array(rows.column(name), one.type) for name, one in columns.items()}
    y = arrays.pop(found.target)
    ordered = arrays.pop(found.timestamp, None) if found.timestamp else None
    if found.outcome.task == "binary" and found.outcome.keys["type"] == "categorical":
        y = (y == found.outcome.keys["positive"]).astype(np.float64)
    elif found.outcome.task == "multiclass":
        y = np.unique(y.astype(str), return_inverse=True)[1].astype(np.float64)
    return arrays, y, ordered


def _parted(found: Table, y: Array, ordered: Array) -> None:
    """A timestamp by which the classes are parted too cannot part the rows: it stays a feature."""
    name = str(found.timestamp)
    latest = y[np.argsort(ordered, kind="stable")]
    cuts = [round(len(y) * share) for share in (0.16, 0.8)]
    parts = [latest[: cuts[0]], latest[cuts[1] :]]
    decision = found.decisions[name]
    same_time = len(np.unique(ordered)) < 10
    if same_time or (found.outcome.task != "regression" and any(len(np.unique(part)) < 2 for part in parts)):
        decision.keys.pop("role")
        decision.why = f"a date: {found.target} follows the order of it, so rows cannot be parted by it"
        decision.unsure = "whether it is known before the outcome"
        found.timestamp = None
        return
    last = found.measured[name].high
    found.until = last + timedelta(days=1) if last.year < 9999 else None


def _written(
    root: Path, before: Settings, name: str, opened: Opened, found: Table, moved: list[Bound], given: Columns
) -> dict[Path, str]:
    """Every file that changes, with its text."""
    conf = root / layout.CONF
    main = conf / "config.yaml"
    written = {layout.data_conf(name): declare.contract(name, opened.spec, found)}
    derive = _derive(before, found, given)
    if derive != before.features.derive:
        path = conf / "features" / f"{declare.chosen(main, 'features')}.yaml"
        written[path] = declare.edited(path, {"derive": derive})
    gates = {one.gate: one.value for one in moved}
    tests = Path("tests/behaviour") / name
    if before.gates.behaviour is not None:
        gates["behaviour"] = tests.as_posix()
        if not (tests / f"test_{name}.py").exists():
            written[tests / f"test_{name}.py"] = Path(__file__).with_name("behaviour.py").read_text(encoding="utf-8")
    if gates:
        path = conf / "gates" / f"{declare.chosen(main, 'gates')}.yaml"
        written[path] = declare.edited(path, gates)
    if before.project.description.startswith(DEMO):
        path = conf / "project.yaml"
        written[path] = declare.edited(path, {"project.description": "", "project.limits": ""})
    written[main] = declare.choosing(main, name)
    return written


def _derive(before: Settings, found: Table, given: Columns) -> str | None:
    """The derivation: the user's where it works with these columns, else gitloop's own where there are dates."""
    seen = [*found.features, *([found.timestamp] if found.timestamp else [])]
    dates = [name for name in seen if found.decisions[name].keys["type"] == "datetime"]
    stock = f"{CALENDAR}.{'derive' if found.timestamp else 'with_years'}" if dates else None
    current = before.features.derive
    if current is None or current.startswith(CALENDAR):
        return stock
    try:
        targets.locate("conf/features", current)({name: given[name] for name in seen})
    except Exception:
        return stock
    return current


def _composed(root: Path, written: Mapping[Path, str]) -> dict[Path, str]:
    """conf/config.yaml and params.yaml with the changes, composed in a copy: nothing is written where that fails."""
    with tempfile.TemporaryDirectory(prefix="gitloop-") as folder:
        copy = Path(folder)
        shutil.copytree(root / layout.CONF, copy / layout.CONF)
        if (root / "dvc.yaml").exists():
            shutil.copy(root / "dvc.yaml", copy)
        for path, text in written.items():
            write_text(copy / path, text)
        config.sync(copy, check=False)
        made = (layout.CONF / "config.yaml", layout.PARAMS)
        return {path: (copy / path).read_text(encoding="utf-8") for path in made}


def _copied(file: Path) -> None:
    there = sniff.HOME / file.name
    with whole(there) as temporary:
        shutil.copyfile(file, temporary)
