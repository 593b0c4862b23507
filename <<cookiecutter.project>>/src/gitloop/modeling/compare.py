"""Champion and challenger on the same rows, which neither has trained on."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from gitloop import layout, settings, ui
from gitloop.arrays import Array
from gitloop.contract import Contract
from gitloop.data.table import arrays
from gitloop.files import write_json
from gitloop.modeling import chosen, inputs, rivals, slices
from gitloop.modeling.champion import Champion, Incomparable, champion, todays_training_hash
from gitloop.modeling.chosen import Rows
from gitloop.modeling.intervals import Draws, Scored, paired
from gitloop.modeling.metrics import compute, rounded
from gitloop.modeling.store import Model
from gitloop.settings import Settings

SEEN = "the champion may have trained on some of these rows: without a timestamp it cannot be told which"


def run(arguments: argparse.Namespace) -> None:
    """`gitloop compare [--champion REV]`."""
    comparison = rivals.comparisons(settings.load(), arguments.champion)
    write_json(layout.COMPARISON, comparison)
    show(comparison["champion"])


def compare(loaded: Settings, revision: str, name: str | None = None) -> dict[str, Any]:
    """With the model of a revision, `name` for people: `judged` says whether there is a verdict, `why` why not.

    Gains are in the metric's unit, positive where the challenger is better.
    """
    name = name or revision
    mine = chosen.selected()
    sha256 = mine["model"]["sha256"]
    about: dict[str, Any] = {
        "challenger": {"sha256": sha256, "candidate": mine["candidate"]},
        "metric": loaded.data.metric,
    }
    challenger = chosen.model(loaded)
    about["challenger"] |= _about(challenger)
    try:
        old = replace(champion(revision), revision=name)
        about["champion"] = {"revision": name, "commit": old.commit, **_about(old.model)}
        rows = chosen.rows(layout.TEST, loaded.data, inputs.derivation(loaded.features))
        unseen, note = _unseen(loaded.data.timestamp, rows.table, challenger, old)
        if unseen.sum() < loaded.evaluation.slice_rows:
            raise Incomparable(
                f"{int(unseen.sum())} test rows are later than what both models have trained on, fewer than "
                f"evaluation.slice_rows ({loaded.evaluation.slice_rows})"
            )
        rows = _where(rows, unseen)
        found = judge(loaded, rows, chosen.score(challenger, rows.columns), _score(old, rows.table, loaded.data))
    except Incomparable as reason:
        return {"judged": False, "why": str(reason), "champion": {"revision": name}, **about}
    return rounded({"judged": True, "why": None, **about, "note": note, **found})  # type: ignore[no-any-return]


def judge(loaded: Settings, rows: Rows, new: Scored, old: Scored) -> dict[str, Any]:
    """Every metric of both models; of the one they are chosen by also the gain with its interval, by slice too."""
    data, how = loaded.data, loaded.evaluation
    draws = Draws(how.bootstrap, how.confidence, how.seed)
    both = {"champion": compute(data.task, rows.y, *old), "challenger": compute(data.task, rows.y, *new)}
    names = slices.parts(rows.values(list(data.slices), data), data.columns)

    def part(inside: Array) -> dict[str, Any]:
        y, mine, other = rows.y[inside], slices.within(new, inside), slices.within(old, inside)
        return {
            "rows": int(inside.sum()),
            "champion": compute(data.task, y, *other)[data.metric],
            "challenger": compute(data.task, y, *mine)[data.metric],
            "gain": paired(data.task, y, mine, other, metric=data.metric, draws=draws)._asdict(),
        }

    return {
        "rows": len(rows.y),
        "metrics": {name: {who: values[name] for who, values in both.items()} for name in both["champion"]},
        "gain": paired(data.task, rows.y, new, old, metric=data.metric, draws=draws)._asdict(),
        "slices": {
            column: {name: part(inside) for name, inside in slices.members(of, how.slice_rows)[0].items()}
            for column, of in names.items()
        },
    }


def _about(model: Model) -> dict[str, Any]:
    return {"candidate": model.name, "trained_from": model.trained_from, "trained_until": model.trained_until}


def _unseen(timestamp: str | None, table: pa.Table, new: Model, old: Champion) -> tuple[Array, str | None]:
    """The rows (as a mask) that neither model has trained on, and what is to be said of that."""
    ends = [model.trained_until for model in (new, old.model)]
    if timestamp is None or None in ends:
        same = old.trained_on is not None and old.trained_on == todays_training_hash()
        return np.ones(table.num_rows, dtype=bool), None if same else SEEN
    times = table.column(timestamp).to_numpy().astype("datetime64[us]")
    return times > max(np.datetime64(end, "us") for end in ends), None


def _where(rows: Rows, inside: Array) -> Rows:
    columns = {name: values[inside] for name, values in rows.columns.items()}
    return Rows(rows.table.filter(pa.array(inside)), columns, rows.y[inside])


def _score(old: Champion, table: pa.Table, today: Contract) -> Scored:
    """What the champion says of today's rows, through its own contract and derivation."""
    then = old.settings.data
    if (then.task, then.target, then.columns[then.target].positive) != (
        today.task,
        today.target,
        today.columns[today.target].positive,
    ):
        raise Incomparable(
            f"{old.revision} cannot be compared: it predicts {then.target} ({then.task}) as then declared"
        )
    needed = inputs.visible(then)
    for name in needed:
        if name not in table.column_names:
            raise Incomparable(f"{old.revision} cannot be compared: needs column {name}")
        if then.columns[name].type != today.columns[name].type:
            kinds = f"{then.columns[name].type} column {name}, which is {today.columns[name].type} now"
            raise Incomparable(f"{old.revision} cannot be compared: needs the {kinds}")
    return chosen.score(old.model, inputs.build(arrays(table, then.columns, needed), then, old.derive))


def show(comparison: dict[str, Any]) -> None:
    if not comparison["judged"]:
        ui.say(f"not compared: {comparison['why']}")
        return
    metric, gain = comparison["metric"], comparison["gain"]
    title = f"challenger against {comparison['champion']['revision']} on {comparison['rows']:,} rows: {metric}"
    total = [{"rows": comparison["rows"], **comparison["metrics"][metric], "gain": gain}]
    parts = [(f"{column} {name}", one) for column, of in comparison["slices"].items() for name, one in of.items()]
    rows = [
        [
            name,
            one["rows"],
            one["champion"],
            one["challenger"],
            one["gain"]["value"],
            one["gain"]["low"],
            one["gain"]["high"],
        ]
        for name, one in [("all", total[0]), *parts]
    ]
    ui.table(title, ["rows of", "rows", "champion", "challenger", "gain", "low", "high"], rows)
    if comparison["note"]:
        ui.warn(comparison["note"])
