"""A first trial on the sample: which columns give the target away, and what bounds a first model can keep.

Everything is measured on rows held out, in three folds, of columns as a model would see them.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from gitloop import threads
from gitloop.arrays import Array, Columns
from gitloop.data import calendar
from gitloop.data.decide import Table
from gitloop.data.twins import twins

# As gitloop.modeling: OpenMP's threads, read when scikit-learn is first imported, must not spin while others work.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "10000")

FOLDS = 3
ROWS = 6000
CELLS = 1_200_000  # values that are looked at, at most
ENOUGH = 1500  # rows of which one fold says enough
WIDE = 100  # columns beyond which one fold must do
WIDEST = 40  # columns of the boosted model: the ones that say most by themselves
LEAST = 200  # rows from which one column is judged by what it predicts
LEAVES = 32
WORDS = 64  # of a text column
WIDTH = 5  # rows a column below which a model can learn all rows by heart
CERTAIN = 0.98  # of the way from chance to perfect: one column decides the target
STRONG = 0.8  # one column alone goes a long way
SAME = 0.999


class Trial(NamedTuple):
    """`alone`: how far each column alone goes from chance to perfect; `skill` and `gap` of a boosted model of all."""

    alone: dict[str, float]
    same: list[str]  # columns that are the target in another form
    copies: dict[str, str]  # column → an earlier one that says the same
    skill: float
    gap: float


def trial(table: Table, columns: Columns, y: Array, ordered: Array | None) -> Trial:
    """`columns` are features (n,), canonical or datetime64; `y` the target (n,): codes of classes, or numbers."""
    regression = table.outcome.task == "regression"
    rows = _rows(len(y), len(columns), ordered)
    x = {name: _numbers(values[rows]) for name, values in columns.items()}
    y = y[rows]
    first = {} if ordered is None else {str(table.timestamp): _numbers(ordered[rows])}
    first |= {name: x[name] for name, values in columns.items() if values.dtype.kind == "M"}  # not a number of the date
    copies = twins({**first, **x})
    folds = _folds(y, len(x), regression, by_time=ordered is not None)
    with warnings.catch_warnings(), threads.suited(CELLS):
        warnings.simplefilter("ignore")
        alone = {name: _alone(one, y, folds, regression) for name, one in x.items() if name not in copies}
        same = [name for name in alone if _same(x[name], y, regression)]
        leaking = same + [name for name, skill in alone.items() if skill >= CERTAIN and len(y) >= LEAST]
        kept = [name for name in alone if name not in leaking and table.decisions[name].keys["type"] != "text"]
        kept = sorted(kept, key=lambda name: -alone[name])[:WIDEST]
        held = {name: values[rows] for name, values in columns.items() if name in alone and name not in leaking}
        made = _made(table, held if ordered is None else {str(table.timestamp): ordered[rows], **held})
        skill, gap = _boosted(table, {name: x[name] for name in kept} | made, y, folds[0], regression)
    if WIDTH * len(alone) > table.rows:
        gap = max(gap, 1 - _chance(table, y))  # so many columns let any model learn its rows by heart
    return Trial(alone, same, copies, skill, gap)


def _made(table: Table, columns: Columns) -> Columns:
    """What a model is given of dates and of free text: parts of dates, the time between two, the words that occur."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    made = calendar.derive(columns) if table.timestamp in columns else calendar.with_years(columns)
    for name, texts in columns.items():
        if table.decisions[name].keys["type"] == "text":
            try:
                counted = TfidfVectorizer(max_features=WORDS).fit_transform(texts).toarray()
            except ValueError:  # no word in it
                continue
            made |= {f"{name} {index}": counted[:, index] for index in range(counted.shape[1])}
    return made


