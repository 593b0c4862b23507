"""What is worth a label, of rows that were made so that it is known."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import windows

from gitloop.monitoring import picking
from gitloop.monitoring.picking import Said
from gitloop.monitoring.references import Reference
from gitloop.settings import Labels, Settings

ROWS = 400
STRANGE = range(0, 40)


def shifted(loaded: Settings, **columns: float) -> pa.Table:
    """Rows of a window, of which the first 40 are shifted in some columns."""
    found = windows.some(ROWS, 0)
    for name, by in columns.items():
        found[name][STRANGE] += by
    return windows.watched(found, loaded, truth=0).rows


def nothing() -> Said:
    return Said(np.full(ROWS, math.nan), [""] * ROWS)


def chosen(picks: list[picking.Pick], why: str) -> set[int]:
    return {one.row for one in picks if one.why == why}


def test_the_least_sure_are_the_nearest_to_the_decision(loaded: Settings) -> None:
    rows = shifted(loaded)
    p = rows.column("_probability").to_numpy()
    said = picking.uncertain(rows, loaded.data, {windows.VERSION: 0.3})
    how = Labels(tasks=30, uncertain=1, drifted=0, random=0)
    found = chosen(picking.picks(ROWS, said, nothing(), how, 0), "uncertain")
    assert found == set(np.argsort(np.abs(p - 0.3))[:30].tolist())
    assert said.words[0] == f"probability {p[0]:.3f}, decided at 0.3"


def test_what_was_not_trained_on_is_found(loaded: Settings, reference: Reference) -> None:
    said = picking.drifted(shifted(loaded, n5=4, n6=-4), {windows.VERSION: reference}, {}, loaded.data)
    how = Labels(tasks=40, uncertain=0, drifted=1, random=0)
    found = chosen(picking.picks(ROWS, nothing(), said, how, 0), "drifted")
    assert len(found & set(STRANGE)) >= 34
    assert all(word in said.words[0] for word in ("n5", "n6"))


def test_where_columns_have_moved_they_alone_count(loaded: Settings, reference: Reference) -> None:
    rows = shifted(loaded, n5=3)
    versions = {windows.VERSION: reference}
    all_, one = (
        picking.drifted(rows, versions, {windows.VERSION: moved}, loaded.data).score for moved in ((), ("n5",))
    )
    best = [len(set(np.argsort(-score)[:40].tolist()) & set(STRANGE)) for score in (all_, one)]
    assert best[1] > best[0]
    assert best[1] >= 30


def test_without_drift_surprises_are_alike_whatever_the_column(loaded: Settings, reference: Reference) -> None:
    """As the surprise of a share that is drawn evenly: 1 on average; so no column counts for more than others."""
    rows = shifted(loaded)
    for name in ("n0", "n1", "n2", "town", "colour", "member"):
        said = picking.drifted(rows, {windows.VERSION: reference}, {windows.VERSION: [name]}, loaded.data)
        assert 0.35 < said.score.mean() < 1.3, name


def test_shares_make_the_whole_and_no_row_is_picked_twice(loaded: Settings, reference: Reference) -> None:
    rows = shifted(loaded)
    sure = picking.uncertain(rows, loaded.data, {windows.VERSION: 0.5})
    strange = picking.drifted(rows, {windows.VERSION: reference}, {}, loaded.data)
    for tasks in (1, 7, 10, 101, ROWS, 2 * ROWS):
        how = Labels(tasks=tasks, uncertain=0.4, drifted=0.3, random=0.3)
        found = picking.picks(ROWS, sure, strange, how, 3)
        assert len({one.row for one in found}) == len(found) == min(tasks, ROWS)
        assert [one.row for one in found] == sorted(one.row for one in found)
        for why, share in (("uncertain", 0.4), ("drifted", 0.3), ("random", 0.3)):
            assert abs(len(chosen(found, why)) - share * len(found)) < 1


def test_the_random_share_is_a_fair_draw_of_all(loaded: Settings, reference: Reference) -> None:
    """Whatever else is picked: what is told of it holds for all predictions."""
    rows = shifted(loaded, n5=4)
    strange = picking.drifted(rows, {windows.VERSION: reference}, {}, loaded.data)
    how = Labels(tasks=80, uncertain=0, drifted=0.5, random=0.5)
    drawn = [
        len(chosen(picking.picks(ROWS, nothing(), strange, how, seed), "random") & set(STRANGE)) for seed in range(200)
    ]
    assert abs(np.mean(drawn) - 4) < 0.5
