"""The charts over the windows: how good the model was, and how much of its world had drifted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gitloop.monitoring import site
from gitloop.monitoring.findings import Result
from gitloop.monitoring.site import Site, Value
from gitloop.monitoring.site_axes import Axis, axis, seconds
from gitloop.monitoring.site_html import Html, joined, moment, tag
from gitloop.monitoring.site_svg import (
    TOP,
    Drawing,
    Key,
    decided,
    dot,
    figure,
    framed,
    line,
    path,
    text,
    times,
)

HIGH = 190  # of what is drawn


def quality(found: Site) -> Html | None:
    """The headline metric: live per window, beside what it was on the test slice. None where no truth has come."""
    live = [(one, value) for one in found.windows if (value := found.live(one))]
    if not live or found.metric is None:
        return None
    name, numbers = found.metric, [value.value for _, value in live]
    sense = "higher" if found.greater else "lower"
    words = (
        f"{name} in {len(live)} of {len(found.windows)} windows, {sense} is better: from {numbers[0]:.4g} in the "
        f"window to {moment(live[0][0].until)} to {numbers[-1]:.4g} in the one to {moment(live[-1][0].until)}; lowest "
        f"{min(numbers):.4g}, highest {max(numbers):.4g}. The table below has every value."
    )
    keys = [
        Key(joined([line(0, 6, 22, 6, "live"), dot(11, 6, "point")]), f"live {name}, {sense} is better"),
        *([Key(tag("rect", x=0, y=1, width=22, height=10, class_="band"), "its interval")] if _intervals(live) else []),
        Key(line(0, 6, 22, 6, "test"), "on the test slice, at release"),
        *([Key(line(0, 6, 22, 6, "floor"), "floor")] if found.floor is not None else []),
        *decided(found),
    ]

    def draw(width: int) -> Drawing:
        across = times(found.windows, width)
        tested = [(one, value) for one in found.windows if (value := found.tested(one)) is not None]
        seen = [end for _, value in live for end in value if end is not None] + [value for _, value in tested]
        up = axis([*seen, *([found.floor] if found.floor is not None else [])], TOP + HIGH, TOP)
        floor = (
            []
            if found.floor is None
            else [line(across.start, up.at(found.floor), across.end, up.at(found.floor), "floor")]
        )
        inside = [*floor, *_tested(tested, across, up), *_live(found, across, up)]
        return framed(found, across, up, lambda value: f"{value:g}", joined(inside))

    return figure("quality", f"{name} by window", words, draw, keys)


def _intervals(live: Sequence[tuple[Result, Value]]) -> bool:
    return any(value.low is not None for _, value in live)


def _tested(tested: Sequence[tuple[Result, float]], across: Axis, up: Axis) -> Iterator[Html]:
    """A line of each version, as long as it was in use."""
    spans: list[tuple[str | None, float, Result, Result]] = []
    for one, value in tested:
        if spans and spans[-1][:2] == (one.version, value):
            spans[-1] = (*spans[-1][:3], one)
        else:
            spans.append((one.version, value, one, one))
    for _, value, first, last in spans:
        begin, end = (max(across.start, across.at(seconds(time))) for time in (first.since, last.until))
        yield line(begin, up.at(value), end, up.at(value), "test")


def _live(found: Site, across: Axis, up: Axis) -> Iterator[Html]:
    """Lines between windows of one version that follow each other, their intervals, and points."""
    run: list[tuple[float, Value]] = []
    version: str | None = None
    points = []
    for one in found.windows:
        value, x = found.live(one), across.at(seconds(one.until))
        if value is None or one.version != version:
            yield from _run(run, up)
            run, version = [], one.version
        if value is None:
            continue
        run.append((x, value))
        interval = f" ({value.low:.4g} to {value.high:.4g})" if value.low is not None and value.high is not None else ""
        words = f"{moment(one.until)}, {one.version}: {value.value:.4g}{interval}"
        points.append(dot(x, up.at(value.value), "point", words, 3 if len(found.windows) < 60 else 2))
    yield from _run(run, up)
    yield from points


def _run(run: Sequence[tuple[float, Value]], up: Axis) -> Iterator[Html]:
    known = [(x, up.at(of.low), up.at(of.high)) for x, of in run if of.low is not None and of.high is not None]
    if len(known) > 1:
        yield path(
            [*((x, low) for x, low, _ in known), *((x, high) for x, _, high in known[::-1])], "band", closed=True
        )
    elif known:
        x, low, high = known[0]
        yield line(x, low, x, high, "whisker")
    if len(run) > 1:
        yield path([(x, up.at(of.value)) for x, of in run], "live")


def drift(found: Site) -> Html | None:
    """The share of columns that drifted, per window. None where none was compared yet."""
    known = [(one, value) for one in found.windows if (value := site.share(one)) is not None]
    if not known:
        return None
    most, high = max(known, key=lambda one: one[1])
    some = sum(value > 0 for _, value in known)
    words = (
        f"Of {len(known)} windows that could be judged {some} had columns that drifted; the most, {high:.0%} of the "
        f"columns, in the window to {moment(most.until)}. The table below names them."
    )
    keys = [
        Key(tag("rect", x=7, y=1, width=8, height=10, class_="bar"), "share of columns that drifted"),
        *([Key(text(11, 11, "×", "none", "middle"), "not enough data")] if len(known) < len(found.windows) else []),
        *decided(found),
    ]

    def draw(width: int) -> Drawing:
        across = times(found.windows, width)
        up = Axis(0, min(max(high * 1.15, 0.2), 1.0), TOP + HIGH * 0.7, TOP)
        return framed(found, across, up, lambda value: f"{value:.0%}", joined(_bars(found, across, up)))

    return figure("drift", "Share of columns that drifted, by window", words, draw, keys)


def _bars(found: Site, across: Axis, up: Axis) -> Iterator[Html]:
    room = (across.end - across.start) / max(len(found.windows), 1)
    wide = min(max(room * 0.6, 1.5), 16)
    for one in found.windows:
        value, x = site.share(one), across.at(seconds(one.until))
        if value is None:
            yield text(x, up.start - 4, "×", "none", "middle")
        elif value == 0:
            yield line(x - wide / 2, up.start - 1, x + wide / 2, up.start - 1, "zero")
        else:
            y = up.at(min(value, up.high))
            some, all_ = site.drifted(one)
            words = tag("title", f"{moment(one.until)}, {one.version}: {some} of {all_} columns")
            yield Html(
                f'<rect x="{x - wide / 2:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{up.start - y:.1f}" class="bar">'
                f"{words}</rect>"
            )
