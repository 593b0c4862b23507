"""Look at a window of the prediction log: what was asked and said, beside what each version was trained on."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gitloop import layout, settings, ui
from gitloop.errors import InputError
from gitloop.files import write_text
from gitloop.monitoring import findings, page, references, watched
from gitloop.monitoring.findings import Result
from gitloop.monitoring.references import Lookup
from gitloop.monitoring.watch import Looked, said, watch
from gitloop.settings import Settings

DAY = timedelta(days=1)


def run(arguments: argparse.Namespace) -> None:
    """`gitloop monitor [--environment NAME] [--since T] [--until T]`."""
    loaded = settings.load()
    if arguments.environment:
        loaded = deployed(loaded, arguments.environment)
    now = datetime.now(UTC).replace(tzinfo=None)
    since, until = window(arguments.since, arguments.until, loaded.monitoring.window, now)
    result = monitor(loaded, since, until, now=now, lookup=references.found)
    show(result)


def deployed(loaded: Settings, name: str) -> Settings:
    """With the prediction log of what was deployed to an environment on this machine; a database's is its own."""
    log = loaded.serving.log
    if log is None or log.url_env or Path(log.folder).is_absolute():
        return loaded
    there = layout.deployments() / layout.DEPLOYED / name / log.folder
    moved = loaded.serving.model_copy(update={"log": log.model_copy(update={"folder": str(there)})})
    return loaded.model_copy(update={"serving": moved})


def monitor(
    loaded: Settings,
    since: datetime,
    until: datetime,
    *,
    now: datetime,
    lookup: Lookup,
    folder: Path = layout.MONITORING,
) -> Result:
    """Look at a window (naive UTC), write its pages and its result below `folder`. Raises `InputError`."""
    if loaded.serving.log is None:
        raise InputError("conf/serving/: log: null keeps no predictions, so there is nothing to look at; name a folder")
    how = loaded.monitoring
    seen = watched.read(
        loaded.serving.log, loaded.data, since, until, most=how.sample, truth_days=how.truth_days, now=now
    )
    result, looked = watch(loaded, seen, lookup, findings.history(folder))
    for one in looked:
        _page(folder / findings.named(until), one, result, loaded)
    findings.write(result, folder)
    return result


def window(since: str | None, until: str | None, days: int, now: datetime) -> tuple[datetime, datetime]:
    """The window asked for; by default the last whole days. Raises `InputError` where that is none."""
    end = _time("--until", until) if until else now.replace(hour=0, minute=0, second=0, microsecond=0)
    begin = _time("--since", since) if since else end - days * DAY
    if not until and since:
        end = begin + days * DAY
    if begin >= end:
        raise InputError(f"--since {begin.isoformat()} is not before --until {end.isoformat()}; move one of them")
    return begin, end


def _time(option: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"{option}: {text!r} is no time; write it as 2013-04-01 or 2013-04-01T12:00") from error
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def _page(folder: Path, one: Looked, result: Result, loaded: Settings) -> None:
    how = loaded.monitoring
    part = result.versions[one.version]
    names = page.first(one.columns, part.columns)
    now, before = (page.draw(rows, names, how.page_rows, how.seed) for rows in (one.rows, one.reference.rows))
    sentences = [
        f"Predictions from {result.since} to {result.until} (UTC), {one.rows.num_rows:,} of this version, beside its "
        f"training rows; shown are {now.num_rows:,} and {before.num_rows:,}, drawn at random.",
        "What counts is below reports/monitoring/: findings are computed from all rows that were looked at.",
    ]
    if len(names) < len(one.columns):
        sentences.append(f"{len(one.columns) - len(names)} columns more, which are nearer, are not shown.")
    if part.left_out:
        left = ", ".join(f"{name} ({why})" for name, why in part.left_out.items())
        sentences.append(f"Left out: {left}.")
    sentences += [finding.words + "." for finding in result.findings if finding.version in (None, one.version)]
    if names:
        columns = {name: one.columns[name] for name in names}
        page.write(folder, one.version, now, before, columns, how.drift, sentences=sentences)
    else:
        write_text(folder / f"{one.version}.html", "<p>" + " ".join(sentences) + "</p>\n")


def show(result: Result) -> None:
    if result.findings:
        rows = [[one.kind, one.version or "all", one.words] for one in result.findings]
        ui.table(f"found from {result.since} to {result.until}", ["kind", "version", "what"], rows)
    for line in said(result):
        ui.say(line)
    drawn = f", of which {result.share:.1%} were looked at (±{result.error:.2%} of a share)" if result.share < 1 else ""
    count = f"{result.rows:,} predictions{drawn}"
    number = len(result.findings)
    end = f"{number} finding{'s' if number > 1 else ''}" if number else "nothing found"
    if result.status != "judged":
        end = f"{result.status}; {end}"
    ui.say(f"{findings.place(result)}: {count}; {end}")
