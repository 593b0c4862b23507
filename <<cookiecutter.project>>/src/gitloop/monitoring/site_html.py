"""HTML that is built from text: whatever is not `Html` already is escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from unicodedata import category

from gitloop import ui

VOID = {"meta", "link", "line", "rect", "circle", "path", "polygon", "polyline", "col", "br"}
UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # control, direction of writing, halves of characters


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Cell = Html | str | float | int | bool | None


def escaped(text: str) -> Html:
    """Text that reads the same on a page and has no meaning there, on one line."""
    return Html(html.escape(text if text.isprintable() else seen(" ".join(text.split()))))


def seen(line: str) -> str:
    """What cannot be seen becomes a mark."""
    return line if line.isprintable() else "".join("\ufffd" if category(one) in UNSEEN else one for one in line)


def joined(parts: Iterable[Html | str | None], between: str = "") -> Html:
    """Parts one after the other; None is left out."""
    found = [part if isinstance(part, Html) else escaped(part) for part in parts if part is not None]
    return Html(between.join(found))


def tag(name: str, /, *children: Html | str | None, **attributes: str | float | bool | None) -> Html:
    """An element. `class_` is class, `aria_label` is aria-label; an attribute that is None or False is left out."""
    given = "".join(_attribute(key, value) for key, value in attributes.items() if value is not None)
    if name in VOID:
        return Html(f"<{name}{given}>" if name in ("meta", "link", "col", "br") else f"<{name}{given}/>")
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def _attribute(key: str, value: str | float | bool) -> str:
    name = key.rstrip("_").replace("_", "-")
    if isinstance(value, bool):
        return f" {name}" if value else ""
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    return f' {name}="{escaped(text)}"'


def shown(value: Cell) -> Html:
    """A cell: numbers at four digits, a dash for what is not known."""
    return value if isinstance(value, Html) else escaped(ui.cell(value))


def table(caption: str, header: Sequence[str], rows: Sequence[Sequence[Cell]], *, hidden: bool = False) -> Html:
    """A table whose first column names the row; it scrolls by itself where it is wider than the page."""
    right = [
        bool(rows) and all(row[index] is None or _number(row[index]) for row in rows) for index in range(len(header))
    ]
    classes = ["number" if one else None for one in right]
    head = [tag("th", name, scope="col", class_=of) for name, of in zip(header, classes, strict=True)]
    body = [
        tag(
            "tr",
            *(
                tag("td", shown(cell), class_=of) if index else tag("th", shown(cell), scope="row", class_=of)
                for index, (cell, of) in enumerate(zip(row, classes, strict=True))
            ),
        )
        for row in rows
    ]
    whole = tag(
        "table",
        tag("caption", caption, class_="unseen" if hidden else None),
        tag("thead", tag("tr", *head)),
        tag("tbody", *body),
    )
    return scrolling(caption, whole)


def scrolling(name: str, content: Html) -> Html:
    return tag("div", content, class_="scroll", role="group", aria_label=name, tabindex=0)


def folded(summary: Html | str, *content: Html | str | None, open_: bool = False) -> Html:
    return tag("details", tag("summary", summary), *content, open=open_)


def link(text: Html | str, to: str) -> Html:
    """A link to a page; what is no address of one stays text."""
    return tag("a", text, href=to) if to.startswith(("https://", "http://", "#", "reports/")) else joined([text])


def badge(kind: str, mark: str, words: str) -> Html:
    """A word with a mark: neither needs the colour."""
    return tag("span", tag("span", mark, aria_hidden="true"), Html(" "), words, class_=f"badge {kind}")


def moment(time: str) -> str:
    """A time as it is shown: the day, and the hour where it is not midnight."""
    day, _, hour = time.removesuffix("Z").partition("T")
    return day if hour[:5] in ("", "00:00") else f"{day} {hour[:5]}"


def when(time: str) -> Html:
    """A time that a browser does not break, and a machine can read."""
    return tag("time", moment(time), datetime=time)


def _number(value: Cell) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
