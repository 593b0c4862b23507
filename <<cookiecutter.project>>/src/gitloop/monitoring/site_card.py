"""A model card as part of the page: its Markdown without HTML, images and links, one level down."""

from __future__ import annotations

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

from gitloop.monitoring.site_html import Html, escaped, seen

DOWN = 2  # levels: the page has h1 and h2
_READER = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image", "link", "autolink", "reference"])


def card(markdown: str) -> Html:
    """Its HTML. Tables are named by the heading above them."""
    tokens, heading = _READER.parse("\n".join(seen(line) for line in markdown.split("\n"))), ""
    made: list[Token] = []
    for index, one in enumerate(tokens):
        if one.type in ("heading_open", "heading_close"):
            one.tag = f"h{min(int(one.tag[1:]) + DOWN, 6)}"
        elif one.type == "inline" and index and tokens[index - 1].type == "heading_open":
            heading = _text(one)
        elif one.type in ("th_open", "th_close"):
            _header(tokens, index)
        made += _wrapped(one, heading)
    return Html(_READER.renderer.render(made, _READER.options, {}))


def _header(tokens: Sequence[Token], index: int) -> None:
    """A cell that names a column; an empty one names nothing."""
    one = tokens[index]
    words = tokens[index + 1 if one.type == "th_open" else index - 1]
    if not words.content.strip():
        one.tag = "td"
    elif one.type == "th_open":
        one.attrSet("scope", "col")


def _wrapped(one: Token, heading: str) -> list[Token]:
    name = escaped(heading or "Table")
    if one.type == "table_open":
        before = _raw(f'<div class="scroll" role="group" aria-label="{name}" tabindex="0">')
        return [before, one, _raw(f'<caption class="unseen">{name}</caption>')]
    return [one, _raw("</div>")] if one.type == "table_close" else [one]


def _raw(html: str) -> Token:
    return Token("html_block", "", 0, content=html)


def _text(one: Token) -> str:
    return "".join(child.content for child in one.children or [])
