"""What is predicted: the task that a target column means, its labels, and the metric that fits them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from gitloop.data.measure import Measured
from gitloop.data.survey import Look
from gitloop.errors import InputError

MOST_CLASSES = 50
NUMBERS = 0.99  # share of numbers from which the others are errors
FEW = 20  # whole numbers of which it cannot be told whether they are classes or amounts
RARE = 0.1  # share of the positive class below which a table is imbalanced
ZERO = re.compile(r"[+-]?0+(\.0*)?")
YES = ("1", "true", "yes", "y", "t", "positive", "pos", "bad", "fraud", "churn", "churned", "default", "late", "failed")


@dataclass(frozen=True)
class Outcome:
    """The target as the contract declares it, and what follows from it."""

    task: str
    keys: dict[str, Any]  # of the target's column
    metric: str
    threshold: float = 0.5
    why: str = ""
    unsure: list[str] = field(default_factory=list)


def kind(look: Look, task: str | None, shown: str) -> str:
    """The task: as asked for, or as the values say. Raises `InputError` where they do not say it or contradict."""
    name = look.name
    if look.filled == 0:
        raise InputError(f"{shown}: {name}: the target holds nothing; name another with --target")
    if look.distinct < 2:
        raise InputError(f"{shown}: {name}: the target is constant, so there is nothing to learn; name another")
    number = look.numbers >= NUMBERS
    if task is not None:
        return _asked(look, task, shown, number)
    if look.distinct == 2:
        return "binary"
    if not number:
        if look.distinct > MOST_CLASSES:
            what = "dates" if look.dates > 0.9 or look.other_dates > 0.9 else f"more than {MOST_CLASSES} labels"
            raise InputError(
                f"{shown}: {name}: the target holds {what}, which cannot be predicted; "
                "name another column, or group the labels in the source"
            )
        return "multiclass"
    if look.whole and look.distinct <= FEW:
        raise InputError(
            f"{shown}: {name}: the target holds {look.distinct} whole numbers, which may be classes or amounts; "
            "say --task multiclass or --task regression"
        )
    return "regression"


def _asked(look: Look, task: str, shown: str, number: bool) -> str:
    name = look.name
    if task == "regression" and not number:
        raise InputError(
            f"{shown}: {name}: --task regression needs numbers, and the target holds text; leave --task out"
        )
    if task == "binary" and look.distinct != 2:
        raise InputError(
            f"{shown}: {name}: --task binary needs two values, and the target holds {look.distinct}; leave --task out"
        )
    if task == "multiclass" and look.distinct > MOST_CLASSES:
        raise InputError(
            f"{shown}: {name}: --task multiclass allows {MOST_CLASSES} classes, and the target holds {look.distinct}; "
            "group them in the source, or say --task regression"
        )
    return task


def declared(task: str, boolean: bool, counts: list[tuple[str, int]] | None, measured: Measured) -> Outcome:
    """The target's column. `counts`: its labels on all rows, the most frequent first; None for numbers."""
    if task == "regression" or counts is None:
        return Outcome(task, {"type": "numeric"}, "r2", why=f"numbers from {measured.low:.6g} to {measured.high:.6g}")
    labels = [label for label, _ in counts]
    rows = sum(rows for _, rows in counts)
    if task == "multiclass":
        return _multiclass(labels, counts, rows)
    positive = "true" if boolean else _positive(counts)
    share = next(number for label, number in counts if label == positive) / rows
    keys: dict[str, Any] = {"type": "boolean"}
    unsure = []
    if not boolean:
        keys = {"type": "categorical", "categories": sorted(labels), "positive": positive}
        if positive.lower() not in YES and not any(map(ZERO.fullmatch, labels)):
            unsure.append(f"whether {positive!r} is the outcome to be predicted (`positive`); it is the rarer one")
    why = f"{'true' if boolean else positive} in {share:.1%} of the rows"
    if share < RARE:
        threshold = min(0.5, max(0.01, round(share, 2)))
        return Outcome("binary", keys, "average_precision", threshold, f"{why}, so rows are ranked by it", unsure)
    return Outcome("binary", keys, "roc_auc", 0.5, why, unsure)


def _positive(counts: list[tuple[str, int]]) -> str:
    """The label that says yes, else the number that is not zero, else the rarer one."""
    saying = [label for label, _ in counts if label.lower() in YES]
    other = [label for label, _ in counts if not ZERO.fullmatch(label)]
    return next((labels[0] for labels in (saying, other) if len(labels) == 1), counts[-1][0])


def _multiclass(labels: list[str], counts: list[tuple[str, int]], rows: int) -> Outcome:
    few = [label for label, number in counts if number < 10]
    unsure = [f"whether classes of fewer than 10 rows can be learned ({', '.join(few[:5])})"] if few else []
    even = counts[-1][1] >= 0.5 * rows / len(counts)
    why = f"{len(labels)} classes" + ("" if even else f", the smallest with {counts[-1][1]:,} of {rows:,} rows")
    # Each class counts alike in both: roc_auc is the mean over the classes.
    return Outcome("multiclass", {"type": "categorical", "categories": sorted(labels)}, "roc_auc", 0.5, why, unsure)
