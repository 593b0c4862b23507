"""The model card: a reader finds what the model is for, how good it is and what was not tried."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import customers
import pytest

from gitloop import layout, settings
from gitloop.files import read_json
from gitloop.modeling import chosen
from gitloop.modeling.card import card
from gitloop.settings import Settings, parse

Project = Callable[..., Path]


def text(loaded: Settings, **told: Any) -> str:
    evaluation = read_json(layout.EVALUATION, "")
    known = {path.stem: read_json(path, "") for path in (layout.SOURCE, layout.VALIDATION, layout.SPLIT)}
    return card(loaded, chosen.model(loaded), chosen.selected(), evaluation, {**known, **told}, served="Compiled.")


def changed(change: customers.Change) -> Settings:
    values = customers.yaml.safe_load(layout.PARAMS.read_text())
    change(values)
    return parse(values)


def test_the_card_of_a_package(project: Project) -> None:
    project()
    found = layout.CARD.read_text()
    assert found == (layout.MODEL / "card.md").read_text()
    lines = found.splitlines()
    assert lines[0] == "# Customers: linear"
    titles = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    assert titles == [
        "What it is for",
        "Inputs",
        "Data",
        "Candidates",
        "linear on 270 test rows",
        "Slices",
        "Fairness",
        "What it had to keep to be merged",
        "Limits",
        "How it is served",
        "How to make it again",
    ]
    assert "Who leaves" in lines
    assert "- Predicts whether outcome (categorical) is leaves, as a probability; yes from 0.4 on." in lines
    assert "- Owner: Ada." in lines
    assert "- Contact: ada&#64;example.org." in lines
    assert "| age | numeric | 0 to 120 |  |" in lines
    assert "| income | numeric | 0 to any; may be missing | EUR |" in lines
    assert "| colour | categorical | red, green, blue |  |" in lines
    metrics = json.loads(layout.EVALUATION.read_text())
    auc, low = (metrics["metrics"]["roc_auc"][key] for key in ("value", "low"))
    assert f"| roc_auc | {auc:.4g} | {low:.4g} |" in found
    assert "| floor roc_auc | 0.65 |" in lines
    assert "floor r2" not in found  # of another task
    assert "- Fairness was looked at by colour alone." in lines
    assert any(line.startswith("Compiled to ONNX: on 270 test rows") for line in lines)
    assert len(lines) < 110
    assert all(len(line) < 250 for line in lines)


@pytest.mark.parametrize(
    ("task", "name", "told"),
    [
        (
            "multiclass",
            "boosting",
            "- Predicts outcome (categorical), one of high, low, middle, with a probability of each.",
        ),
        ("regression", "forest", "- Predicts outcome (numeric), a number."),
    ],
)
def test_other_tasks(task: str, name: str, told: str, project: Project) -> None:
    project(task, name)
    assert told in layout.CARD.read_text().splitlines()


def test_limits_follow_from_the_contract_and_the_split(project: Project) -> None:
    project()
    found = text(settings.load())
    assert "- Slices and groups of fewer than 10 test rows were not judged." in found
    assert "- Categories of town that training has not seen are accepted, and are guesses." in found
    assert "- balance may be any number: far from what training has seen, predictions are guesses." in found
    assert "- Tested on rows drawn from the same table; how it does on later ones is not known." in found
    span = {"train": ["2024-01-01T00:00:00.000000", "2024-01-27T05:00:00.000000"]}
    span["test"] = ["2024-01-27T06:00:00.000000", "2024-02-07T11:00:00.000000"]
    found = text(settings.load(), split={"rows": {"train": 630, "test": 270}, "span": span})
    assert (
        "- Trained on rows from 2024-01-01T00:00:00 to 2024-01-27T05:00:00, tested on rows from 2024-01-27T06:" in found
    )


def test_no_sensitive_column_is_said(project: Project) -> None:
    project()
    found = text(changed(lambda values: values["data"]["columns"]["colour"].update(role="feature")))
    assert "No column is declared sensitive: fairness was not looked at." in found


def test_a_wide_table_stays_readable(project: Project) -> None:
    project()

    def widen(values: dict[str, Any]) -> None:
        values["data"]["columns"] |= {f"extra{index}": {"type": "numeric"} for index in range(200)}

    found = text(changed(widen))
    assert "The first 30 of 206 columns; conf/data/customers.yaml has all." in found
    assert len(found.splitlines()) < 150


def test_markup_in_names_has_no_effect(project: Project) -> None:
    project()
    found = text(changed(lambda values: values["project"].update(owner="<img src=x> | [a](b)")))
    assert "- Owner: &#60;img src=x&#62; &#124; &#91;a&#93;(b)." in found
