"""Markdown as GitHub shows it, in which a name or a message from outside is text and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import category

from gitloop import ui
from gitloop.gitops.inert import JOINER
from gitloop.modeling.report import Section

LONGEST = 300  # letters of one cell, point or sentence
# What Markdown, its tables, HTML and GitHub's formulas give a meaning; `_` has one at the edge of a word only.
PLAIN = str.maketrans(
    {mark: f"\\{mark}" for mark in "\\`*[]#~$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&vert;"}
)
# GitHub makes links of what it finds in the text it shows: mentions, issues, addresses, emoji.
LINKED = re.compile(
    r"(?<=[@#])|(?<=\bGH)(?=-\d)|(?<=:)(?=//|(?:[a-z+-][\w+-]*|100|1234):)|(?<=\bwww)(?=\.)", re.IGNORECASE
)
UNSEEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}  # control, direction of writing, private use


@dataclass(frozen=True)
class Part:
    """A section of a report; where it is long, folded until a reader opens it. `more` is Markdown of our own."""

    section: Section
    more: str = ""
    folded: bool = False

    def shortened(self, rows: int = 10) -> Part:
        """With the first rows and points alone, and without charts."""
        section = self.section
        left = max(len(section.rows) - rows, len(section.points) - rows)
        if left <= 0:
            return Part(section, folded=self.folded)
        text = f"{section.text} The first {rows} of {left + rows}.".strip()
        section = section._replace(text=text, rows=section.rows[:rows], points=section.points[:rows])
        return Part(section, folded=self.folded)


def plain(text: str, longest: int = LONGEST) -> str:
    """Text that reads the same in a page, mentions nobody, links nothing and has no line of its own."""
    line = " ".join(text.split())
    if len(line) > longest:
        line = line[: longest - 1] + "…"
    seen = line if line.isprintable() else "".join("\ufffd" if category(one) in UNSEEN else one for one in line)
    marked = LINKED.sub(JOINER, seen).translate(PLAIN)
    return re.sub(r"(?<!\w)_|_(?!\w)", r"\_", marked)


def render(part: Part) -> str:
    """The Markdown of a part, with an empty line at its end."""
    section = part.section
    title, body = plain(section.title), _body(section, part.more)
    if part.folded:
        return f"<details><summary><b>{title}</b></summary>\n\n{body}\n</details>\n\n"
    return f"### {title}\n\n{body}\n" if title else f"{body}\n"


def _body(section: Section, more: str) -> str:
    blocks = [plain(section.text, 3 * LONGEST)] if section.text else []
    if section.points:
        blocks.append("\n".join(f"- {plain(point)}" for point in section.points))
    if section.rows:
        right = [all(_number(row[index]) for row in section.rows) for index in range(len(section.header))]
        rule = ["---:" if one else "---" for one in right]
        rows = [[plain(ui.cell(value)) for value in row] for row in section.rows]
        blocks.append("\n".join(_line(row) for row in ([plain(name) for name in section.header], rule, *rows)))
    if more:
        blocks.append(more)
    return "\n\n".join(blocks) + "\n"


def _number(value: object) -> bool:
    return value is None or isinstance(value, int | float)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
