"""The sections about versions and windows: what somebody asks first who comes to see how the model is."""

from __future__ import annotations

from gitloop.monitoring import site, site_charts, site_timeline
from gitloop.monitoring.site import Lane, Site
from gitloop.monitoring.site_decisions import ACTIONS, NO_WINDOW
from gitloop.monitoring.site_html import Cell, Html, badge, folded, joined, link, moment, table, tag, when


def now(found: Site) -> list[Html | None]:
    """What runs, how it does, and what is asked for, each in a few words."""
    tiles = [*(_runs(lane, found) for lane in found.lanes), *_watched(found)]
    if found.proposals is not None:
        count = len(found.proposals)
        to = link("open now", "#proposals")
        tiles.append(_tile("pull requests", str(count) if count else "none", to))
    if not tiles:
        return [tag("p", "Nothing runs yet, and nothing was looked at.", class_="empty")]
    return [tag("dl", *tiles, class_="tiles")]


def _first() -> Html:
    return tag(
        "p",
        "No version yet. Train a model (",
        tag("code", "make train"),
        "), push it, and merge it to main: the release workflow makes it ",
        tag("code", "v0.1.0"),
        ". Without a workflow: ",
        tag("code", "gitloop release"),
        " on main.",
        class_="empty",
    )


def _tile(name: str, value: Html | str, more: Html | str) -> Html:
    return tag("div", tag("dt", name), tag("dd", tag("strong", value), tag("span", more)))


def _runs(lane: Lane, found: Site) -> Html:
    now = lane.now
    value = (now.version if now else None) or "none"
    more: list[Html | str] = [f"{now.move} ", when(now.since)] if now else ["nothing was deployed yet"]
    newest = found.releases[-1].name if found.releases else None
    wanted = newest if lane.wanted == "newest" else lane.wanted
    if wanted is not None and wanted != value:
        more.append(f"; main asks for {wanted}")
    return _tile(lane.name, value, joined(more))


def _watched(found: Site) -> list[Html]:
    if not found.windows:
        return []
    last = found.windows[-1]
    tiles = []
    live = next(((one, value) for one in reversed(found.windows) if (value := found.live(one))), None)
    if live:
        test = found.tested(live[0])
        beside = f"{test:.4g} on the test slice; " if test is not None else ""
        about = joined([f"{beside}to ", when(live[0].until)])
        tiles.append(_tile(f"live {found.metric}", f"{live[1].value:.4g}", about))
    some, all_ = site.drifted(last)
    drift = f"{some} of {all_}" if all_ else last.status
    tiles.append(_tile("columns drifted", drift, joined(["in the window to ", when(last.until)])))
    if decision := found.decisions.get(last.until):
        after = joined(["after the window to ", when(last.until)])
        tiles.append(_tile("decided", badge(*ACTIONS[decision.action]), after))
    return tiles


def versions(found: Site) -> list[Html | None]:
    """On a timeline, and as tables."""
    if not found.releases:
        return [_first()]
    header = ["version", "when (UTC)", "commit", "data window", "model", "metric", "low", "high", "runs in"]
    rows: list[list[Cell]] = []
    for one in reversed(found.releases):
        runs = [lane.name for lane in found.lanes if lane.now and lane.now.version == one.name]
        test = (f"{one.metric} {one.test.value:.4g}", one.test.low, one.test.high) if one.test else (None, None, None)
        what = joined([_commit(found, one.commit), Html(" "), tag("bdi", one.subject), f" ({one.author})"])
        rows.append([one.name, moment(one.when), what, one.trained, one.model, *test, ", ".join(runs) or None])
    moves = [
        [moment(one.since), lane.name, one.move, one.version, one.was, one.says or None]
        for lane in found.lanes
        for one in reversed(lane.stays)
    ]
    moves.sort(key=lambda row: str(row[0]), reverse=True)
    told = ["when (UTC)", "environment", "what", "version", "before", "recorded"]
    return [
        site_timeline.timeline(found),
        folded(f"Versions ({len(rows)})", table("Versions, newest first", header, rows)),
        folded(f"Deployments ({len(moves)})", table("Deployments, newest first", told, moves)) if moves else None,
    ]


def _commit(found: Site, commit: str) -> Html:
    short = tag("code", commit[:10])
    return link(short, f"{found.address}/commit/{commit}") if found.address else short


def quality(found: Site) -> list[Html | None]:
    if not found.windows:
        return [_unwatched()]
    chart = site_charts.quality(found)
    if chart is None:
        return [tag("p", "No truth has come of any window yet: send it to the service (`/feedback`).", class_="empty")]
    header = ["window to", "version", found.metric or "", "low", "high", "on the test slice", "with truth", "delay, h"]
    rows: list[list[Cell]] = []
    for one in reversed(found.windows):
        for name, part in one.versions.items():
            live, truth = site.value_of(part, found.metric), part.truth
            test = found.tested(one) if name == one.version else None
            ends = (live.value, live.low, live.high) if live else (None, None, None)
            known = (truth.rows, truth.delay_hours) if truth else (None, None)
            rows.append([moment(one.until), name, *ends, test, *known])
    return [chart, folded("As a table", table(f"{found.metric} by window, newest first", header, rows))]


def _unwatched() -> Html:
    return tag(
        "p",
        f"{NO_WINDOW} ",
        tag("code", "gitloop monitor"),
        ", ",
        tag("code", "gitloop decide"),
        " and ",
        tag("code", "gitloop act"),
        " look at one, decide and keep it on branch ",
        tag("code", "monitoring"),
        "; the workflow Monitor does so every week.",
        class_="empty",
    )


def drift(found: Site) -> list[Html | None]:
    if not found.windows:
        return [tag("p", NO_WINDOW, class_="empty")]
    chart = site_charts.drift(found)
    rows: list[list[Cell]] = []
    for one in reversed(found.windows):
        some, all_ = site.drifted(one)
        part = site.part_of(one)
        names = [name for name, of in part.columns.items() if of.drifted] if part else []
        said = "yes" if part and part.prediction and part.prediction.drifted else "no" if part else None
        rows.append(
            [moment(one.until), one.version, some if all_ else None, all_ or None, ", ".join(names) or None, said]
        )
    header = ["window to", "version", "drifted", "compared", "which", "predictions drifted"]
    whole = folded("As a table", table("Columns that drifted, by window, newest first", header, rows))
    return [chart or tag("p", "No window has had enough data to be judged yet.", class_="empty"), whole]
