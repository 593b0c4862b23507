"""The model card: what the chosen model is for, how good it is and what was not tried, on a page or two of Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gitloop.contract import Column
from gitloop.modeling import report
from gitloop.modeling.metrics import greater_is_better
from gitloop.modeling.report import Section
from gitloop.modeling.store import Model
from gitloop.settings import METRICS, RATES, Settings

LONGEST = 30  # rows of a table; a card is read at a glance
WORST = 10  # slices


def card(
    loaded: Settings,
    model: Model,
    selected: dict[str, Any],
    evaluation: dict[str, Any],
    told: dict[str, Any],
    *,
    served: str,
) -> str:
    """The text of MODEL_CARD.md. `told`: contents of metrics/source, validation and split.json, by these names.

    Holds names and numbers of columns that are kept; of personal data neither.
    """
    how = loaded.evaluation.confidence
    sections = [
        _purpose(loaded, model),
        _inputs(loaded, model),
        report.data(loaded, told["source"], told["validation"], told["split"]),
        report.candidates(selected),
        report.metrics(evaluation, loaded.data)._replace(
            text=f"low and high bound {how:.0%} of bootstrap draws of the test rows."
        ),
        *(one._replace(rows=one.rows[:LONGEST]) for one in report.parts(_worst(evaluation), loaded.data)),
        _bounds(loaded),
        Section("Limits", (), (), loaded.project.limits, list(_limits(loaded, model, told))),
        Section("How it is served", (), (), served),
        _again(loaded, model),
    ]
    return report.markdown(f"{loaded.project.name}: {model.name}", sections)


def _purpose(loaded: Settings, model: Model) -> Section:
    project, data = loaded.project, loaded.data
    target = data.columns[data.target]
    what = f"{data.target} ({target.description or target.type})"
    points = {
        "binary": [
            f"Predicts whether {what} is {target.positive or 'true'}, as a probability; yes from {data.threshold:g} on."
        ],
        "multiclass": [f"Predicts {what}, one of {_list(list(model.classes or ()))}, with a probability of each."],
        "regression": [f"Predicts {what}, a number{f' in {target.unit}' if target.unit else ''}."],
    }[data.task]
    points += [f"Owner: {project.owner}.", f"Contact: {project.contact}."]
    return Section("What it is for", (), (), project.description, points)


def _inputs(loaded: Settings, model: Model) -> Section:
    names = [name for name in loaded.data.features if name in loaded.data.kept]
    rows = [
        [name, column.type, _allowed(column), _meaning(column)]
        for name in names[:LONGEST]
        for column in [loaded.data.columns[name]]
    ]
    more = (
        f"The first {LONGEST} of {len(names)} columns; conf/data/{loaded.data.name}.yaml has all."
        if len(names) > LONGEST
        else ""
    )
    given = (*model.schema.numeric, *model.schema.categorical, *model.schema.text)
    derived = [name for name in given if name not in loaded.data.columns]
    if derived:
        more += f" Derived from them by {loaded.features.derive}: {_list(derived)}."
    return Section("Inputs", ["column", "type", "allowed", "meaning"], rows, more.strip())


def _meaning(column: Column) -> str:
    return ", ".join(part for part in (column.description, column.unit) if part)


def _allowed(column: Column) -> str:
    parts = [f"{_end(column.range[0])} to {_end(column.range[1])}"] if column.range else []
    if column.categories:
        parts.append(_list(list(column.categories)))
    return "; ".join([*parts, *(["may be missing"] if column.nullable else [])])


def _end(value: float | None) -> str:
    return "any" if value is None else f"{value:g}"


def _list(names: list[str]) -> str:
    return ", ".join(names[:WORST]) + (f" and {len(names) - WORST} more" if len(names) > WORST else "")


def _worst(evaluation: dict[str, Any]) -> dict[str, Any]:
    """The evaluation with the worst slices alone, worst first."""
    metric = evaluation["metric"]
    sign = 1 if greater_is_better(metric) else -1
    parts = [
        (column, name, one)
        for column, of in evaluation["slices"].items()
        for name, one in of.items()
        if one["metrics"][metric] is not None
    ]
    parts.sort(key=lambda part: sign * part[2]["metrics"][metric])
    worst: dict[str, dict[str, Any]] = {}
    for column, name, one in parts[:WORST]:
        worst.setdefault(column, {})[name] = one
    return {**evaluation, "slices": worst}


def _bounds(loaded: Settings) -> Section:
    mine = (*METRICS[loaded.data.task], *RATES[loaded.data.task])
    shown = loaded.gates.model_dump(exclude={"behaviour"}, exclude_none=True)
    rows: list[list[object]] = []
    for gate, bound in shown.items():
        if isinstance(bound, dict):  # of every task
            rows += [[f"{gate} {name}", value] for name, value in bound.items() if name in mine]
        else:
            rows.append([gate, bound])
    return Section("What it had to keep to be merged", ["gate", "bound"], rows)


def _limits(loaded: Settings, model: Model, told: dict[str, Any]) -> Iterator[str]:
    data, span = loaded.data, told["split"].get("span")
    if span:
        trained, tested = (" to ".join(time[:19] for time in span[part]) for part in ("train", "test"))
        yield (
            f"Trained on rows from {trained}, tested on rows from {tested} (UTC). "
            "Nothing is known of other times, such as other seasons."
        )
    else:
        yield "Tested on rows drawn from the same table; how it does on later ones is not known."
    yield f"Slices and groups of fewer than {loaded.evaluation.slice_rows} test rows were not judged."
    judged = [name for name in data.named("sensitive") if name in data.kept]
    yield (
        f"Fairness was looked at by {_list(judged)} alone."
        if judged
        else "No column is declared sensitive: fairness was not looked at."
    )
    if model.schema.dropped:
        yield "Columns left out: " + _list([f"{name} ({why})" for name, why in model.schema.dropped.items()]) + "."
    open_categories = [
        name
        for name, column in data.items("categorical")
        if column.categories is None and name in model.schema.categorical
    ]
    if open_categories:
        yield f"Categories of {_list(open_categories)} that training has not seen are accepted, and are guesses."
    loose = [name for name, column in data.items("numeric") if column.range is None and name in model.schema.numeric]
    if loose:
        yield f"{_list(loose)} may be any number: far from what training has seen, predictions are guesses."


def _again(loaded: Settings, model: Model) -> Section:
    points = [
        "At the commit that holds this card: make setup, then dvc repro (or dvc pull, to fetch what it made).",
        f"The data: conf/data/{loaded.data.name}.yaml. The model: conf/candidate/{model.name}.yaml.",
        "What it was made from and with: model/lineage.json. All numbers: metrics/evaluation.json.",
    ]
    return Section("How to make it again", (), (), "", points)
