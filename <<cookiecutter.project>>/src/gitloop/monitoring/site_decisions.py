"""The sections about what was decided and proposed, and the reports behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gitloop.monitoring.decide import Decision
from gitloop.monitoring.findings import Result
from gitloop.monitoring.site import Proposal, Site
from gitloop.monitoring.site_html import Html, badge, folded, joined, link, moment, tag, when

FIRST = 8  # windows of which the page says at once what was decided
NO_WINDOW = "No window was kept yet."
LONG = 200  # letters of a sentence that is shown whole
ACTIONS = {
    "nothing": ("good", "✓", "nothing"),
    "alert": ("warn", "◆", "look"),
    "retrain": ("warn", "▲", "retrain"),
    "retire": ("bad", "■", "retire"),
}
_TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\b")


def decisions(found: Site) -> list[Html | None]:
    """What was decided after each window, and why."""
    if not found.windows:
        return [tag("p", NO_WINDOW, class_="empty")]
    items = [_decision(one, found.decisions.get(one.until)) for one in reversed(found.windows)]
    parts: list[Html | None] = [tag("ul", *items[:FIRST], class_="log")]
    if rest := items[FIRST:]:
        parts.append(folded(f"Earlier ({len(rest)})", tag("ul", *rest, class_="log")))
    if found.older:
        parts.append(tag("p", f"{found.older} windows more, which are older, are on branch monitoring.", class_="note"))
    return parts


def _decision(one: Result, decision: Decision | None) -> Html:
    mark = badge(*ACTIONS[decision.action]) if decision else badge("", "–", "nothing recorded")
    about = f"{one.rows:,} predictions{f', {one.version}' if one.version else ''}"
    head = tag("p", tag("strong", when(one.until)), Html(" "), mark, Html(" "), tag("span", about, class_="muted"))
    return tag("li", head, *_why(decision.why if decision else ""))


def _why(words: str) -> list[Html]:
    """A sentence; of a long one the beginning, and the rest when it is asked for."""
    words = _TIME.sub(lambda found: moment(found[0]), words)
    if len(words) <= LONG:
        return [tag("p", tag("bdi", words))] if words else []
    cut = words.rfind(" ", 0, LONG)
    begin = words[: cut if cut > 0 else LONG]
    rest = tag("p", tag("bdi", f"… {words[len(begin) :].lstrip()}"))
    return [folded(joined([tag("bdi", begin), " …"]), rest)]


def proposals(found: Site) -> list[Html | None]:
    if found.proposals is None:
        return [tag("p", "Not shown: the forge could not be asked (see the notes below).", class_="empty")]
    if not found.proposals:
        return [tag("p", "None is open.", class_="empty")]
    return [tag("ul", *(tag("li", *_proposal(one)) for one in found.proposals), class_="plain")]


def _proposal(one: Proposal) -> Sequence[Html | str]:
    kinds = [tag("span", name.removeprefix("gitloop:"), class_="badge") for name in one.labels]
    title = tag("bdi", one.title)
    return [link(title, one.url), Html(" "), tag("span", f"#{one.number}", class_="muted"), Html(" "), *kinds]


def reports(found: Site) -> list[Html | None]:
    if not found.pages:
        words = [
            "None lies here: ",
            tag("code", "gitloop monitor"),
            " writes them below reports/monitoring/, and the workflow Monitor keeps them as the artifact ",
            tag("code", "monitoring"),
            " of its run.",
        ]
        return [tag("p", *words, class_="empty")]
    items = [
        tag("li", link(f"Predictions of {one.version} to {moment(one.until)}", one.path), Html(" "), _beside())
        for one in found.pages
    ]
    return [tag("ul", *items, class_="plain")]


def _beside() -> Html:
    return tag("span", "beside its training rows, by Evidently", class_="muted")
