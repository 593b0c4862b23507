"""Tasks and their configuration for Label Studio, and what its exports say: the full JSON and JSON-MIN.

The formats: https://labelstud.io/guide/task_format and https://labelstud.io/guide/export
"""

from __future__ import annotations

import xml.etree.ElementTree as ET  # written, never parsed
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gitloop.contract import Contract
from gitloop.monitoring.picking import Pick
from gitloop.serving.journal import loggable

TRUTH, ROW = "truth", "row"  # names in the configuration
ID, AT = "prediction_id", "predicted_at"  # in a task's data, which every export repeats
Row = Mapping[str, Any]  # of `gitloop.serving.history.schema`


def configuration(contract: Contract, classes: Sequence[str]) -> str:
    """The labelling configuration: one question, of the target, and beside it the row. `classes`: none for a number."""
    target = contract.columns[contract.target]
    view = ET.Element("View")
    ET.SubElement(view, "Header", value=_titled(contract, contract.target))
    asked = {"name": TRUTH, "toName": ROW, "required": "true"}
    if contract.task == "regression":
        low, high = target.range or (None, None)
        bounds = {"min": low, "max": high}
        ET.SubElement(view, "Number", asked | {name: repr(one) for name, one in bounds.items() if one is not None})
    else:
        choices = ET.SubElement(view, "Choices", asked | {"choice": "single", "showInline": "true"})
        for one in classes:
            ET.SubElement(choices, "Choice", value=one)
    ET.SubElement(view, "Table", name=ROW, value=f"${ROW}")
    for key, name in _texts(contract).items():
        ET.SubElement(view, "Header", value=_titled(contract, name))
        ET.SubElement(view, "Text", name=key, value=f"${key}")
    ET.indent(view)
    return ET.tostring(view, encoding="unicode") + "\n"


def task(row: Row, pick: Pick, contract: Contract, show: bool) -> dict[str, Any]:
    """One task. Personal data is not in the log, and is not taken from it where it once was none."""
    texts = _texts(contract)
    cells = {
        _labelled(contract, name): _cell(row[name])
        for name in loggable(contract.columns)
        if name != contract.target and name not in texts.values() and row[name] is not None
    }
    time = row["_time"].replace(tzinfo=UTC).isoformat()
    made: dict[str, Any] = {
        "data": {ID: row["_id"], AT: time, ROW: cells} | {key: row[name] or "" for key, name in texts.items()},
        "meta": {ID: row["_id"], "version": row["_version"], "picked": pick.why, "why": pick.words},
    }
    if show and row["_prediction"] is not None:
        made["predictions"] = [_prediction(row, contract)]
    return made


def _prediction(row: Row, contract: Contract) -> dict[str, Any]:
    said = row["_prediction"]
    number = contract.task == "regression"
    value = {"number": said} if number else {"choices": [_word(said)]}
    kind = "number" if number else "choices"
    return {
        "model_version": row["_version"],
        "result": [{"from_name": TRUTH, "to_name": ROW, "type": kind, "value": value}],
    }


def _word(value: Any) -> str:
    return value if isinstance(value, str) else str(value).lower()


def _cell(value: Any) -> Any:
    """Label Studio's table shows text and numbers, and nothing of what is true or false."""
    if isinstance(value, bool):
        return _word(value)
    return value.isoformat() if isinstance(value, datetime) else value


def _texts(contract: Contract) -> dict[str, str]:
    """Columns that are too long for a cell, by a name that a variable may have."""
    names = [name for name in loggable(contract.columns) if contract.columns[name].type == "text"]
    return {f"text{index}": name for index, name in enumerate(names, 1)}


def _labelled(contract: Contract, name: str) -> str:
    unit = contract.columns[name].unit
    return f"{name} ({unit})" if unit else name


def _titled(contract: Contract, name: str) -> str:
    about = contract.columns[name].description
    return f"{_labelled(contract, name)}: {about}" if about else _labelled(contract, name)


@dataclass(frozen=True)
class Answer:
    """One annotation. `value` is None where it has none of the question; `wrong` says why it cannot be read."""

    task: str  # as messages name it
    id: Any  # of the prediction
    at: Any  # when that was made
    time: Any  # when somebody answered, ISO 8601
    value: Any = None  # text or a number
    wrong: str = ""
    skipped: bool = False
    settled: bool = False  # marked as ground truth


def answers(task: Any, number: int) -> Iterator[Answer]:
    """The annotations of the entry `number`, from 1, of an export; none where nobody has answered."""
    if not isinstance(task, dict):
        yield Answer(f"entry {number}", None, None, None, wrong="is no task; export as JSON or JSON-MIN")
        return
    name = f"task {task['id']}" if isinstance(task.get("id"), int) else f"entry {number}"
    if "annotations" not in task:
        if task.get("annotation_id") is not None or TRUTH in task:
            value, wrong = _flat(task.get(TRUTH))
            yield Answer(name, task.get(ID), task.get(AT), _when(task), value, wrong)
        elif ID not in task:
            yield Answer(name, None, None, None, wrong="is no task of Label Studio's; export as JSON or JSON-MIN")
        return
    data = task["data"] if isinstance(task.get("data"), dict) else {}
    for one in task["annotations"] if isinstance(task["annotations"], list) else []:
        if not isinstance(one, dict):
            yield Answer(name, data.get(ID), data.get(AT), None, wrong="has an annotation that is none")
            continue
        value, wrong = _chosen(one.get("result"))
        skipped, settled = (one.get(flag) is True for flag in ("was_cancelled", "ground_truth"))
        yield Answer(name, data.get(ID), data.get(AT), _when(one), value, "" if skipped else wrong, skipped, settled)


def _when(one: Mapping[str, Any]) -> Any:
    return one.get("updated_at") or one.get("created_at")


def _chosen(result: Any) -> tuple[Any, str]:
    """The answer in an annotation's result, and what is wrong with it."""
    found = [one for one in result if isinstance(one, dict)] if isinstance(result, list) else []
    values = [one.get("value") for one in found if one.get("from_name") == TRUTH]
    return _single([value for one in values for value in _values(one)])


def _flat(said: Any) -> tuple[Any, str]:
    """The same of JSON-MIN: one choice is itself, anything else a list."""
    return _single([said] if isinstance(said, str) else [value for one in _list(said) for value in _values(one)])


def _values(one: Any) -> list[Any]:
    if not isinstance(one, dict):
        return [one]
    return [*_list(one.get("choices")), *([one["number"]] if "number" in one else [])]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value] if isinstance(value, dict) else []


def _single(values: list[Any]) -> tuple[Any, str]:
    if len(values) == 1:
        return values[0], ""
    if values:
        return None, f"has {len(values)} answers; one is asked for"
    return None, f"has no answer to `{TRUTH}`; label with the config.xml that was exported with the task"
