"""The policy as a table: from windows to what is to be done, and why."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gitloop.cli import main
from gitloop.monitoring import findings
from gitloop.monitoring.decide import decide
from gitloop.monitoring.findings import Finding, Part, Result, Status
from gitloop.settings import Policy

FIRST = datetime(2026, 1, 5)
WEEK = timedelta(days=7)
POLICY = Policy(windows=3, needed=2, retire=3, cooling_days=14)
DRIFT = Finding("drift", "n5: drifted by 0.5 standard deviations; the bound is 0.1", "n5", 0.5, 0.1, 5000, "v1")
OTHER = Finding("drift", "n6: drifted", "n6", 0.3, 0.1, 5000, "v1")
WORSE = Finding("performance", "roc_auc is 0.61, 0.1 below the 0.71 of the test slice", None, 0.61, 0.66, 5000, "v1")
FLOOR = Finding("floor", "roc_auc is 0.5, beyond the floor of 0.55", None, 0.5, 0.55, 5000, "v1")
NULLS = Finding("missing", "n5: 40.00% are missing", "n5", 0.4, 0.1, 5000, "v1")
GONE = Finding("gone", "n7: the column is gone", "n7", 1.0, 0.0, 5000, "v1")
SLOW = Finding("latency", "5 of 100 predictions took longer than 400 ms", None, 400, 250, 5000)
LOST = Finding("volume", "100 predictions, 0.02 times the median", None, 0.02, 0.5, 100)


def window(
    number: int, *found: Finding, version: str = "v1", status: Status = "judged", start: datetime = FIRST
) -> Result:
    since = start + number * WEEK
    return Result(
        since=since.isoformat(),
        until=(since + WEEK).isoformat(),
        status=status,
        rows=5000,
        share=1.0,
        error=0.0,
        versions={version: Part(5000, status)},
        findings=tuple(found),
    )


def windows(*found: tuple[Finding, ...] | Finding | None) -> list[Result]:
    """One after the other: nothing, one finding or several."""
    return [
        window(number, *(() if one is None else one if isinstance(one, tuple) else (one,)))
        for number, one in enumerate(found)
    ]


@pytest.mark.parametrize(
    ("found", "action", "words"),
    [
        ([None], "nothing", "Nothing of the model was found in the 5,000 predictions to 2026-01-12"),
        (
            [DRIFT],
            "nothing",
            "Not in enough windows yet: n5: drifted by 0.5 standard deviations; the bound is 0.1; 2 of",
        ),
        (
            [DRIFT, DRIFT],
            "retrain",
            "N5: drifted by 0.5 standard deviations; the bound is 0.1 (found in 2 of the last 2",
        ),
        ([DRIFT, None, DRIFT], "retrain", "found in 2 of the last 3 windows"),
        ([DRIFT, DRIFT, None], "retrain", "found in 2 of the last 3 windows"),
        ([DRIFT, None, None, DRIFT], "nothing", "Not in enough windows yet"),
        ([DRIFT, OTHER], "nothing", "Not in enough windows yet: n6: drifted"),  # not the same column
        ([WORSE, (WORSE, DRIFT)], "retrain", "Roc_auc is 0.61, 0.1 below the 0.71 of the test slice (found in 2"),
        ([(WORSE, DRIFT), (DRIFT, WORSE)], "retrain", "Roc_auc is 0.61"),  # the worst first
        ([FLOOR, FLOOR], "nothing", "Nothing of the model was found"),
        ([FLOOR, FLOOR, FLOOR], "retire", "Below the floor in 3 windows in a row: roc_auc is 0.5, beyond the floor"),
        ([FLOOR, None, FLOOR, FLOOR], "nothing", ""),
        ([(WORSE, FLOOR)] * 2, "retrain", "Roc_auc"),
        ([(WORSE, FLOOR)] * 3, "retire", "Below the floor in 3 windows"),
        ([SLOW], "alert", "5 of 100 predictions took longer than 400 ms. Nothing of the model was found"),
        ([SLOW, None], "nothing", ""),  # it is over
        ([NULLS, NULLS], "alert", "N5: 40.00% are missing"),
        ([(DRIFT, NULLS)] * 2, "alert", "N5: 40.00% are missing"),  # it drifts because it is broken
        ([(DRIFT, NULLS, OTHER)] * 2, "retrain", "N6: drifted"),
        ([DRIFT, (DRIFT, GONE)], "alert", "Not retrained on broken rows (n7: the column is gone), though: N5: drifted"),
        ([DRIFT, (DRIFT, SLOW)], "retrain", "N5: drifted"),
    ],
)
def test_from_windows_to_an_action(found: list[Any], action: str, words: str) -> None:
    decision = decide(windows(*found), POLICY)
    assert (decision.action, words in decision.why) == (action, True), decision.why


def test_alerts_come_with_every_action() -> None:
    assert decide(windows(DRIFT, (DRIFT, SLOW)), POLICY).alerts == (SLOW,)
    assert decide(windows(DRIFT, (DRIFT, SLOW)), POLICY).evidence == (DRIFT,)


def test_no_window() -> None:
    assert decide([], POLICY).why == "No window has been looked at yet; run `gitloop monitor`."


def test_windows_with_too_little_in_them_do_not_count() -> None:
    known = [window(0, DRIFT), window(1, status="not enough data"), window(2, status="empty"), window(3, DRIFT)]
    assert decide(known, POLICY).action == "retrain"
    assert decide(known[:2], POLICY).action == "nothing"
    assert (
        decide(known[:2], POLICY).why == "The window to 2026-01-19T00:00:00 holds 5,000 predictions: not enough data."
    )
    lost = window(4, LOST, status="not enough data")
    assert decide([*known, lost], POLICY).action == "alert"


def test_the_order_in_which_windows_are_given_is_of_no_account() -> None:
    known = windows(None, DRIFT, DRIFT)
    assert decide(known[::-1], POLICY) == decide(known, POLICY)


def test_a_new_version_begins_anew() -> None:
    new = replace(DRIFT, version="v2")
    known = [window(0, DRIFT), window(1, DRIFT), window(2, new, version="v2")]
    assert decide(known, POLICY).action == "nothing"
    known.append(window(3, new, version="v2"))
    decision = decide(known, POLICY)
    assert (decision.action, decision.wanted) == ("retrain", "retrain")
    assert decision.windows == ("2026-01-26T00:00:00", "2026-02-02T00:00:00")
    decision = decide(known, Policy(cooling_days=15))
    assert (decision.action, decision.wanted) == ("nothing", "retrain")
    assert decision.why.startswith(
        "v2 has been in use since 2026-01-19T00:00:00, less than 15 days, though: N5: drifted"
    )


@pytest.mark.parametrize(("ago", "action"), [(7, "nothing"), (13, "nothing"), (14, "retrain"), (100, "retrain")])
def test_cooling_after_a_retraining_that_was_asked_for(ago: int, action: str) -> None:
    known = windows(DRIFT, DRIFT)
    acted = known[-1].end - timedelta(days=ago)
    decision = decide(known, POLICY, acted)
    assert (decision.action, decision.wanted) == (action, "retrain")
    assert ("A retraining was asked for after the window to" in decision.why) == (action == "nothing")
    assert decide(windows(DRIFT, (DRIFT, SLOW)), POLICY, acted).action == (
        "alert" if action == "nothing" else "retrain"
    )
    assert decide(windows(FLOOR, FLOOR, FLOOR), POLICY, acted).action == "retire"  # never too soon


def test_the_same_time_of_last_year_is_noted() -> None:
    year = timedelta(days=364)
    known = windows(DRIFT, DRIFT)
    drift, other = (replace(one, version="v0") for one in (DRIFT, OTHER))
    decision = decide([window(1, drift, other, start=FIRST - year, version="v0"), *known], POLICY)
    assert decision.action == "retrain"
    assert decision.why.endswith("A year earlier, to 2025-01-20T00:00:00, the same had drifted: n5.")
    decision = decide([window(1, other, start=FIRST - year, version="v0"), *known], POLICY)
    assert decision.season == "A year earlier, to 2025-01-20T00:00:00, it had not drifted."
    assert decide([window(1, drift, start=FIRST - 2 * year, version="v0"), *known], POLICY).season == ""


def test_the_verb_decides_the_same_when_it_is_run_again(
    params: dict[str, Any], root: Callable[[dict[str, Any]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    where = root(params)
    written = where / "reports/decision.json"
    actions = []
    for result in windows(DRIFT, DRIFT, DRIFT, DRIFT):
        findings.write(result)
        assert main(["decide"]) == 0
        first = written.read_bytes()
        assert main(["decide"]) == 0
        assert written.read_bytes() == first
        actions.append(json.loads(first)["action"])
    assert actions == ["nothing", "retrain", "nothing", "retrain"]  # two weeks of rest between
    assert "retrain: N5: drifted by 0.5 standard deviations" in capsys.readouterr().out
    assert sorted(path.name for path in (where / "reports/monitoring").iterdir())[0] == "2026-01-12T0000.json"


def test_a_broken_history_is_refused(
    params: dict[str, Any], root: Callable[[dict[str, Any]], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    where = root(params)
    assert main(["decide"]) == 0
    path = findings.write(window(0))
    path.write_text(path.read_text()[:100])
    assert main(["decide"]) == 2
    assert "2026-01-12T0000.json: is not what `gitloop monitor` writes; delete it" in capsys.readouterr().err
    path.unlink()
    (where / "reports/decision.json").write_text("{}")
    assert main(["decide"]) == 2
    assert "reports/decision.json: is not what `gitloop decide` writes" in capsys.readouterr().err


def test_what_later_versions_add_to_a_result_is_no_error() -> None:
    kept = {**findings.content(window(0, DRIFT)), "weather": "fine"}
    assert findings.parse(json.dumps(kept), "x") == window(0, DRIFT)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policy": {"needed": 4}}, "monitoring.policy: `needed` 4 of 3 `windows` can never be; lower one"),
        ({"min_rows": 5}, "monitoring.min_rows: input should be greater than or equal to 100"),
        ({"performance": {"floor": {"auc": 1}}}, "monitoring.performance.floor: 'auc' is not a metric; did you mean"),
        ({"drift": {"psi": 1}}, "conf/monitoring/default.yaml: monitoring.drift.psi: unknown key"),
    ],
)
def test_a_wrong_setting_is_named(
    change: dict[str, Any], message: str, params: dict[str, Any], template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gitloop import settings
    from gitloop.errors import InputError

    monkeypatch.chdir(template)
    params["monitoring"] = change
    with pytest.raises(InputError) as caught:
        settings.parse(params)
    assert message in str(caught.value)
