"""The whole page, one file: no script, no request. The style is inside; a policy forbids all else."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from gitloop.monitoring import site_decisions, site_model, site_sections
from gitloop.monitoring.site import Site
from gitloop.monitoring.site_html import Html, joined, link, moment, tag

STYLE = Path(__file__).with_name("site.css")
SECTIONS = (
    ("now", "Now", site_sections.now),
    ("versions", "Versions", site_sections.versions),
    ("quality", "Quality", site_sections.quality),
    ("drift", "Drift", site_sections.drift),
    ("decisions", "Decisions", site_decisions.decisions),
    ("proposals", "Pull requests", site_decisions.proposals),
    ("gates", "Gates", site_model.gates),
    ("slices", "Slices and fairness", site_model.slices),
    ("reports", "Reports", site_decisions.reports),
    ("card", "Model card", site_model.cards),
)


def page(found: Site) -> str:
    """The HTML. The same for the same `found`."""
    style = STYLE.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),  # else a browser asks the server for one
        tag("title", f"{found.name}: how the model is"),
        tag("style", Html(style)),
    )
    body = tag(
        "body",
        tag("a", "Skip to the content", href="#content", class_="skip"),
        _top(found),
        tag("main", *(_section(name, title, build(found)) for name, title, build in SECTIONS), id="content"),
        _foot(found),
    )
    return f"<!doctype html>\n{tag('html', head, Html(chr(10)), body, lang='en')}\n"


def _section(name: str, title: str, parts: list[Html | None]) -> Html:
    heading = tag("h2", title, id=f"{name}-h")
    return tag("section", heading, *parts, Html("\n"), id=name, aria_labelledby=f"{name}-h")


def _top(found: Site) -> Html:
    links = [tag("li", tag("a", title, href=f"#{name}")) for name, title, _ in SECTIONS]
    return tag(
        "header",
        tag("h1", tag("bdi", found.name)),
        tag("p", tag("bdi", found.description), class_="lead") if found.description else None,
        tag("nav", tag("ul", *links), aria_label="On this page"),
    )


def _foot(found: Site) -> Html:
    commit = tag("code", found.commit[:10])
    where = link(commit, f"{found.address}/commit/{found.commit}") if found.address else commit
    parts = [
        tag("p", "From Git alone, at ", where, f" of main, {moment(found.when)}. Times are UTC.")
        if found.commit
        else None,
        tag("p", "Owned by ", tag("bdi", found.owner), ", ", tag("bdi", found.contact), ".") if found.owner else None,
    ]
    if found.notes:
        parts += [tag("h2", "Notes"), tag("ul", *(tag("li", tag("bdi", one)) for one in found.notes), class_="notes")]
    return tag("footer", joined(parts))
