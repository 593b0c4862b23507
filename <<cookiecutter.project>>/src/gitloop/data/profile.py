"""A page that describes the data: the training rows, and beside them the later rows that models are tested on."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from evidently import DataDefinition, Dataset, Report
from evidently.presets import DataSummaryPreset

from gitloop import layout, settings, ui
from gitloop.contract import Contract
from gitloop.data import table
from gitloop.files import write_text

UUID = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(-?)(?:[0-9a-f]{4}\1){3}[0-9a-f]{12}(?![0-9a-f])")
ROWS = 20_000  # drawn from each slice: the page tells what is there, to the eye's precision


def run(_: argparse.Namespace) -> None:
    """`gitloop profile`."""
    data = settings.load().data
    train, test = (sample(path, data) for path in (layout.TRAIN, layout.TEST))
    write_text(layout.PROFILE, page(train, test, data))
    ui.say(
        f"{layout.PROFILE}: the test slice ({len(test):,} rows shown) beside the training rows ({len(train):,} shown)"
    )


def sample(path: Path, contract: Contract) -> pd.DataFrame:
    """At most ROWS rows of a slice, in order, the columns that are kept: personal data never gets here."""
    found = table.read(path, "gitloop split", contract.kept)
    if found.num_rows > ROWS:
        picked = np.random.default_rng(0).choice(found.num_rows, size=ROWS, replace=False)
        found = found.take(pa.array(np.sort(picked)))
    frame: pd.DataFrame = found.to_pandas()
    return frame


def page(train: pd.DataFrame, test: pd.DataFrame, contract: Contract) -> str:
    """Evidently's data summary as one file that loads nothing; `current` is the test slice, `reference` to train on.

    Columns without any value have nothing to show and would break the report: they are left out, `validate` names them.
    """
    shown = [name for name in contract.kept if train[name].notna().any() and test[name].notna().any()]
    kinds = {
        "numerical_columns": ("numeric",),
        "categorical_columns": ("categorical", "boolean"),
        "datetime_columns": ("datetime",),
        "text_columns": ("text",),
    }
    columns = {
        kind: [name for name, _ in contract.items(*types) if name in shown]  # type: ignore[arg-type]
        for kind, types in kinds.items()
    }
    definition = DataDefinition(**columns)
    current, reference = (
        Dataset.from_pandas(_plain(part[shown], contract), data_definition=definition) for part in (test, train)
    )
    html = Report([DataSummaryPreset()]).run(current, reference).get_html_str(as_iframe=False)
    return stable(html)


def _plain(part: pd.DataFrame, contract: Contract) -> pd.DataFrame:
    """Categories as text: Evidently counts what it can sort."""
    return part.assign(**{name: part[name].astype("object") for name, _ in contract.items("boolean") if name in part})


def stable(html: str) -> str:
    """The page with the random names of its parts replaced by numbers, so that the same data gives the same bytes."""
    numbers: dict[str, str] = {}

    def renamed(match: re.Match[str]) -> str:
        return numbers.setdefault(match[0].replace("-", ""), f"{len(numbers) + 1:032x}")

    return UUID.sub(renamed, html)
