"""The plots of an evaluation: SVG to look at, CSV for `dvc plots show` and `dvc plots diff`.

Every task writes the same files, so that dvc.yaml can name them. Images stand on white, which reads on any page, and
are the same bytes for the same numbers.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve, roc_curve

from gitloop.arrays import Array
from gitloop.contract import Contract
from gitloop.files import whole, write_text
from gitloop.modeling.intervals import Scored

POINTS = 500  # of a curve
ROWS = 20_000  # of a table of rows
DOTS = 1_500  # of a cloud
SHOWN = 10  # classes with a curve of their own
LABELLED = 12  # classes beyond which a matrix has no numbers
BLUE, GREY, RED = "#1f6fb4", "#6b7280", "#b4451f"
STYLE = {
    "svg.hashsalt": "gitloop",
    "svg.fonttype": "none",
    "text.parse_math": False,  # a column may be called $x
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "legend.frameon": False,
}


def named(contract: Contract) -> str:
    """The target with its unit."""
    known = contract.columns[contract.target].unit
    return f"{contract.target} ({known})" if known else contract.target


def write(folder: Path, task: str, y: Array, scored: Scored, evidence: dict[str, Any], target: str = "") -> None:
    """curves, errors, calibration and importance as SVG; curve, confusion, calibration and importance as CSV.

    `target`: as axes name it, with its unit.
    """
    classes, target = outcomes(task, y, scored), _short(target)
    curve = Curves(task, y, scored, target)
    bins, important = evidence["calibration"]["bins"], evidence["importance"]
    with mpl.rc_context(STYLE):
        _image(folder / "curves.svg", curve.draw, 2)
        _image(folder / "errors.svg", lambda axes: _errors(axes, task, y, scored, classes, target), 2)
        _image(folder / "calibration.svg", lambda axes: _calibration(axes[0], bins, task, target), 1)
        _image(folder / "importance.svg", lambda axes: _importance(axes[0], important, evidence["metric"]), 1)
    actual, predicted = (of[:: max(1, -(-len(y) // ROWS))] for of in classes)
    _data(folder / "curve.csv", ("x", "y"), curve.main())
    _data(folder / "confusion.csv", ("actual", "predicted"), zip(actual, predicted, strict=True))
    _data(folder / "calibration.csv", ("predicted", "observed"), ((one["predicted"], one["observed"]) for one in bins))
    _data(folder / "importance.csv", ("feature", "importance"), ((k, one["mean"]) for k, one in important.items()))


def outcomes(task: str, y: Array, scored: Scored) -> tuple[Array, Array]:
    """Actual and predicted class (n,) as text; of a number, the fifth of the actual range that it is in."""
    if task == "binary":
        names = np.array(["no", "yes"], dtype=object)
        return names[y.astype(int)], names[(scored.scores >= scored.threshold).astype(int)]
    if task == "multiclass":
        return y, np.asarray(scored.classes, dtype=object)[scored.scores.argmax(axis=1)]
    edges = np.unique(np.quantile(y, [0.2, 0.4, 0.6, 0.8]))
    labels = np.array(
        [*(f"{n} ≤ {edge:.4g}" for n, edge in enumerate(edges, 1)), f"{len(edges) + 1} > {edges[-1]:.4g}"]
    )
    return labels[np.searchsorted(edges, y)], labels[np.searchsorted(edges, scored.scores)]


class Curves:
    """ROC and precision–recall; for numbers the share of rows within an error (Bi and Bennett 2003)."""

    def __init__(self, task: str, y: Array, scored: Scored, target: str = "") -> None:
        self.task, self.y, self.scores, self.target = task, y, scored.scores, target
        if task == "binary":
            self.each = {"": (y == 1, scored.scores)}
        elif task == "multiclass":
            sizes = {name: int((y == name).sum()) for name in scored.classes or ()}
            known = sorted((name for name in sizes if 0 < sizes[name] < len(y)), key=lambda name: (-sizes[name], name))
            columns = {name: index for index, name in enumerate(scored.classes or ())}
            self.each = {name: (y == name, scored.scores[:, columns[name]]) for name in known}

    def main(self) -> list[tuple[float, float]]:
        """The one curve by which models are compared: of several classes the mean."""
        grid = np.linspace(0, 1, 201)
        if self.task == "regression":
            return list(zip(*self._within(), strict=True))
        drawn = [roc_curve(truth, scores)[:2] for truth, scores in self.each.values() if 0 < truth.sum() < len(truth)]
        if not drawn:
            return []
        mean = np.mean([np.interp(grid, false_rate, true_rate) for false_rate, true_rate in drawn], axis=0)
        return list(zip(grid, mean, strict=True))

    def draw(self, axes: Sequence[Axes]) -> None:
        left, right = axes
        if self.task == "regression":
            left.plot(*self._within(), color=BLUE)
            _labelled(left, "Rows within an error", "error, standard deviations of the target", "share of rows")
            low, high = np.quantile(self.y, [0.001, 0.999])
            right.plot([low, high], [low, high], color=GREY, linestyle="--", linewidth=1)
            right.plot(*_dots(self.y, self.scores), ".", color=BLUE, alpha=0.35, markersize=3, markeredgewidth=0)
            _labelled(right, "Actual and predicted", f"actual {self.target}", f"predicted {self.target}")
            return
        left.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
        for name, (truth, scores) in list(self.each.items())[:SHOWN]:
            if not 0 < truth.sum() < len(truth):
                continue
            color = BLUE if self.task == "binary" else None
            left.plot(*_thinned(*roc_curve(truth, scores)[:2]), color=color)
            precision, recall, _ = precision_recall_curve(truth, scores)
            right.plot(*_thinned(recall, precision), color=color, label=_short(name))
        if self.task == "binary":
            right.axhline(self.y.mean(), color=GREY, linestyle="--", linewidth=1)
        elif self.each:
            right.legend()
        _labelled(left, "ROC", "false positive rate", "true positive rate")
        _labelled(right, "Precision and recall", "recall", "precision")

    def _within(self) -> tuple[Array, Array]:
        """Errors in standard deviations, and the share of rows with none larger."""
        tolerance = np.linspace(0, 2, 201)
        error = np.sort(np.abs(self.scores - self.y)) / (self.y.std() or 1.0)
        return tolerance, np.searchsorted(error, tolerance, side="right") / len(error)


def _errors(
    axes: Sequence[Axes], task: str, y: Array, scored: Scored, classes: tuple[Array, Array], target: str
) -> None:
    left, right = axes
    actual, predicted = classes
    names = np.unique(np.concatenate([actual, predicted]).astype(str))
    counts = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(counts, tuple(np.searchsorted(names, of.astype(str)) for of in classes), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    left.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    if len(names) <= LABELLED:
        shown = [_short(name) for name in names]
        left.set_xticks(range(len(names)), shown, rotation=30, ha="right")
        left.set_yticks(range(len(names)), shown)
        for row, column in np.ndindex(counts.shape):
            color = "white" if shares[row, column] > 0.5 else "black"
            left.text(column, row, f"{counts[row, column]:,}", ha="center", va="center", color=color, fontsize=8)
    what = f"Fifths of the actual {target}" if task == "regression" else "Confusion"
    _labelled(left, f"{what} (colour: share of the row)", "predicted", "actual")
    if task == "regression":
        right.axhline(0, color=GREY, linestyle="--", linewidth=1)
        right.plot(
            *_dots(scored.scores, scored.scores - y), ".", color=BLUE, alpha=0.35, markersize=3, markeredgewidth=0
        )
        _labelled(right, "Residuals", f"predicted {target}", "predicted − actual")
        return
    if task == "binary":
        groups = {"no": scored.scores[y == 0], "yes": scored.scores[y == 1]}
        right.axvline(scored.threshold, color=GREY, linestyle="--", linewidth=1)
        _labelled(right, "Scores by actual class", "predicted probability", "share of the class's rows")
    else:
        best, right_call = scored.scores.max(axis=1), actual == predicted
        groups = {"wrong": best[~right_call], "right": best[right_call]}
        _labelled(right, "Scores of right and wrong calls", "probability of the called class", "share of rows")
    for (name, scores), color in zip(groups.items(), (GREY, RED), strict=True):
        if len(scores):
            weights = np.full(len(scores), 1 / len(scores))
            right.hist(
                scores,
                bins=[edge / 40 for edge in range(41)],
                weights=weights,
                histtype="step",
                color=color,
                label=name,
            )
    right.legend()


def _calibration(axes: Axes, bins: list[dict[str, Any]], task: str, target: str) -> None:
    predicted, observed = ([one[key] for one in bins] for key in ("predicted", "observed"))
    ends = [min(predicted + observed), max(predicted + observed)]
    axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1)
    axes.plot(predicted, observed, "o-", color=BLUE, markersize=4)
    x, y = {
        "binary": ("mean predicted probability", "observed share"),
        "multiclass": ("mean probability of the called class", "share of right calls"),
        "regression": (f"mean predicted {target}", f"mean actual {target}"),
    }[task]
    _labelled(axes, "Calibration (bins of equally many rows)", x, y)


def _importance(axes: Axes, important: dict[str, dict[str, float]], metric: str) -> None:
    shown = list(important.items())[:20][::-1]
    axes.barh(
        range(len(shown)),
        [one["mean"] for _, one in shown],
        xerr=[one["std"] for _, one in shown],
        color=BLUE,
        ecolor=GREY,
    )
    axes.set_yticks(range(len(shown)), [_short(name) for name, _ in shown])
    _labelled(axes, "Importance of columns", f"loss of {metric} when shuffled", "")


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"


def _labelled(axes: Axes, title: str, x: str, y: str) -> None:
    axes.set_title(title, loc="left", fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def _thinned(x: Array, y: Array) -> tuple[Array, Array]:
    kept = np.unique(np.linspace(0, len(x) - 1, POINTS).astype(int))
    return x[kept], y[kept]


def _dots(x: Array, y: Array) -> tuple[Array, Array]:
    step = slice(None, None, max(1, -(-len(x) // DOTS)))
    return x[step], y[step]


def _image(path: Path, draw: Callable[[Sequence[Axes]], None], panels: int) -> None:
    figure = Figure(figsize=(4.5 * panels, 3.6), layout="constrained")
    draw(figure.subplots(1, panels, squeeze=False)[0])
    with whole(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})


def _data(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([f"{value:.6g}" if isinstance(value, float) else value for value in row] for row in rows)
    write_text(path, text.getvalue())
