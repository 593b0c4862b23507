"""Simulated windows: how often something is found where nothing is, and whether what is there is found."""

from __future__ import annotations

import pytest
import windows

from gitloop.monitoring.findings import Finding
from gitloop.monitoring.references import Reference
from gitloop.monitoring.watch import watch
from gitloop.settings import Settings


def found(columns: windows.Columns, loaded: Settings, reference: Reference) -> tuple[Finding, ...]:
    return watch(loaded, windows.watched(columns, loaded), lambda _: reference)[0].findings


@pytest.mark.parametrize(("rows", "seeds"), [(500, range(60)), (3000, range(60, 75))])
def test_nothing_is_found_where_nothing_has_changed(rows: int, seeds: range, loaded: Settings) -> None:
    """Each window with a reference of its own: of one that is off by chance all windows would tell."""
    alarms = [
        one.words for seed in seeds for one in found(windows.some(rows, seed), loaded, windows.reference(2000, seed))
    ]
    assert alarms == []


@pytest.mark.parametrize("name", windows.FEATURES)
def test_half_a_standard_deviation_in_one_column_is_found(name: str, loaded: Settings, reference: Reference) -> None:
    columns = windows.some(500, 7)
    windows.shift(columns, name, 0.5)
    assert [(one.kind, one.column) for one in found(columns, loaded, reference) if one.kind == "drift"] == [
        ("drift", name)
    ]


def test_the_distance_alone_would_be_an_alarm(loaded: Settings) -> None:
    """The test above can fail: by Evidently's bound alone windows of 500 rows are full of drift."""
    alarms = 0
    for seed in range(20):
        columns, reference = windows.some(500, seed), windows.reference(2000, seed)
        part = watch(loaded, windows.watched(columns, loaded), lambda _, one=reference: one)[0].versions[
            windows.VERSION
        ]
        alarms += any(one.distance >= one.bound for one in part.columns.values())
    assert alarms > 5
