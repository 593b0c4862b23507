"""The flights of 2013 month by month: what monitoring finds, what it asks for, and whether following it pays."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import mean

import year

from benchmarks.bench import say

HEADER = [
    "month",
    "decision",
    "because of",
    "never retrained",
    "retrained",
    "better by",
    "answered by",
    "pull request",
]


def flights() -> None:
    """Every flight, with the models of conf/candidate/. To reach: better than never retraining, on the average."""
    with tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        months = year.replay(Path(folder), every=1, trees=150).told
    rows = [*map(shown, months), summary(months)]
    say("The flights of 2013: ROC AUC by month, trained on January to March at first", HEADER, rows)
    for row in (HEADER, ["---"] * len(HEADER), *rows):
        print(f"| {' | '.join(map(str, row))} |")


def shown(one: year.Month) -> list[object]:
    """A line of the table, in the docs too."""
    columns = [reason.removeprefix("drift ") for reason in one.reasons if reason.startswith("drift ")]
    words = [f"drift ({', '.join(columns)})"] if columns else []
    words += [reason for reason in one.reasons if not reason.startswith("drift ")]
    low, high = f"{one.better.low:+.3f}", f"{one.better.high:+.3f}"
    better = f"{one.better.value:+.3f} ({low} to {high})" if one.better.value else "the same model"
    pull = f"{one.pull}, {one.gain:+.3f}" if one.pull and one.gain is not None else one.pull or "–"
    found = "; ".join(words) or "–"
    return [one.month, one.decision, found, f"{one.never:.3f}", f"{one.live:.3f}", better, one.version, pull]


def summary(months: list[year.Month]) -> list[object]:
    """Of the months after the first retraining."""
    after = following(months)
    never, live = mean(one.never for one in after), mean(one.live for one in after)
    return [f"mean from {after[0].month} on", "", "", f"{never:.3f}", f"{live:.3f}", f"{live - never:+.3f}", "", ""]


def following(months: list[year.Month]) -> list[year.Month]:
    first = months[0].version
    return [one for one in months if one.version != first]
