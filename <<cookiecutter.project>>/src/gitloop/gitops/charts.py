"""Charts in Mermaid, which GitHub draws itself. Two colours of middle lightness, to be seen on white and on black."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from math import floor, isfinite, log10
from typing import Any

from gitloop.modeling.metrics import gain, greater_is_better

MOST = 15  # bars
LONGEST = 28  # letters of a label
COLOURS = "steelblue, darkorange"


def candidates(selected: dict[str, Any]) -> str:
    """The cross-validated metric of each candidate."""
    metric = selected["metric"]
    found = [(one["candidate"], one["mean"]) for one in selected["ranking"]]
    return bars(f"Candidates: cross-validated {metric}", metric, found)


def slices(evaluation: dict[str, Any], comparison: dict[str, Any] | None) -> str:
    """The metric in each slice: of the model as bars, and of what it is compared with as a line."""
    metric = evaluation["metric"]
    if comparison:
        parts = [(name, one["challenger"], one["champion"]) for name, one in _parts(comparison["slices"])]
        known = [one for one in parts if _known(one[1]) and _known(one[2])]
        known.sort(key=lambda one: gain(metric, one[1], one[2]))
        title = f"{metric} by slice: bars the model, line {comparison['champion']['revision']}"
        return bars(title, metric, [one[:2] for one in known], [one[2] for one in known])
    alone = [(name, one["metrics"][metric]) for name, one in _parts(evaluation["slices"])]
    alone = [one for one in alone if _known(one[1])]
    alone.sort(key=lambda one: gain(metric, one[1], 0))
    return bars(f"{metric} by slice", metric, alone, least=evaluation["baseline"][metric])


def calibration(evaluation: dict[str, Any]) -> str:
    """What is predicted beside what is observed, from the lowest predictions to the highest."""
    bins = [one for one in (evaluation["calibration"].get("bins") or []) if _known(one["observed"])]
    predicted = [one["predicted"] for one in bins]
    if len(bins) < 2:
        return ""
    observed = [one["observed"] for one in bins]
    labels = [str(number) for number in range(1, len(bins) + 1)]
    title = "Calibration, tenth by tenth: bars observed, line predicted"
    if len(bins) != 10:
        title = "Calibration, group by group: bars observed, line predicted"
    return bars(title, "mean", list(zip(labels, observed, strict=True)), predicted, level=False, upright=True)


def bars(
    title: str,
    metric: str,
    values: Sequence[tuple[str, float | None]],
    line: Sequence[float] = (),
    *,
    least: float | None = None,
    level: bool = True,
    upright: bool = False,
) -> str:
    """A bar for each value that is known, at most `MOST`; empty where there are fewer than two.

    Mermaid's bars grow from the lower end of the axis: that is the least value or, for a loss, zero.
    """
    known = [(name, value) for name, value in values if _known(value)][:MOST]
    line = list(line)[:MOST]
    if len(known) < 2:
        return ""
    numbers = [value for _, value in known if value is not None]
    seen = [*numbers, *line, *([least] if least is not None else [])]
    low = min(seen) if level and greater_is_better(metric) else min(0.0, *seen)
    high = max(seen)
    if high <= low:
        return ""
    places = max(0, 5 - floor(log10(max(abs(low), abs(high)))))

    def of(numbers: Sequence[float]) -> str:
        return ", ".join(f"{number:.{places}f}" for number in numbers)

    style = {
        "xyChart": {"width": 720, "height": 320 if upright else 110 + 30 * len(known)},
        "themeVariables": {"xyChart": {"plotColorPalette": COLOURS}},
    }
    lines = [
        f"%%{{init: {json.dumps(style)}}}%%",
        "xychart-beta" if upright else "xychart-beta horizontal",
        f'  title "{label(title, 90)}"',
        f"  x-axis [{', '.join(_unique([name for name, _ in known]))}]",
        f'  y-axis "{label(metric)}" {of([low])} --> {of([high + (high - low) / 20])}',
        f"  bar [{of(numbers)}]",
        *([f"  line [{of(line)}]"] if line else []),
    ]
    return "```mermaid\n" + "\n".join(lines) + "\n```"


def label(text: str, longest: int = LONGEST) -> str:
    """Text that may stand between Mermaid's quotes: what has a meaning there is left out."""
    clean = re.sub(r"[^\w .,:()/@+-]", "·", " ".join(text.split())) or "·"
    return clean if len(clean) <= longest else clean[: longest - 1] + "…"


def _unique(names: Sequence[str]) -> list[str]:
    """Labels in quotes. Two bars of one name would be drawn over each other."""
    found: list[str] = []
    for name in names:
        one, number = label(name), 1
        while one in found:
            number += 1
            one = f"{label(name, LONGEST - 4)} {number}"
        found.append(one)
    return [f'"{one}"' for one in found]


def _parts(of: dict[str, dict[str, Any]]) -> list[tuple[str, Any]]:
    return [(f"{column} {name}", one) for column, parts in of.items() for name, one in parts.items()]


def _known(value: float | None) -> bool:
    return value is not None and isfinite(value)
