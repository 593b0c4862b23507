"""What was trained and how good it is, in sections that are shown in the terminal and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from gitloop import ui
from gitloop.settings import Settings


class Section(NamedTuple):
    """A text, points, and a table where there is a header, as long as each of the rows."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    text: str = ""
    points: Sequence[str] = ()


def candidates(selected: dict[str, Any]) -> Section:
    rows = [
        [one["candidate"], one["mean"], one["se"], one["complexity"], one["candidate"] == selected["candidate"] or None]
        for one in selected["ranking"]
    ]
    header = ["candidate", f"cross-validated {selected['metric']}", "standard error", "complexity", "chosen"]
    return Section("Candidates", header, rows, selected["reason"])


def metrics(evaluation: dict[str, Any]) -> Section:
    rows = [
        [name, one["value"], one["low"], one["high"], evaluation["baseline"][name], evaluation["train"][name]]
        for name, one in evaluation["metrics"].items()
    ]
    title = f"{evaluation['candidate']} on {evaluation['rows']:,} test rows"
    return Section(title, ["metric", "value", "low", "high", "baseline", "train"], rows)


def slices(evaluation: dict[str, Any]) -> list[Section]:
    metric = evaluation["metric"]
    rows = [
        [column, part, one["rows"], one["metrics"][metric]]
        for column, parts in evaluation["slices"].items()
        for part, one in parts.items()
    ]
    differences = [
        [column, rate, one["value"], one["low"], one["high"]]
        for column, found in evaluation["fairness"].items()
        for rate, one in found["difference"].items()
    ]
    header = ["sensitive column", "rate", "largest difference", "low", "high"]
    return [
        *([Section("Slices", ["column", "slice", "rows", metric], rows)] if rows else []),
        *([Section("Fairness", header, differences)] if differences else []),
    ]


def data(loaded: Settings, source: Any, validation: Any, split: Any) -> Section:
    """What was read, from the files of the data stages as far as they are there."""
    window = loaded.data.window
    rows: list[list[object]] = [["data", loaded.data.name]]
    if window.since or window.until:
        rows.append(["window (UTC)", f"{window.since or '…'} to {window.until or '…'}"])
    facts = [
        ("rows read", source, "rows"),
        ("fingerprint", source, "sha256"),
        ("rows set aside", validation, "invalid"),
        ("duplicates", validation, "duplicates"),
        ("training rows", (split or {}).get("rows"), "train"),
        ("test rows", (split or {}).get("rows"), "test"),
    ]
    rows += [[name, found[key]] for name, found, key in facts if found and found.get(key) is not None]
    return Section("Data", ["", ""], rows)


def markdown(title: str, sections: Sequence[Section]) -> str:
    parts = [f"# {escaped(title)}\n"]
    for section in sections:
        header = [escaped(name) for name in section.header]
        lines = [f"## {escaped(section.title)}\n"]
        if section.text:
            lines.append(f"{escaped(section.text)}\n")
        lines += [f"- {escaped(point)}" for point in section.points]
        if header:
            lines += [_line(header), _line(["---"] * len(header))]
        lines += [_line([escaped(ui.cell(value)) for value in row]) for row in section.rows]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


# What Markdown, its tables and HTML give a meaning, as character references; `_` has one at the edge of a word only.
PLAIN = {ord(mark): f"&#{ord(mark)};" for mark in "\\`*[]|~#@<>&"}


def escaped(text: str) -> str:
    """Text that reads the same in a page and has no meaning there."""
    return re.sub(r"(?<!\w)_|_(?!\w)", "&#95;", " ".join(text.split()).translate(PLAIN))


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
