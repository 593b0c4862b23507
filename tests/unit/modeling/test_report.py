"""`gitloop report` of each task, from what `gitloop evaluate` wrote, and Markdown that no name can break."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from gitloop import layout
from gitloop.cli import main
from gitloop.files import write_json
from gitloop.modeling.report import Section, escaped, markdown
from gitloop.settings import Settings

Study = Callable[..., Settings]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_the_report_of_each_task(task: str, study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    loaded = study(task)
    assert main(["evaluate"]) == 0
    write_json(layout.SOURCE, {"rows": 569, "sha256": "fb07b57a"})
    write_json(layout.VALIDATION, {"rows": 569, "invalid": 3, "duplicates": 1})
    write_json(layout.SPLIT, {"rows": {"train": 398, "test": 171}})
    capsys.readouterr()
    assert main(["report"]) == 0
    shown, written = capsys.readouterr().out, layout.REPORT.read_text()
    evaluation = json.loads(layout.EVALUATION.read_text())
    value = f"{evaluation['metrics'][loaded.data.metric]['value']:.4g}"
    for text in (shown, written):
        assert value in text
        assert "fb07b57a" in text
        assert "reports/plots" in text
        assert "north" in text
        assert "linear has the best cross-validated value." in text
    assert "| rows set aside | 3 |" in written
    assert "| training rows | 398 |" in written
    assert written.startswith("## ➖ study: linear is not judged yet; run ")
    assert "### Gates" not in written
    assert "<b>Fairness</b>" in written
    titles = [line for line in written.splitlines() if line.startswith("### ")]
    assert titles == ["### Metrics", "### Candidates", "### Charts", "### Where to look"]
    assert written.count("```mermaid") == 3


def test_failed_gates_stand_first(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    study("binary", lambda values: values["gates"].update(floor={"roc_auc": 1.0}))
    assert main(["evaluate"]) == 0
    assert main(["gate"]) == 1
    capsys.readouterr()
    assert main(["report"]) == 0  # a report is no judge
    written = layout.REPORT.read_text()
    assert written.splitlines()[0] == "## ❌ study: not to be merged: 1 gate failed (floor roc_auc)"
    assert "| ❌ | floor roc_auc |" in written
    assert "not to be merged" in capsys.readouterr().out
    again = layout.REPORT.read_bytes()
    main(["report"])
    assert layout.REPORT.read_bytes() == again


def test_the_window_is_said(study: Study) -> None:
    def window(values: dict[str, Any]) -> None:
        values["data"]["window"] = {"since": "2020-01-01", "until": None}

    study("regression", window)
    assert main(["evaluate"]) == 0
    assert main(["report"]) == 0
    assert "| window (UTC) | 2020-01-01 00:00:00 to … |" in layout.REPORT.read_text()


def test_before_anything_ran_it_says_what_to_run(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    study("binary")
    assert main(["report"]) == 2
    assert "metrics/evaluation.json: not there; run `gitloop evaluate` first" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    [
        "|<img src=x>|",
        "`$(id)`",
        "a\nb",
        "**bold** _it_ [x](http://e.org)",
        "@everyone #1",
        "&lt;b&gt;",
        "\\| x",
        "~~a~~",
    ],
)
def test_no_name_breaks_a_table(name: str) -> None:
    lines = markdown(name, [Section(name, [name, "x"], [[name, 1.5], [None, True]], name)]).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert len(rows) == 4
    assert [row.replace("&#124;", "").count("|") for row in rows] == [3, 3, 3, 3]
    assert len([line for line in lines if line.startswith("#")]) == 2
    text = escaped(name)
    assert not set("<>`*_[]|~@\\") & set(text)
    assert rows[-1] == "| – | yes |"
