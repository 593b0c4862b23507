"""`gitloop site`: one page of all that Git knows of the model, for a browser, in site/."""

from __future__ import annotations

import argparse
import shutil
import webbrowser
from collections.abc import Iterable
from pathlib import Path

from gitloop import git, layout, ui
from gitloop.errors import GitloopError
from gitloop.files import whole_folder
from gitloop.gitops import forge, registry, site_main, site_windows
from gitloop.gitops.registry import Registry
from gitloop.gitops.site_main import Main
from gitloop.gitops.site_windows import Note
from gitloop.monitoring import site
from gitloop.monitoring.findings import Result, named
from gitloop.monitoring.site import Lane, Page, Proposal, Site
from gitloop.monitoring.site_page import page

OURS = "gitloop/"  # what branches of our own pull requests begin with


def run(arguments: argparse.Namespace) -> None:
    """`gitloop site [--open]`. Raises `InputError` where this is no repository, or its clone is shallow."""
    git.git("rev-parse", "--git-dir")
    notes: list[Note] = []
    found = gathered(notes)
    with whole_folder(layout.SITE) as folder:
        (folder / "index.html").write_text(page(found), encoding="utf-8", newline="\n")
        for one in found.pages:
            (folder / one.path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(layout.MONITORING / Path(one.path).relative_to("reports"), folder / one.path)
    index = layout.SITE / "index.html"
    versions, windows = len(found.releases), len(found.windows) + found.older
    ui.say(f"{index}: {versions} version{'s'[versions == 1 :]}, {windows} window{'s'[windows == 1 :]}")
    for note in notes:
        ui.warn(" ".join(note).strip())
    if arguments.open:
        webbrowser.open(index.resolve().as_uri())


def gathered(notes: list[Note]) -> Site:
    """All that the page shows, read once; what cannot be read is said in `notes`."""
    main = site_main.read()
    tags = registry.read()
    every, decisions = site_windows.read(notes)
    windows, older = site.shown(every)
    lanes = _lanes(tags, main)
    return Site(
        name=main.text("project", "name") or "A model",
        description=main.text("project", "description"),
        owner=main.text("project", "owner"),
        contact=main.text("project", "contact"),
        commit=main.commit,
        when=main.when,
        address=_address(),
        metric=main.metric,
        greater=main.greater,
        floor=main.floor,
        releases=site_main.releases(tags, {one.now.version for one in lanes if one.now}),
        lanes=lanes,
        windows=windows,
        older=older,
        decisions=decisions,
        evaluation=main.evaluation,
        fairness_bounds=main.fairness,
        verdicts=main.verdicts(notes),
        pages=tuple(_pages(windows)),
        proposals=_proposals(notes),
        notes=tuple(one.words for one in notes),
    )


def _lanes(tags: Registry, main: Main) -> tuple[Lane, ...]:
    """Every environment that main declares, or that something was recorded of."""
    found = []
    for name in sorted({*main.environments, *tags.stages}):
        records = []
        for one in tags.stages.get(name, ()):
            version = tags.at(one.commit)
            known = version.name if version else one.commit[:10]
            records.append((one.when, None if one.taken else known, one.says.partition(": ")[2]))
        found.append(Lane(name, main.environments.get(name), site.stays(records)))
    return tuple(found)


def _proposals(notes: list[Note]) -> tuple[Proposal, ...] | None:
    """Open pull requests of our own; None where nobody can be asked."""
    try:
        pulls = forge.here().pulls()
    except GitloopError as error:
        notes.append(Note("Open pull requests are not shown: nobody could be asked.", str(error).splitlines()[0]))
        return None
    ours = [one for one in pulls if one.head.startswith(OURS) and one.fork is None]
    return tuple(Proposal(one.number, one.title, one.labels, one.url) for one in ours)


def _pages(windows: Iterable[Result]) -> list[Page]:
    """Evidently's reports of the newest window that has some here."""
    for one in sorted(windows, key=lambda one: one.until, reverse=True):
        folder = named(one.end)
        here = sorted((layout.MONITORING / folder).glob("*.html"))
        if here:
            return [Page(one.until, path.stem, f"reports/{folder}/{path.name}") for path in here]
    return []


def _address() -> str:
    """Where origin is for a browser; empty where it is a folder or is not known."""
    url = git.asked("remote", "get-url", "origin") or ""
    if url.startswith("git@"):
        url = "https://" + url.removeprefix("git@").replace(":", "/", 1)
    scheme, found, rest = url.partition("://")
    if not found or scheme not in ("https", "http"):
        return ""
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.removesuffix('/').removesuffix('.git')}"