def _rows(rows: int, width: int, ordered: Array | None) -> Array:
    most = min(ROWS, max(500, CELLS // max(width, 1)))
    picked = np.unique(np.linspace(0, rows - 1, min(most, rows)).astype(int))
    return picked if ordered is None else np.argsort(ordered, kind="stable")[picked]


def _numbers(values: Array) -> Array:
    """Numbers as they are, dates in days, text as numbers of its values; NaN where missing."""
    if values.dtype.kind == "M":
        days = (values - np.datetime64("1970-01-01", "us")) / np.timedelta64(1, "D")
        return np.asarray(days, dtype=np.float64)
    if values.dtype.kind == "O":
        _, codes = np.unique(values.astype(str), return_inverse=True)
        return np.where(values == "", np.nan, codes.astype(np.float64))
    return values


def _folds(y: Array, width: int, regression: bool, by_time: bool) -> list[tuple[Array, Array]]:
    from sklearn.model_selection import KFold, StratifiedKFold

    if by_time:  # the last third is judged, as the pipeline judges the latest rows
        cut = len(y) * 2 // 3
        parts = [(np.arange(cut), np.arange(cut, len(y)))]
        if regression or len(np.unique(y[:cut])) > 1 < len(np.unique(y[cut:])):
            return parts
    few = not regression and np.unique(y, return_counts=True)[1].min() < FOLDS
    kind = KFold if regression or few else StratifiedKFold
    several = list(kind(FOLDS, shuffle=True, random_state=0).split(y, y))
    return several[:1] if len(y) >= ENOUGH or width > WIDE else several


def _alone(x: Array, y: Array, folds: list[tuple[Array, Array]], regression: bool) -> float:
    """How far a small tree of one column goes from chance (0) to perfect (1) on rows it has not seen."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    x = x.reshape(-1, 1)
    kind = DecisionTreeRegressor if regression else DecisionTreeClassifier
    found = []
    for fit, check in folds:
        model = kind(max_leaf_nodes=LEAVES, random_state=0).fit(x[fit], y[fit])
        found.append(_skill(model, x[check], y[check], regression))
    return float(np.nanmean(found)) if not np.isnan(found).all() else 0.0


def _skill(model: object, x: Array, y: Array, regression: bool) -> float:
    """r2, or twice the mean area under the curve of each class against the rest, less one."""
    from scipy.stats import rankdata
    from sklearn.metrics import r2_score

    if regression:
        return float(r2_score(y, model.predict(x)))  # type: ignore[attr-defined]
    scores = model.predict_proba(x)  # type: ignore[attr-defined]
    classes = model.classes_.tolist()  # type: ignore[attr-defined]
    ranks = rankdata(scores, axis=0)
    areas = []
    for index, label in enumerate(classes):
        own = y == label
        many, others = int(own.sum()), int((~own).sum())
        if many and others:  # the area is Mann and Whitney's U over the number of pairs
            areas.append((ranks[own, index].sum() - many * (many + 1) / 2) / (many * others))
    return float(2 * np.mean(areas) - 1) if areas else float("nan")


def _same(x: Array, y: Array, regression: bool) -> bool:
    """Whether a column is the target in another form: a straight line of it, or other names of its classes."""
    known = ~np.isnan(x)
    if known.mean() < 0.5:
        return False
    if regression:
        a, b = x[known], y[known]
        return bool(a.std() > 0 and b.std() > 0 and abs(np.corrcoef(a, b)[0, 1]) >= SAME)
    values, codes = np.unique(x[known], return_inverse=True)
    classes, labels = np.unique(y[known], return_inverse=True)
    if not 2 <= len(values) <= 2 * len(classes):
        return False
    counts = np.zeros((len(values), len(classes)))
    np.add.at(counts, (codes, labels), 1)
    one_to_one = len(np.unique(counts.argmax(axis=1))) == len(classes)
    return bool(one_to_one and counts.max(axis=1).sum() >= SAME * known.sum())


def _boosted(
    table: Table, columns: Mapping[str, Array], y: Array, fold: tuple[Array, Array], regression: bool
) -> tuple[float, float]:
    """Skill on rows held out of a model like the boosting candidate, and how much better it is on its own rows.

    In the metric by which models are chosen.
    """
    if not columns:
        return 0.0, 0.0
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    x = np.column_stack(list(columns.values()))
    trees = 75 if regression or table.outcome.task == "binary" else max(10, 150 // len(np.unique(y)))
    kind = HistGradientBoostingRegressor if regression else HistGradientBoostingClassifier
    fit, check = fold
    model = kind(
        learning_rate=0.1, max_iter=trees, max_leaf_nodes=15, max_features=0.5, early_stopping=False, random_state=0
    ).fit(x[fit], y[fit])
    held, own = (_judged(table, model, x[rows], y[rows]) for rows in (check, fit))
    chance = _chance(table, y)
    return (held - chance) / (1 - chance), own - held


def _judged(table: Table, model: object, x: Array, y: Array) -> float:
    from sklearn.metrics import average_precision_score

    if table.outcome.metric == "average_precision":
        return float(average_precision_score(y, model.predict_proba(x)[:, 1]))  # type: ignore[attr-defined]
    skill = _skill(model, x, y, table.outcome.task == "regression")
    return skill if table.outcome.task == "regression" else (skill + 1) / 2


def _chance(table: Table, y: Array) -> float:
    if table.outcome.metric == "average_precision":
        return float(y.mean())
    return 0.0 if table.outcome.task == "regression" else 0.5
