"""What was trained and how good it is, in sections that are shown in the terminal and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from gitloop import ui
from gitloop.contract import Contract
from gitloop.settings import LOSSES, Settings

CLASS = ("rows", "called", "precision", "recall", "f1", "roc_auc")  # what is said of each
MOST = 10  # groups that are named


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


def metrics(evaluation: dict[str, Any], contract: Contract) -> Section:
    rows = [
        [name, one["value"], one["low"], one["high"], evaluation["baseline"][name], evaluation["train"][name]]
        for name, one in evaluation["metrics"].items()
    ]
    title = f"{evaluation['candidate']} on {evaluation['rows']:,} test rows"
    header = ["metric", "value", "low", "high", "baseline", "train"]
    return Section(title, header, rows, points=points(evaluation, contract))


def points(evaluation: dict[str, Any], contract: Contract) -> list[str]:
    """What the metrics are measured in, and how far what is predicted is from what is observed."""
    found = evaluation.get("calibration") or {}
    error = found.get("error")
    if contract.task != "regression":
        what = "The probability of the called class and the share of right calls"
        if contract.task == "binary":
            what = "Predicted probability and observed share"
        return [] if error is None else [f"{what} are {ui.cell(error)} apart on average (calibration error)."]
    errors = [name for name in evaluation["metrics"] if name in LOSSES]
    said = [f"{', '.join(errors)} are in {unit(contract)}."] if errors else []
    if found.get("bias") is not None:
        side = "above" if found["bias"] > 0 else "below"
        said.append(
            f"Predicted is on average {ui.cell(abs(found['bias']))} {side} actual; the residuals' standard deviation "
            f"is {ui.cell(found['spread'])}."
        )
    return said


def unit(contract: Contract) -> str:
    """What a regression's errors are measured in."""
    return contract.columns[contract.target].unit or f"the unit of {contract.target}"


def parts(evaluation: dict[str, Any], contract: Contract) -> list[Section]:
    """Classes, slices and groups of people, as far as there are any."""
    metric = evaluation["metric"]
    rows = [
        [column, part, one["rows"], one["metrics"][metric]]
        for column, of in evaluation["slices"].items()
        for part, one in of.items()
    ]
    return [
        *classes(evaluation),
        *([Section("Slices", ["column", "slice", "rows", metric], rows)] if rows else []),
        *fairness(evaluation, contract),
    ]


def classes(evaluation: dict[str, Any]) -> list[Section]:
    """How well each class is told from the rest, the worst first; of two classes the metrics say it."""
    known = sorted((evaluation.get("classes") or {}).items(), key=lambda one: one[1]["f1"] or 0.0)
    rows = [[name, *(one[key] for key in CLASS)] for name, one in known]
    return [Section("Classes", ["class", *CLASS], rows, "Worst F1 first.")] if rows else []


def fairness(evaluation: dict[str, Any], contract: Contract) -> list[Section]:
    """The largest difference between groups, and which groups these are."""
    rows = [
        [column, rate, one["value"], one["low"], one["high"], *_ends(found.get("groups") or {}, rate)]
        for column, found in evaluation["fairness"].items()
        for rate, one in found["difference"].items()
    ]
    notes = []
    for column, found in evaluation["fairness"].items():
        if not found["difference"]:
            notes.append(f"{column}: not judged, fewer than two groups have enough rows.")
        if small := [f"{name} ({rows:,})" for name, rows in (found.get("left_out") or {}).items()]:
            more = f" and {len(small) - MOST} more" if len(small) > MOST else ""
            notes.append(f"{column}: left out, too few rows: {', '.join(small[:MOST])}{more}.")
    if not rows and not notes:
        return []
    text = f"mean_error: predicted minus actual, in standard deviations of {contract.target}."
    header = ["sensitive column", "rate", "largest difference", "low", "high", "least", "most"]
    said = text if contract.task == "regression" and rows else ""
    return [Section("Fairness", header if rows else (), rows, said, notes)]


def _ends(groups: dict[str, Any], rate: str) -> tuple[str | None, str | None]:
    """The groups with the lowest and the highest rate."""
    known = sorted((one[rate], name) for name, one in groups.items() if one[rate] is not None)
    if not known:
        return None, None
    least, most = (f"{name}: {ui.cell(value)}" for value, name in (known[0], known[-1]))
    return least, most


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
            lines += [""] if section.points else []  # or the table would be part of the last point
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
