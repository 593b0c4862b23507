"""Evidently's report of a version's predictions beside its training rows, as a page and as JSON."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from gitloop.contract import Column
from gitloop.files import write_text
from gitloop.monitoring.findings import Distance
from gitloop.settings import DriftBounds

COLUMNS = 60  # each is half a second and 50 KB

os.environ.setdefault("DO_NOT_TRACK", "1")


def first(names: Collection[str], distances: Mapping[str, Distance]) -> list[str]:
    """As many columns as a page can show: those that have drifted, then those that are farthest."""
    far = sorted(names, key=lambda name: (not distances[name].drifted, -distances[name].distance, name))[:COLUMNS]
    return [name for name in names if name in far]


def draw(rows: pa.Table, names: Collection[str], most: int, seed: int) -> pa.Table:
    """At most `most` of the rows, drawn by seed, in their order."""
    part = rows.select(list(names))
    if part.num_rows <= most:
        return part
    return part.take(pa.array(np.sort(np.random.default_rng(seed).choice(part.num_rows, size=most, replace=False))))


def write(
    folder: Path,
    version: str,
    now: pa.Table,
    before: pa.Table,
    columns: Mapping[str, Column],
    bounds: DriftBounds,
    *,
    sentences: Sequence[str],
) -> Path:
    """`<version>.html` and `<version>.json` below `folder`; the path of the page. Both tables have the `columns`."""
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset, DataSummaryPreset

    from gitloop.data.profile import headed, stable

    numeric = [name for name, column in columns.items() if column.type == "numeric"]
    definition = DataDefinition(
        numerical_columns=numeric, categorical_columns=[name for name in columns if name not in numeric]
    )
    drift = DataDriftPreset(
        columns=list(columns),
        num_method="wasserstein",
        num_threshold=bounds.wasserstein,
        cat_method="jensenshannon",
        cat_threshold=bounds.jensenshannon,
        include_tests=False,
    )
    current, reference = (
        Dataset.from_pandas(frame(rows, columns), data_definition=definition) for rows in (now, before)
    )
    snapshot = Report([drift, DataSummaryPreset()]).run(current, reference)
    page = folder / f"{version}.html"
    write_text(
        page, headed(stable(snapshot.get_html_str(as_iframe=False)), f"Predictions of {version}", list(sentences))
    )
    write_text(folder / f"{version}.json", stable(snapshot.json()) + "\n")
    return page


def frame(rows: pa.Table, columns: Mapping[str, Column]) -> pd.DataFrame:
    """Numbers, and all else as text: Evidently counts what it can sort."""
    found: pd.DataFrame = rows.select(list(columns)).to_pandas()
    for name, column in columns.items():
        if column.type == "numeric":
            found[name] = found[name].astype("float64")
        else:
            text = found[name].map({True: "true", False: "false"}) if column.type == "boolean" else found[name]
            found[name] = text.astype("object").where(found[name].notna(), None)
    return found
