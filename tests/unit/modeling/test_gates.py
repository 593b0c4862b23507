"""`gitloop gate`: one table, a file, and exit code 1 with a line for each rule that says no."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import yaml

from gitloop import layout
from gitloop.cli import main
from gitloop.modeling.gates import behaviour
from gitloop.settings import Settings

Study = Callable[..., Settings]


def with_gates(**gates: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values["gates"].update(gates)


def verdicts() -> dict[str, Any]:
    return {one["rule"]: one for one in json.loads(layout.GATES.read_text())["verdicts"]}


@pytest.fixture
def judged(study: Study) -> Callable[..., None]:
    def make(task: str = "binary", rows: pa.Table | None = None, **gates: Any) -> None:
        study(task, with_gates(**gates), rows)
        assert main(["evaluate"]) == 0

    return make


@pytest.fixture(autouse=True)
def lean(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pytest that judges behaviour loads no plugin of the template's own tests: a project has none of them."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def behave(text: str, folder: str = "tests/behaviour") -> None:
    Path(folder).mkdir(parents=True, exist_ok=True)
    (Path(folder) / "test_model.py").write_text(textwrap.dedent(text))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_sound_model_passes(task: str, judged: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    judged(task, fairness={"selection_rate": 0.6, "accuracy": 0.6, "mean_error": 0.6}, calibration=0.3, gap=0.5)
    assert main(["gate"]) == 0
    found = json.loads(layout.GATES.read_text())
    assert (found["candidate"], found["passed"]) == ("linear", True)
    assert {one["passed"] for one in found["verdicts"]} == {True, None}
    assert verdicts()["champion"]["why"].startswith("no champion yet")
    assert verdicts()["behaviour"]["why"] == "off"
    shown = capsys.readouterr().out
    assert all(header in shown for header in ("rule", "value", "bound", "verdict", "why"))
    assert "FAILED" not in shown


def test_every_rule_that_fails_is_said_at_once(judged: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    judged(floor={"roc_auc": 0.9999, "recall": 0.5}, baseline=0.9999, leakage=0.1)
    capsys.readouterr()
    assert main(["gate"]) == 1
    written = json.loads(layout.GATES.read_text())
    assert written["passed"] is False
    failed = [rule for rule, one in verdicts().items() if one["passed"] is False]
    assert failed == ["floor roc_auc", "baseline", "leakage"]
    caught = capsys.readouterr()
    lines = caught.err.splitlines()
    assert [line.split(": ")[1] for line in lines] == failed
    assert lines[0].startswith("gitloop gate: floor roc_auc: roc_auc 0.9")
    assert "of the test slice is worse than 0.9999" in lines[0]
    assert caught.out.count("FAILED") == 3


def test_shuffled_labels_fail(judged: Callable[..., None], rows_of: Callable[[str], pa.Table]) -> None:
    rows = rows_of("binary")
    outcome = np.random.default_rng(0).permutation(rows.column("outcome").to_numpy(zero_copy_only=False))
    spoilt = rows.set_column(rows.column_names.index("outcome"), "outcome", pa.array(outcome))
    judged(rows=spoilt, floor={"roc_auc": 0.65})
    assert main(["gate"]) == 1
    assert {"floor roc_auc", "baseline"} <= {rule for rule, one in verdicts().items() if one["passed"] is False}


GOOD = """
    def test_all_are_probabilities(columns, predict):
        assert ((predict(columns) >= 0) & (predict(columns) <= 1)).all()
"""
BAD = (
    GOOD
    + """
    import pytest

    @pytest.mark.parametrize("shift", [1, 2])
    def test_nothing_ever_matters(columns, predict, shift):
        before = predict(columns)
        for name, values in columns.items():
            if values.dtype.kind == "f":
                values += shift * 100
        assert (predict(columns) == before).all()

    def test_needs_what_is_not_there(no_such_fixture):
        pass
"""
)


def test_behaviour_is_judged_with_the_chosen_model(
    judged: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    others = {"floor": None, "fairness": None, "calibration": None, "gap": None, "leakage": None, "slice_floor": None}
    judged(behaviour="tests/behaviour", **others)
    behave(GOOD)
    assert main(["gate"]) == 0
    assert verdicts()["behaviour"]["passed"] is True
    behave(BAD)
    assert main(["gate"]) == 1
    words = (
        "test_nothing_ever_matters[1], test_nothing_ever_matters[2], test_needs_what_is_not_there failed; "
        "run `pytest tests/behaviour`"
    )
    assert (verdicts()["behaviour"]["why"], verdicts()["behaviour"]["value"]) == (words, 3)
    assert f"gitloop gate: behaviour: {words}" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "tests/behaviour has no test that ran; add one, or set gates.behaviour to null"),
        ("import pytest\ndef test_later(): pytest.skip('later')", "tests/behaviour has no test that ran; add one"),
        ("import no_such_module", "test_model failed; run `pytest tests/behaviour`"),
    ],
)
def test_behaviour_that_nothing_tests_is_refused(
    text: str, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    behave(text)
    verdict = behaviour("tests/behaviour")
    assert verdict.passed is False
    assert words in verdict.why


def test_a_missing_folder_of_tests_is_a_wrong_configuration(
    judged: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    judged(behaviour="tests/behavior")
    assert main(["gate"]) == 2
    assert "behaviour: tests/behavior is not a folder; make it, or set null" in capsys.readouterr().err


def test_stale_evidence_is_refused(judged: Callable[..., None], capsys: pytest.CaptureFixture[str]) -> None:
    judged()
    evaluation = json.loads(layout.EVALUATION.read_text())
    layout.EVALUATION.write_text(json.dumps({**evaluation, "candidate": "forest"}))
    assert main(["gate"]) == 2
    assert "metrics/evaluation.json: judges another candidate" in capsys.readouterr().err
    layout.EVALUATION.unlink()
    assert main(["gate"]) == 2
    assert "metrics/evaluation.json: not there; run `gitloop evaluate` first" in capsys.readouterr().err


def test_no_gate_no_comparison(judged: Callable[..., None]) -> None:
    """With both gates against the champion off, the champion is not looked for."""
    judged(champion=None, slice_regression=None)
    values = yaml.safe_load(layout.PARAMS.read_text())
    values["gates"] = dict.fromkeys(values["gates"])
    layout.PARAMS.write_text(yaml.safe_dump(values))
    assert main(["gate", "--champion", "no-such-revision"]) == 0
    assert {one["why"] for one in verdicts().values()} == {"off"}
