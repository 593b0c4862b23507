"""Have people label predictions in Label Studio, and tell the prediction log what they say."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from gitloop import layout, settings, ui
from gitloop.errors import InputError
from gitloop.files import read_json, whole_folder, write_json, write_text
from gitloop.monitoring import findings, labels, labelstudio, picking, references
from gitloop.monitoring.monitor import deployed, window
from gitloop.monitoring.references import Lookup, Reference
from gitloop.serving import history, told
from gitloop.settings import Log, Settings

TASKS, CONFIGURATION = "tasks.json", "config.xml"
SHOWN = 20  # lines of what is wrong


def run(arguments: argparse.Namespace) -> None:
    """`gitloop label export [--since T] [--until T]`, `gitloop label import FILE`; both with `--environment NAME`."""
    loaded = settings.load()
    if arguments.environment:
        loaded = deployed(loaded, arguments.environment)
    if loaded.serving.log is None:
        raise InputError("conf/serving/: log: null keeps no predictions, so there is nothing to label; name a folder")
    if (arguments.file is None) == (arguments.what == "import"):
        raise InputError(f"FILE: belongs to `import`, Label Studio's export; write `gitloop label {_usage(arguments)}`")
    if arguments.what == "import":
        taken(loaded, loaded.serving.log, Path(arguments.file))
        return
    now = datetime.now(UTC).replace(tzinfo=None)
    since, until = window(arguments.since, arguments.until or now.isoformat(), loaded.monitoring.window, now)
    given(loaded, loaded.serving.log, since, until, lookup=references.found)


def _usage(arguments: argparse.Namespace) -> str:
    return "import FILE" if arguments.what == "import" else "export"


def given(
    loaded: Settings, log: Log, since: datetime, until: datetime, *, lookup: Lookup, folder: Path = layout.LABELS
) -> Path | None:
    """Write tasks from the predictions of a window (naive UTC); their folder, None where there is nothing to label.

    Raises `InputError` where the window holds no prediction, or the log cannot be read.
    """
    how, contract = loaded.monitoring, loaded.data
    place = "the database" if log.url or log.url_env else log.folder
    with history.opened(log, contract, since, until, how.sample) as drawn:
        rows = drawn.connection.sql(history.query(contract)).to_arrow_table().cast(history.schema(contract))
    if not rows.num_rows:
        raise InputError(
            f"{place}: holds no prediction from {since:%Y-%m-%dT%H:%M} to {until:%Y-%m-%dT%H:%M} (UTC); serve first, "
            "or look elsewhere with --since, --until or --environment"
        )
    with _alone(folder):
        waiting = _waiting(folder)
        open_ = rows.filter(pc.is_null(rows.column("_truth")))
        fresh = open_.filter(pc.invert(pc.is_in(open_.column("_id"), pa.array(sorted(waiting), pa.string()))))
        found, classes = _picked(fresh, loaded, lookup)
        if not found:
            ui.say(
                f"{place}: nothing to label: of {rows.num_rows:,} predictions {rows.num_rows - open_.num_rows:,} have "
                f"their truth, and {open_.num_rows:,} were exported before"
            )
            return None
        target = folder / f"{max((int(path.name) for path in _exports(folder)), default=0) + 1:04}"
        picked = fresh.take(pa.array([one.row for one in found])).to_pylist()
        with whole_folder(target) as temporary:
            tasks = [
                labelstudio.task(row, one, contract, how.labels.show) for row, one in zip(picked, found, strict=True)
            ]
            write_json(temporary / TASKS, tasks)
            write_text(temporary / CONFIGURATION, labelstudio.configuration(contract, classes))
    counts = Counter(one.why for one in found)
    said = ", ".join(f"{counts[why]:,} {why}" for why in ("uncertain", "drifted", "random"))
    ui.say(
        f"{target}: {len(found):,} tasks ({said}) of {fresh.num_rows:,} predictions without truth; give "
        f"{CONFIGURATION} to a project of Label Studio as its labelling configuration, then import {TASKS} there"
    )
    return target


def _picked(rows: pa.Table, loaded: Settings, lookup: Lookup) -> tuple[list[picking.Pick], tuple[str, ...]]:
    """What is worth a label, and the classes that there are."""
    how, contract = loaded.monitoring, loaded.data
    versions = sorted(set(rows.column("_version").to_pylist()))
    known: dict[str, Reference] = {}
    for version in versions:
        if (reference := lookup(version)) is not None:
            known[version] = reference
        elif how.labels.drifted:
            ui.warn(f"{version}: what it was trained on is not here, so none is picked as drifted; fetch the tags")
    newest = findings.history()[-1:]
    moved = {
        version: [name for name, one in part.columns.items() if one.drifted]
        for result in newest
        for version, part in result.versions.items()
    }
    threshold = {name: known[name].signature.threshold if name in known else contract.threshold for name in versions}
    doubt = picking.uncertain(rows, contract, threshold)
    strange = picking.drifted(rows, known, moved, contract)
    return picking.picks(rows.num_rows, doubt, strange, how.labels, how.seed), _classes(rows, loaded, known)


def _classes(rows: pa.Table, loaded: Settings, known: dict[str, Reference]) -> tuple[str, ...]:
    """What the truth may be: the contract's categories, else those that the versions know. None for a number."""
    target = loaded.data.columns[loaded.data.target]
    if loaded.data.task == "regression":
        return ()
    if target.type == "boolean":
        return ("false", "true")
    if target.categories:
        return target.categories
    found = dict.fromkeys(name for reference in known.values() for name in reference.signature.labels)
    if not found and rows.num_rows:
        raise InputError(
            f"{layout.data_conf(loaded.data.name)}: columns.{loaded.data.target}: neither `categories` nor a model "
            "here says which classes there are; declare them"
        )
    return tuple(sorted(found))


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One export at a time; the system gives the lock free when a process dies."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); free the folder and run again") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def _exports(folder: Path) -> list[Path]:
    """Those that are whole, oldest first."""
    return sorted((path for path in folder.iterdir() if path.name.isdecimal()), key=lambda path: int(path.name))


