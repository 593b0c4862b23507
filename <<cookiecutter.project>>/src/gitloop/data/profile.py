"""A page that describes the data: the rows that models are tested on, beside the rows that they are trained on.

Evidently calls the first `current` and the second `reference`, here as in monitoring: what came later is seen against
what the model learnt from, so that a shift between the two is seen before any model is trained.
"""

from __future__ import annotations

import argparse
import re
from html import escape
from pathlib import Path

import numpy as np
import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataSummaryPreset

from gitloop import layout, settings, ui
from gitloop.contract import Contract
from gitloop.data import table
from gitloop.files import write_text
from gitloop.settings import Data

UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}(?![0-9a-f])")
SLICES = (layout.TRAIN, layout.TEST)
COLUMNS = 60  # each is half a second and 50 KB
ROWS = 20_000  # drawn from each slice: the page tells what is there, to the eye's precision


def run(arguments: argparse.Namespace) -> None:  # noqa: ARG001 -- every verb has the same signature
    """`gitloop profile`."""
    data = settings.load().data
    rows = [table.metadata(path, "gitloop split").num_rows for path in SLICES]
    slices = [sample(path, data, ROWS) for path in SLICES]
    shown = [name for name in data.kept if all(part[name].notna().any() for part in slices)]
    few = [name for name in shown if name in first(shown, data)]
    html = page(slices[0][few], slices[1][few], data)
    note = describe(data, rows, [name for name in data.kept if name not in shown], len(shown) - len(few))
    write_text(layout.PROFILE, headed(stable(html), f"{data.name}: the data", note))
    ui.say(f"{layout.PROFILE}: {note[0]}")


def sample(path: Path, contract: Contract, most: int) -> pd.DataFrame:
    """At most `most` rows of a slice, in order, the columns that are kept: personal data never gets here."""
    rows = table.metadata(path, "gitloop split").num_rows
    picked = (
        np.sort(np.random.default_rng(0).choice(rows, size=most, replace=False)) if rows > most else np.arange(rows)
    )
    frame: pd.DataFrame = table.pick(path, "gitloop split", picked, contract.kept).to_pandas()
    return frame


def first(names: list[str], contract: Contract) -> list[str]:
    """As many columns as a page can show: all that are no plain feature, then features in their order."""
    plain = [name for name in names if contract.columns[name].role == ("feature",)]
    return [*(name for name in names if name not in plain), *plain][:COLUMNS]


def describe(data: Data, rows: list[int], empty: list[str], more: int = 0) -> list[str]:
    """Sentences that say what is on the page and what is not."""
    drawn = f"; shown: at most {ROWS:,} of each, drawn at random" if max(rows) > ROWS else ""
    sentences = [f"{rows[0]:,} rows to train on (reference) and {rows[1]:,} to test on (current){drawn}."]
    if more:
        sentences.append(f"{more} features more are not shown.")
    if empty:
        sentences.append(f"Not shown, as a slice has no value of them: {', '.join(empty)}.")
    if any(column.has("pii", "ignored") for column in data.columns.values()):
        sentences.append("Personal and ignored columns are left out.")
    return sentences


def headed(html: str, title: str, sentences: list[str]) -> str:
    """The page with a title and, above it, sentences."""
    text = " ".join(map(escape, sentences))
    header = (
        f"<header style='margin: 1rem 2rem; font-family: sans-serif'><h1>{escape(title)}</h1><p>{text}</p></header>"
    )
    html = html.replace("<head>", f"<head><title>{escape(title)}</title>", 1)
    return html.replace("<body>", f"<body>{header}", 1)


def page(train: pd.DataFrame, test: pd.DataFrame, contract: Contract) -> str:
    """Evidently's data summary as one file that loads nothing; a column without any value would break it."""
    kinds = {
        "numerical_columns": ("numeric",),
        "categorical_columns": ("categorical", "boolean"),
        "datetime_columns": ("datetime",),
        "text_columns": ("text",),
    }
    columns = {
        kind: [name for name, _ in contract.items(*types) if name in train]  # type: ignore[arg-type]
        for kind, types in kinds.items()
    }
    definition = DataDefinition(**columns)
    current, reference = (
        Dataset.from_pandas(_plain(part, contract), data_definition=definition) for part in (test, train)
    )
    html: str = Report([DataSummaryPreset()]).run(current, reference).get_html_str(as_iframe=False)
    return html


def _plain(part: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Categories as text: Evidently counts what it can sort."""
    return part.assign(**{name: part[name].astype("object") for name, _ in contract.items("boolean") if name in part})


def stable(html: str) -> str:
    """The page with the random names of its parts replaced by numbers, so that the same data gives the same bytes."""
    numbers: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0].replace("-", ""), f"{len(numbers) + 1:032x}")

    return UUID.sub(renamed, html)
