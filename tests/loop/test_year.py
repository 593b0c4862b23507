"""The flights of 2013, each eighth of them: what alarms month by month, what is proposed, and whether it pays."""

from __future__ import annotations

from statistics import mean

import pytest
import year
from project import ROOT
from repositories import git
from year import Month, Year

from gitloop.gitops.local import Local

DOC = ROOT / "docs/monitoring.md"


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Year:
    return year.replay(tmp_path_factory.mktemp("year"), every=8)


@pytest.fixture
def months(replayed: Year) -> list[Month]:
    return replayed.told


def test_what_alarms_and_what_is_proposed(months: list[Month]) -> None:
    assert [(one.month, one.decision, one.version, one.pull) for one in months] == [
        ("2013-04", "nothing", "v0.1.0", ""),  # one window is not enough
        ("2013-05", "retrain", "v0.1.0", "merged"),
        ("2013-06", "nothing", "v0.1.1", ""),  # of the new version it is the first
        ("2013-07", "retrain", "v0.1.1", "merged"),
        ("2013-08", "nothing", "v0.1.2", ""),
        ("2013-09", "retrain", "v0.1.2", "merged"),
        ("2013-10", "nothing", "v0.1.3", ""),
        ("2013-11", "retrain", "v0.1.3", "merged"),
        ("2013-12", "alert", "v0.1.4", ""),  # measurements of the pressure are missing
    ]
    # The weather is another in every month than in those before it.
    assert all("drift temp" in one.found for one in months)
    assert all("drift temp" in one.reasons for one in months if one.decision == "retrain")
    assert months[-1].reasons == ("missing pressure",)


def test_each_proposal_is_one_pull_request_that_moves_the_window(replayed: Year) -> None:
    pulls = Local(replayed.origin).pulls(state="all")
    assert [(one.title, one.state) for one in pulls] == [
        (f"Retrain with data until 2013-{month:02}-01", "merged") for month in (6, 8, 10, 12)
    ]
    ends = [
        next(
            line.split()[-1]
            for line in git(replayed.root, "show", f"model@{version}:conf/data/flights.yaml").splitlines()
            if line.startswith("  until:")
        )
        for version in ("v0.1.0", "v0.1.1", "v0.1.4")
    ]
    assert ends == ["2013-04-01", "2013-06-01", "2013-12-01"]
    kept = git(replayed.origin, "ls-tree", "--name-only", "monitoring", "windows/").splitlines()
    assert len(kept) == 9


def test_retraining_is_better_than_never(months: list[Month]) -> None:
    """On the average of the months after the first retraining; before it both are one model."""
    before, after = months[:2], months[2:]
    assert all(one.live == one.never for one in before)
    assert mean(one.live for one in after) > mean(one.never for one in after) + 0.005
    # Each was better than its champion on rows that neither was trained on, and no month is worse beyond chance.
    assert all(one.gain is not None and one.gain > 0 for one in months if one.pull)
    assert all(one.better.high > 0 for one in after)


def test_the_table_in_the_docs_tells_the_same_decisions(months: list[Month]) -> None:
    lines = [line.strip("| ").split(" | ") for line in DOC.read_text().splitlines() if line.startswith("| 2013-")]
    told = [(cells[0], cells[1], cells[6], cells[7].partition(",")[0].replace("–", "")) for cells in lines]
    assert told == [(one.month, one.decision, one.version, one.pull) for one in months]
