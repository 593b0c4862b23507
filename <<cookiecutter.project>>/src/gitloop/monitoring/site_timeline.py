"""Versions and what ran where, on one axis of time."""

from __future__ import annotations

from collections.abc import Iterator

from gitloop.monitoring.site import Lane, Site, Stay
from gitloop.monitoring.site_axes import LETTER, Axis, apart, days, seconds
from gitloop.monitoring.site_html import Html, joined, moment, tag
from gitloop.monitoring.site_svg import NARROW, RIGHT, Drawing, Key, dot, figure, line, text

ROW, BAR = 58, 22  # heights
MOVES = {"deployed": "●", "promoted": "▲", "rolled back": "▼", "deployed again": "●", "taken down": "✕"}


def timeline(found: Site) -> Html | None:
    """None where there is no version yet."""
    if not found.releases:
        return None
    runs = [f"{lane.name} {_now(lane)}" for lane in found.lanes]
    words = (
        f"{len(found.releases)} versions, from {found.releases[0].name} of {moment(found.releases[0].when)} to "
        f"{found.releases[-1].name} of {moment(found.releases[-1].when)}. {'; '.join(runs) or 'None was deployed'}. "
        "The tables below have every version and every deployment."
    )
    there = {one.move for lane in found.lanes for one in lane.stays}
    keys = [Key(dot(11, 6, "release", radius=4), "a version")] + [
        Key(text(11, 11, mark, _kind(move), "middle"), move) for move, mark in MOVES.items() if move in there
    ]
    return figure("timeline", "Versions, and what ran where", words, lambda width: _drawn(found, width), keys)


def _now(lane: Lane) -> str:
    if lane.now is None:
        return "has had no version"
    return f"runs {lane.now.version}" if lane.now.version else "runs none"


def _drawn(found: Site, width: int) -> Drawing:
    every = [one.when for one in found.releases] + [one.since for lane in found.lanes for one in lane.stays]
    low, high = (seconds(time) for time in (min(every), max([*every, found.when or ""])))
    room = max((high - low) * 0.02, 1800.0)
    across = Axis(low - room, high + 5 * room, 4, width - RIGHT)
    parts: list[Html] = []
    height = ROW * (1 + len(found.lanes)) + 4
    for place, words in days(across, 7 if width > NARROW else 3):
        x = across.at(place)
        parts += [line(x, 0, x, height, "grid"), text(x, height + 18, words, "mark", "middle")]
    parts += _releases(found, across)
    for number, lane in enumerate(found.lanes, 1):
        parts += _lane(lane, across, number * ROW)
    return Drawing(joined(parts), height + 26)


def _releases(found: Site, across: Axis) -> Iterator[Html]:
    middle = ROW - BAR / 2 - 4
    yield text(across.start, 16, "versions", "lane")
    yield line(across.start, middle, across.end, middle, "base")
    places = [(across.at(seconds(one.when)), one) for one in found.releases]
    for x, one in places:
        yield dot(x, middle, "release", f"{one.name}, {moment(one.when)}", 4)
    ends = [
        (min(max(x - len(one.name) * LETTER / 2, across.start), across.end - len(one.name) * LETTER), one.name)
        for x, one in places
    ]
    for x, words in apart(ends):
        yield text(x, middle - 9, words, "label")


def _lane(lane: Lane, across: Axis, top: float) -> Iterator[Html]:
    yield text(across.start, top + 16, lane.name, "lane")
    y = top + ROW - BAR - 4
    if not lane.stays:
        yield text(across.start, y + 15, "nothing was deployed yet", "mark")
    for number, one in enumerate(lane.stays):
        yield from _stay(one, number, across, y)


def _stay(one: Stay, number: int, across: Axis, y: float) -> Iterator[Html]:
    begin = across.at(seconds(one.since))
    end = across.end if one.until is None else across.at(seconds(one.until))
    words = f"{moment(one.since)}: {one.move}{f', {one.version}' if one.version else ''}"
    about, wide = tag("title", words), max(end - begin, 1.5)
    if one.version is None:
        yield line(begin, y + BAR / 2, end, y + BAR / 2, "nothing")
    else:
        kind = "stay now" if one.until is None else f"stay {'even' if number % 2 else 'odd'}"
        yield Html(
            f'<rect x="{begin:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{BAR}" rx="2" class="{kind}">{about}</rect>'
        )
    mark, name = MOVES[one.move], one.version or ""
    if wide >= 14:
        yield text(begin + 3, y + 15.5, mark, _kind(one.move))
    elif one.move in ("rolled back", "taken down"):  # where it has no room in the bar, above it
        yield text(begin, y - 3, mark, _kind(one.move), "middle")
    if wide >= 22 + len(name) * LETTER:
        yield text(begin + 17, y + 15.5, name, "inside")


def _kind(move: str) -> str:
    return {"rolled back": "back", "taken down": "down"}.get(move, "up")
