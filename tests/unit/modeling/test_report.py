"""`gitloop report`: what a reader needs, in the terminal and as Markdown that no name can break."""

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
    assert "## Gates" not in written
    assert "## Fairness" in written
    assert written.count("\n## ") == 6


def test_failed_gates_stand_first(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    study("binary", lambda values: values["gates"].update(floor={"roc_auc": 1.0}))
    assert main(["evaluate"]) == 0
    assert main(["gate"]) == 1
    capsys.readouterr()
    assert main(["report"]) == 0  # a report is no judge
    written = layout.REPORT.read_text()
    assert written.splitlines()[2] == "## Gates: 1 failed"
    assert "| FAILED |" in written
    assert "FAILED" in capsys.readouterr().out
    again = layout.REPORT.read_bytes()
    main(["report"])
    assert layout.REPORT.read_bytes() == again


def test_verdicts_on_another_model_are_not_shown(study: Study) -> None:
    study("binary")
    assert main(["evaluate"]) == 0
    main(["gate"])
    found = json.loads(layout.GATES.read_text())
    layout.GATES.write_text(json.dumps({**found, "sha256": "0"}))
    assert main(["report"]) == 0
    written = layout.REPORT.read_text()
    assert "## Gates: not yet checked" in written
    assert "floor" not in written


def test_the_comparison_with_the_champion_is_shown(study: Study) -> None:
    study("binary")
    assert main(["evaluate"]) == 0
    sha256 = json.loads(layout.SELECTED.read_text())["model"]["sha256"]
    both = {"champion": 0.71, "challenger": 0.735}
    comparison = {
        "judged": True,
        "champion": {"revision": "model@v0.1.0"},
        "challenger": {"sha256": sha256},
        "metric": "roc_auc",
        "rows": 1200,
        "metrics": {"roc_auc": both},
        "gain": {"value": 0.025, "low": 0.01, "high": 0.04},
        "note": "a word",
    }
    write_json(layout.COMPARISON, {"champion": comparison, "main": None})
    assert main(["report"]) == 0
    written = layout.REPORT.read_text()
    assert "## Against model&#64;v0.1.0 on 1,200 rows that neither has trained on" in written
    assert "roc_auc is better by 0.025 (0.01 to 0.04). Note: a word." in written
    assert "| roc_auc | 0.71 | 0.735 |" in written
    write_json(layout.COMPARISON, {"champion": {**comparison, "challenger": {"sha256": "0"}}, "main": None})
    assert main(["report"]) == 0
    assert "Against" not in layout.REPORT.read_text()


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
