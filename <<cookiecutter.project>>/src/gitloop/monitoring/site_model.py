"""The sections about the model itself: gates, slices, groups, card."""

from __future__ import annotations

from typing import Any, cast

from gitloop.modeling import report
from gitloop.monitoring import site
from gitloop.monitoring.findings import Part
from gitloop.monitoring.site import Site
from gitloop.monitoring.site_axes import axis
from gitloop.monitoring.site_card import card
from gitloop.monitoring.site_html import Cell, Html, badge, folded, table, tag
from gitloop.monitoring.site_svg import dot, line

PASSED = {True: ("good", "✓", "passed"), False: ("bad", "✕", "failed"), None: ("", "–", "not judged")}
WIDTH, HEIGHT = 96, 14  # of the drawing in a cell


def gates(found: Site) -> list[Html | None]:
    if not found.verdicts:
        return [_untrained()]
    rows: list[list[Cell]] = [
        [
            one.rule,
            badge(*PASSED[one.passed]),
            one.value,
            f"{one.sense} {one.bound:.4g}" if one.sense else None,
            one.why or None,
        ]
        for one in sorted(found.verdicts, key=lambda one: {False: 0, True: 1, None: 2}[one.passed])
    ]
    words = (
        "The model on main against the bounds of conf/gates/ on main. With a champion it is compared in pull requests."
    )
    return [
        tag("p", words, class_="note"),
        table("Gates", ["gate", "verdict", "value", "bound", "why"], rows, hidden=True),
    ]


def _untrained() -> Html:
    return tag("p", "No model was trained on main yet: ", tag("code", "make train"), ", then commit.", class_="empty")


def slices(found: Site) -> list[Html | None]:
    """Parts of the test slice and classes, worst first, and groups of people, on the test slice and live."""
    evaluation = found.evaluation
    if evaluation is None:
        return [_untrained()]
    told = dict(evaluation)
    return [*_parts(found, told), *_classes(told), *_groups(found, told)]


def _classes(evaluation: dict[str, Any]) -> list[Html | None]:
    """Of several classes how well each is told from the rest."""
    return [
        part
        for one in report.classes(evaluation)
        for part in (
            tag("h3", one.title),
            tag("p", "Of each class on the test slice of main, worst F1 first.", class_="note"),
            table(one.title, list(one.header), [cast("list[Cell]", list(row)) for row in one.rows], hidden=True),
        )
    ]


def _parts(found: Site, evaluation: dict[str, Any]) -> list[Html | None]:
    metric = evaluation["metric"]
    whole = (evaluation["metrics"].get(metric) or {}).get("value")
    parts = [
        (column, name, one["rows"], one["metrics"].get(metric))
        for column, of in (evaluation.get("slices") or {}).items()
        for name, one in of.items()
    ]
    known = [value for *_, value in parts if value is not None]
    if not known or whole is None:
        return [
            tag("p", "No slice has enough rows to be judged: `slices` in conf/data/ names columns.", class_="empty")
        ]
    sign = 1 if found.greater else -1
    parts.sort(key=lambda part: (part[3] is None, sign * (part[3] or 0.0)))
    along = axis([*known, whole], 6, WIDTH - 6, room=0)
    middle = HEIGHT / 2
    rows: list[list[Cell]] = []
    for column, name, count, value in parts:
        drawn = None
        if value is not None:
            inside = [
                line(4, middle, WIDTH - 4, middle, "grid"),
                line(along.at(whole), 1, along.at(whole), HEIGHT - 1, "base"),
                dot(along.at(value), middle, "point", radius=4),
            ]
            drawn = tag("svg", *inside, viewBox=f"0 0 {WIDTH} {HEIGHT}", width=WIDTH, height=HEIGHT, aria_hidden="true")
        rows.append([f"{column} = {name}", count, value, drawn])
    words = f"{metric} on the test slice of main, worst first; the line in the drawing is the whole slice, {whole:.4g}."
    header = ["slice", "rows", metric, "beside all"]
    return [tag("p", words, class_="note"), table("Slices", header, rows, hidden=True)]


def _groups(found: Site, evaluation: dict[str, Any]) -> list[Html | None]:
    last = next((part for one in reversed(found.windows) if (part := site.part_of(one)) and part.fairness), None)
    rows: list[list[Cell]] = []
    for column, about in (evaluation.get("fairness") or {}).items():
        for rate, one in about["difference"].items():
            bound, value = found.fairness_bounds.get(rate), one["value"]
            live = _live(last, column, rate)
            kept = PASSED[None if bound is None or value is None else value <= bound]
            rows.append([column, rate, value, one["low"], one["high"], bound, badge(*kept), live])
    heading = tag("h3", "Fairness")
    if not rows:
        words = "No column is declared sensitive (`role: sensitive` in conf/data/), so fairness was not looked at."
        return [heading, tag("p", words, class_="empty")]
    header = ["column", "rate", "largest difference", "low", "high", "bound", "verdict", "in the last window"]
    words = (
        "How far a rate differs at most between groups: on the test slice of main, and in the last window that tells."
    )
    if any(row[1] == "mean_error" for row in rows):
        words += " mean_error is predicted minus actual, in standard deviations of the target."
    return [heading, tag("p", words, class_="note"), table("Fairness", header, rows, hidden=True)]


def _live(part: Part | None, column: str, rate: str) -> str | None:
    """The difference in a window, with its interval where that was kept."""
    value = ((part.fairness.get(column) or {}) if part else {}).get(rate)
    if part is None or value is None:
        return None
    one = (part.groups.get(column) or {}).get(rate)
    known = one is not None and one["low"] is not None and one["high"] is not None
    return f"{value:.4g} ({one['low']:.4g} to {one['high']:.4g})" if one and known else f"{value:.4g}"


def cards(found: Site) -> list[Html | None]:
    """Of the newest version and of those that run somewhere."""
    told = [one for one in reversed(found.releases) if one.card]
    if not told:
        return [tag("p", "There is no version with a model card yet.", class_="empty")]
    parts: list[Html | None] = []
    for one in told:
        runs = [lane.name for lane in found.lanes if lane.now and lane.now.version == one.name]
        where = f", runs in {', '.join(runs)}" if runs else ""
        parts.append(folded(f"{one.name}{where}", tag("article", card(one.card), class_="card")))
    how = tag("p", "Of any version: ", tag("code", f"git show model@{told[0].name}:MODEL_CARD.md"), class_="note")
    return [*parts, how if len(found.releases) > len(told) else None]
