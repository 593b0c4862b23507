"""What charts have in common: two widths, of which a browser shows the one that fits, a frame, a legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gitloop.monitoring import site
from gitloop.monitoring.findings import Result
from gitloop.monitoring.site import Site
from gitloop.monitoring.site_axes import LETTER, Axis, apart, marks, seconds
from gitloop.monitoring.site_html import Html, joined, moment, tag

WIDE, NARROW = 880, 340
TOP, LEFT, RIGHT, FOOT = 28, 44, 10, 46  # margins
MARKS = {"alert": "◆", "retrain": "▲", "retire": "■"}


class Drawing(NamedTuple):
    content: Html
    height: float


class Key(NamedTuple):
    """An entry of a legend: what is drawn, and what it is."""

    drawn: Html
    words: str


def figure(name: str, title: str, words: str, draw: Callable[[int], Drawing], keys: Sequence[Key]) -> Html:
    """A chart with its legend. `words` say what can be seen in it; `draw` is given the width."""
    drawings = [_svg(f"{name}-{kind}", kind, title, words, width, draw(width)) for kind, width in _WIDTHS]
    legend = [
        tag("li", tag("svg", one.drawn, viewBox="0 0 22 12", width=22, height=12, aria_hidden="true"), one.words)
        for one in keys
    ]
    return tag("figure", *drawings, tag("ul", *legend, class_="legend"), class_="chart")


_WIDTHS = (("wide", WIDE), ("narrow", NARROW))


def _svg(name: str, kind: str, title: str, words: str, width: int, drawing: Drawing) -> Html:
    about = tag("title", title, id=f"{name}-t"), tag("desc", words, id=f"{name}-d")
    return tag(
        "svg",
        *about,
        drawing.content,
        viewBox=f"0 0 {width} {drawing.height:g}",
        role="img",
        class_=kind,
        aria_labelledby=f"{name}-t",
        aria_describedby=f"{name}-d",
    )


def text(x: float, y: float, words: str, kind: str = "", anchor: str | None = None) -> Html:
    return tag("text", words, x=round(x, 1), y=round(y, 1), class_=kind or None, text_anchor=anchor)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Html:
    return tag("line", x1=round(x1, 1), y1=round(y1, 1), x2=round(x2, 1), y2=round(y2, 1), class_=kind)


def path(points: Sequence[tuple[float, float]], kind: str, *, closed: bool = False) -> Html:
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return tag("path", d=f"M{steps}{'Z' if closed else ''}", class_=kind)


def dot(x: float, y: float, kind: str, words: str | None = None, radius: float = 3) -> Html:
    """A point; `words` are shown where it is pointed at."""
    about = tag("title", words) if words else Html("")
    return Html(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" class="{kind}">{about}</circle>')


def times(windows: Sequence[Result], width: int) -> Axis:
    """The axis of the windows' ends."""
    ends = [seconds(one.until) for one in windows]
    low, high = min(ends), max(ends)
    room = max((high - low) * 0.02, 43_200.0)
    return Axis(low - room, high + room, LEFT, width - RIGHT)


def framed(found: Site, across: Axis, up: Axis, form: Callable[[float], str], inside: Html) -> Drawing:
    """Grid, marks, days, versions and decisions around what is drawn inside."""
    bottom = up.start
    parts: list[Html] = []
    for value in marks(up):
        y = up.at(value)
        parts += [line(across.start, y, across.end, y, "grid"), text(LEFT - 6, y + 4, form(value), "mark", "end")]
    parts += _versions(found, across, bottom)
    parts.append(inside)
    parts += _decisions(found, across, bottom)
    parts.append(line(across.start, bottom, across.end, bottom, "base"))
    parts += [text(x, bottom + 38, words, "mark") for x, words in _ends(found, across)]
    return Drawing(joined(parts), bottom + FOOT)


def _ends(found: Site, across: Axis) -> list[tuple[float, str]]:
    """The ends of some windows, so many that their days have room: the newest, and others at equal distances."""
    step = -(-len(found.windows) // (8 if across.end > NARROW else 3))
    some = [one.until for one in found.windows[::-1][::step]]
    places = [(across.at(seconds(until)), until[:10]) for until in some]
    half = 5 * LETTER
    return apart([(min(max(x - half, 0), across.end - 2 * half), words) for x, words in places])


def _versions(found: Site, across: Axis, bottom: float) -> list[Html]:
    """Where another version took over, with its name where there is room."""
    places = [(max(across.at(seconds(one.since)), across.start), name) for one, name in site.changes(found.windows)]
    named = apart([(min(x + 4, across.end - len(name) * LETTER), name) for x, name in places])
    names = {name for _, name in named}
    lines = [line(x, TOP - 10, x, bottom if name in names else TOP - 4, "version") for x, name in places]
    return lines + [text(x, TOP - 14, name, "label") for x, name in named]


def _decisions(found: Site, across: Axis, bottom: float) -> list[Html]:
    """What was decided, below the windows."""
    parts = []
    for one in found.windows:
        decision = found.decisions.get(one.until)
        if decision and decision.action in MARKS:
            words = tag("title", f"{moment(one.until)}: {decision.action}")
            x = across.at(seconds(one.until))
            mark = MARKS[decision.action]
            parts.append(
                tag("text", mark, words, x=round(x, 1), y=bottom + 19, class_=decision.action, text_anchor="middle")
            )
    return parts


def decided(found: Site) -> list[Key]:
    """The legend of the decisions that were taken."""
    taken = {one.action for one in found.decisions.values()}
    words = {"alert": "look (alert)", "retrain": "retrain", "retire": "retire"}
    return [
        Key(tag("text", mark, x=11, y=11, class_=action, text_anchor="middle"), words[action])
        for action, mark in MARKS.items()
        if action in taken
    ]