def _waiting(folder: Path) -> set[str]:
    """Ids of the predictions that were exported. Raises `InputError` where a file is broken."""
    return {
        str(task["meta"][labelstudio.ID])
        for path in _exports(folder)
        for task in read_json(path / TASKS, "gitloop label export")
    }


def taken(loaded: Settings, log: Log, path: Path) -> int:
    """Tell the log what an export of Label Studio's says; how many truths were new.

    Raises `InputError`, one line for each answer that is wrong; then nothing is told.
    """
    answers = _answers(path)
    good, wrong = labels.checked(answers, loaded.data)
    known: set[str] = set()
    if good:
        times = [one.at for one in good]
        known = told.known(log, [one.telling.id for one in good], min(times), max(times))
    tellings, differ = labels.settled(good, known)
    wrong += differ
    if wrong:
        more = [f"{path}: and {len(wrong) - SHOWN:,} more"] if len(wrong) > SHOWN else []
        raise InputError("\n".join([*(f"{path}: {line}" for line in wrong[:SHOWN]), *more]))
    fresh = told.tell(log, tellings) if tellings else 0
    skipped = sum(one.skipped for one in answers)
    ui.say(
        f"{path}: {fresh:,} truths kept, {len(tellings) - fresh:,} there already"
        + (f", {skipped:,} skipped" if skipped else "")
    )
    return fresh


def _answers(path: Path) -> list[labelstudio.Answer]:
    mend = "export the project as JSON or JSON-MIN"
    try:
        raw: Any = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); name Label Studio's export") from error
    except ValueError as error:
        raise InputError(f"{path}: is not JSON; {mend}") from error
    if not isinstance(raw, list):
        raise InputError(f"{path}: is no list of tasks; {mend}")
    return [one for number, task in enumerate(raw, 1) for one in labelstudio.answers(task, number)]
