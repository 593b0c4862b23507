"""Whatever is wrong with a log, the watcher says what it is, and does not fall over."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import windows
from windows import NOW, SINCE, UNTIL, VERSION, put, records, some, truths

from gitloop.monitoring import watched
from gitloop.monitoring.decide import decide
from gitloop.monitoring.findings import Finding, Result
from gitloop.monitoring.references import Lookup, Reference
from gitloop.monitoring.watch import watch
from gitloop.settings import Policy, Settings

ROWS = 1200
Line = dict[str, Any]
Watch = Callable[..., Result]


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "predictions"


@pytest.fixture
def look(log: Path, loaded: Settings, reference: Reference) -> Watch:
    def look(lookup: Lookup = lambda _: reference, before: tuple[Result, ...] = ()) -> Result:
        assert loaded.serving.log is not None
        seen = watched.read(loaded.serving.log, loaded.data, SINCE, UNTIL, most=50_000, truth_days=30, now=NOW)
        return watch(loaded, seen, lookup, before)[0]

    return look


def lines(seed: int = 1, rows: int = ROWS, **given: Any) -> tuple[list[Line], list[Line]]:
    """Predictions and their truths, a day later."""
    columns = some(rows, seed)
    predictions = records(columns, seed, **given)
    return predictions, truths(predictions, columns)


def kinds(result: Result) -> list[tuple[str, str | None]]:
    return [(one.kind, one.column) for one in result.findings]


def only(result: Result) -> Finding:
    assert len(result.findings) == 1, [one.words for one in result.findings]
    return result.findings[0]


def each(predictions: list[Line], change: Callable[[Line], None]) -> list[Line]:
    for one in predictions:
        change(one["inputs"])
    return predictions


def test_nothing_is_wrong(log: Path, look: Watch) -> None:
    predictions, told = lines()
    put(log, "predictions", predictions)
    put(log, "feedback", told)
    result = look()
    assert result.findings == ()
    assert (result.status, result.rows, result.share) == ("judged", ROWS, 1.0)
    part = result.versions[VERSION]
    assert part.truth is not None
    assert (part.truth.rows, part.truth.coverage, part.truth.delay_hours) == (ROWS, 1.0, 24.0)
    assert set(part.columns) == set(windows.FEATURES)


def test_a_column_all_null(log: Path, look: Watch) -> None:
    put(log, "predictions", each(lines()[0], lambda row: row.update(n3=None)))
    result = look()
    assert only(result).words == f"n3: all {ROWS:,} values are missing; 100.00% of the reference has one"
    assert only(result).kind == "empty"
    assert result.versions[VERSION].left_out == {"n3": "empty"}
    assert "n3" not in result.versions[VERSION].columns


def test_a_column_gone(log: Path, look: Watch) -> None:
    put(log, "predictions", each(lines()[0], lambda row: row.pop("town")))
    one = only(look())
    assert (one.kind, one.column) == ("gone", "town")
    assert "town: the column is gone: no line of 1,200 holds it" in one.words


def test_a_column_gone_from_the_contract(log: Path, look: Watch, reference: Reference) -> None:
    put(log, "predictions", lines()[0])
    contract = reference.signature.contract
    columns = {**contract.columns, "old": contract.columns["n3"]}
    old = copy.copy(reference)
    signature = reference.signature.model_copy(update={"contract": contract.model_copy(update={"columns": columns})})
    object.__setattr__(old, "signature", signature)
    object.__setattr__(old, "rows", reference.rows.append_column("old", reference.rows.column("n3")))
    assert "old: the column is gone from the contract, so that no line holds it" in only(look(lambda _: old)).words


def test_numbers_as_text(log: Path, look: Watch) -> None:
    put(log, "predictions", each(lines()[0], lambda row: row.update(n5=str(row["n5"]))))
    result = look()
    assert only(result).words == "n5: numeric values are sent as text; they are read, but mend the sender"
    assert "n5" in result.versions[VERSION].columns


def test_text_that_is_no_number(log: Path, look: Watch) -> None:
    predictions = lines()[0]
    put(log, "predictions", each(predictions[:400], lambda row: row.update(n5="much")) + predictions[400:])
    result = look()
    assert ("type", "n5") in kinds(result)
    assert ("missing", "n5") in kinds(result)
    assert "n5: 400 of 1,200 values (33.33%) cannot be read as numeric" in result.findings[0].words


def test_a_column_of_text_alone(log: Path, look: Watch) -> None:
    put(log, "predictions", each(lines()[0], lambda row: row.update(n5="much")))
    one = only(look())
    assert (one.kind, one.column) == ("type", "n5")
    assert "n5: no value can be read as numeric (1,200 are something else)" in one.words


def test_one_value_only(log: Path, look: Watch) -> None:
    put(log, "predictions", each(lines()[0], lambda row: row.update(n5=0.0, colour="red")))
    found = kinds(look())
    assert ("constant", "n5") in found
    assert ("constant", "colour") in found


def test_more_nulls(log: Path, look: Watch) -> None:
    predictions = lines()[0]
    put(log, "predictions", each(predictions[:150], lambda row: row.update(n0=None)) + predictions[150:])
    one = only(look())
    assert (one.kind, one.column) == ("missing", "n0")
    assert "of the reference; the bound is 5.00% more" in one.words


def test_new_categories_are_counted_and_not_named(log: Path, look: Watch) -> None:
    predictions = lines()[0]
    put(log, "predictions", each(predictions[:60], lambda row: row.update(town="SECRET")) + predictions[60:])
    result = look()
    one = next(one for one in result.findings if one.kind == "unseen")
    assert "town: 5.00% of 1,200 values are of 1 categories that the reference does not have" in one.words
    assert "SECRET" not in str(result)


def test_values_that_break_the_contract(log: Path, look: Watch) -> None:
    predictions = lines()[0]
    put(log, "predictions", each(predictions[:30], lambda row: row.update(n5=-1000.0)) + predictions[30:])
    one = next(one for one in look().findings if one.kind == "contract")
    assert one.words == "n5: 30 of 1,200 values (2.50%) break the contract (below -100); rules.max_invalid is 1.00%"


@pytest.mark.parametrize("hours", [1, 25])
def test_a_clock_that_is_fast(hours: int, log: Path, look: Watch) -> None:
    """Truth comes a minute after the prediction: by that clock, before it."""
    columns = some(ROWS, 1)
    predictions = records(columns, since=SINCE - timedelta(hours=hours))
    told = truths(predictions, columns, hours=1 / 60)
    for one in predictions:
        one["time"] = (datetime.fromisoformat(one["time"]) + timedelta(hours=hours)).isoformat()
    put(log, "predictions", predictions)
    put(log, "feedback", told)
    one = only(look())
    assert one.kind == "clock"
    assert one.value == pytest.approx(hours - 1 / 60)
    assert "truths (100.00%) were told before their prediction was made" in one.words


def test_predictions_of_the_future(log: Path, loaded: Settings, reference: Reference) -> None:
    put(log, "predictions", lines()[0])
    assert loaded.serving.log is not None
    now = UNTIL - timedelta(hours=12)
    seen = watched.read(loaded.serving.log, loaded.data, SINCE, UNTIL, most=50_000, truth_days=30, now=now)
    assert (
        "predictions (7.08%) are of the future: a clock is wrong"
        in only(watch(loaded, seen, lambda _: reference)[0]).words
    )


def test_lines_that_are_there_twice(log: Path, look: Watch) -> None:
    predictions, told = lines()
    put(log, "predictions", predictions)
    put(log, "predictions", predictions[:300], of="again-2")
    put(log, "feedback", told + told)
    result = look()
    assert only(result).kind == "repeated"
    assert "300 of 1,500 (20.00%) lines repeat the id of another" in only(result).words
    assert result.rows == ROWS


def test_truth_of_ids_that_were_never_predicted(log: Path, look: Watch) -> None:
    predictions, told = lines()
    put(log, "predictions", predictions)
    put(log, "feedback", told)
    put(log, "feedback", [{**one, "id": f"{index:032x}"} for index, one in enumerate(told[:300])])
    one = only(look())
    assert one.kind == "unknown"
    assert "300 of " in one.words
    assert "truths were told of ids never predicted" in one.words


def test_truth_of_the_window_before_is_not_unknown(log: Path, look: Watch) -> None:
    predictions, told = lines(since=SINCE - timedelta(days=7))
    put(log, "predictions", predictions)
    for one in told:
        one["time"] = (datetime.fromisoformat(one["time"]) + timedelta(days=6)).isoformat()
    put(log, "feedback", told)
    put(log, "predictions", lines(seed=2)[0])
    assert look().findings == ()


def test_truth_that_contradicts_itself(log: Path, look: Watch) -> None:
    predictions, told = lines()
    put(log, "predictions", predictions)
    put(log, "feedback", told)
    put(log, "feedback", [{**one, "truth": not one["truth"]} for one in told[:100]])
    one = only(look())
    assert one.kind == "contradicted"
    assert "100 of 1,200 (8.33%) predictions have more than one truth" in one.words


def test_two_versions_each_with_its_own_reference(log: Path, look: Watch, reference: Reference) -> None:
    """The second was trained on rows in which n5 had moved already; and so had what it is asked."""
    columns = some(ROWS, 2)
    windows.shift(columns, "n5", 1.0)
    put(log, "predictions", lines()[0])
    put(log, "predictions", records(columns, 2, "v1.1.0"))
    moved = windows.reference(change=lambda train: windows.shift(train, "n5", 1.0))
    result = look(lambda version: {VERSION: reference, "v1.1.0": moved}[version])
    assert result.findings == ()
    assert {name: part.rows for name, part in result.versions.items()} == {VERSION: ROWS, "v1.1.0": ROWS}
    result = look()
    assert [(one.kind, one.column, one.version) for one in result.findings] == [("drift", "n5", "v1.1.0")]


def test_a_version_whose_reference_is_not_here(log: Path, look: Watch) -> None:
    put(log, "predictions", lines()[0])
    result = look(lambda _: None)
    assert only(result).kind == "reference"
    assert "v1.0.0: what it was trained on is not here; run `gitloop fetch v1.0.0`" in only(result).words


def test_an_empty_log(log: Path, look: Watch) -> None:
    result = look()
    assert (result.status, result.rows, result.findings) == ("empty", 0, ())
    log.mkdir()
    (log / "predictions-2026-11-02T00-here-1.jsonl").touch()
    assert look().status == "empty"


def test_too_few_predictions_are_never_an_alarm(log: Path, look: Watch) -> None:
    columns = some(499, 1)
    for name in windows.FEATURES:
        windows.shift(columns, name, 0.5)
    put(log, "predictions", records(columns))
    result = look()
    assert (result.status, result.findings) == ("not enough data", ())
    assert result.versions[VERSION].status == "not enough data"


def test_a_broken_file(log: Path, look: Watch) -> None:
    predictions, told = lines()
    put(log, "predictions", predictions)
    put(log, "feedback", told)
    (log / "predictions-2026-11-03T05-there-9.jsonl").write_bytes(np.random.default_rng(0).bytes(100_000))
    (log / "predictions-2026-11-03T06-there-9.jsonl").write_bytes(b"\0" * 5000)
    (log / "feedback-2026-11-03T06-there-9.jsonl").mkdir()
    (log / "predictions-2026-11-03T07-there-9.jsonl").write_text(json.dumps(predictions[0])[:200])
    result = look()
    assert [one.kind for one in result.findings] == ["broken"] * 3
    assert "predictions-2026-11-03T05-there-9.jsonl: this file of the log holds no line that can be read" in str(
        result.findings
    )
    assert result.rows == ROWS


def test_torn_lines_beyond_the_bound(log: Path, look: Watch) -> None:
    put(log, "predictions", lines()[0])
    torn = '{"id": "x", "ti\n' * 50
    with (log / "predictions-2026-11-03T05-there-9.jsonl").open("w") as file:
        file.write(torn)
    one = only(look())
    assert one.words == "50 of 1,250 (4.00%) lines are torn or hold no prediction; the bound is 1.00%"


def test_slow_answers(log: Path, look: Watch) -> None:
    predictions = lines()[0]
    for one in predictions[::10]:
        one["latency_ms"] = 400.0
    put(log, "predictions", predictions)
    result = look()
    assert only(result).words == "5 of 100 predictions took longer than 400 ms; the bound is 250 ms"
    assert result.latency_ms == {"p50": 2.0, "p95": 400.0, "p99": 400.0}


def test_silence_at_the_end(log: Path, look: Watch) -> None:
    put(log, "predictions", [one for one in lines()[0] if one["time"] < "2026-11-07"])
    one = only(look())
    assert one.kind == "stale"
    assert "no prediction in the last 48" in one.words


def test_far_fewer_predictions_than_usual(log: Path, look: Watch) -> None:
    put(log, "predictions", lines()[0])
    usual = look()
    before = tuple(
        Result(**{**vars(usual), "since": (SINCE - ago).isoformat(), "until": (UNTIL - ago).isoformat(), "rows": 5000})
        for ago in (timedelta(days=14), timedelta(days=7))
    )
    one = only(look(before=before))
    assert one.words == (
        "1,200 predictions, 0.24 times the median of the 2 windows before (5,000); allowed is 0.5 to 2 times"
    )
    assert look(before=before[:1]).findings == ()


def test_truth_that_is_no_value_of_the_target(log: Path, look: Watch) -> None:
    predictions, told = lines()
    put(log, "predictions", predictions)
    put(log, "feedback", [{**one, "truth": "perhaps"} for one in told[:100]] + told[100:])
    result = look()
    assert result.versions[VERSION].truth is not None
    assert result.versions[VERSION].truth.rows == ROWS - 100
    assert [one.words for one in result.findings] == [
        "won: 100 of 1,200 truths (8.33%) cannot be read as boolean; they are left out, rules.max_invalid is 1.00%"
    ]


def test_times_beyond_belief(log: Path, look: Watch) -> None:
    predictions = lines()[0]
    for index, time in enumerate(["", "yesterday", "9999-12-31T23:59:59+00:00", "0001-01-01T00:00:00+00:00", None]):
        predictions[index]["time"] = time
    put(log, "predictions", predictions[5:])
    with (log / "predictions-2026-11-02T00-there-9.jsonl").open("w") as file:
        file.writelines(json.dumps(one) + "\n" for one in predictions[:5])
    assert look().rows == ROWS - 5


def test_a_large_window_is_drawn_from_and_says_so(log: Path, loaded: Settings, reference: Reference) -> None:
    """What repeats or contradicts is drawn with what it belongs to."""
    predictions, told = lines(rows=20_000)
    put(log, "predictions", predictions)
    put(log, "predictions", predictions[:4000], of="again-2")
    put(log, "feedback", told)
    put(log, "feedback", [{**one, "truth": not one["truth"]} for one in told[:2000]])
    assert loaded.serving.log is not None
    seen = watched.read(loaded.serving.log, loaded.data, SINCE, UNTIL, most=4000, truth_days=30, now=NOW)
    result, _ = watch(loaded, seen, lambda _: reference)
    assert seen.rows.num_rows == pytest.approx(20_000 * seen.share, rel=0.1)
    assert result.rows == pytest.approx(20_000, rel=0.1)
    assert result.error == pytest.approx(0.98 / seen.rows.num_rows**0.5)
    assert sorted({one.kind for one in result.findings}) == ["contradicted", "repeated"]
    shares = {one.kind: one.value for one in result.findings}
    assert shares["repeated"] == pytest.approx(4000 / 24_000, abs=0.03)
    assert shares["contradicted"] == pytest.approx(0.1, abs=0.03)
    part = result.versions[VERSION]
    assert part.truth is not None
    assert part.truth.coverage == 1.0


def requests(*of: tuple[int, str, int]) -> list[Line]:
    """Status, reason and count of the requests of one minute in each hour of a day."""
    return [
        {
            "id": f"{hour:016x}{number:016x}",
            "time": (SINCE + timedelta(hours=hour)).replace(tzinfo=UTC).isoformat(),
            "version": VERSION,
            "endpoint": "predict",
            "status": status,
            "reason": reason,
            "count": count,
        }
        for hour in range(24)
        for number, (status, reason, count) in enumerate(of)
    ]


def test_requests_that_fail_and_that_are_refused(log: Path, look: Watch) -> None:
    put(log, "predictions", lines()[0])
    put(log, "requests", requests((200, "", 50), (400, "n5: is missing; give a value", 5), (500, "an error", 2)))
    result = look()
    assert result.requests == {"count": 1368, "refused": 120, "failed": 48}
    found = {one.kind: one for one in result.findings}
    assert found.keys() == {"failed", "refused"}
    assert (
        found["refused"].words == "120 of 1,368 (8.77%) requests were refused, most with 400 n5: is missing; give a "
        "value; the bound is 1.00%"
    )
    assert found["failed"].words == ("48 of 1,368 (3.51%) requests failed, most with 500 an error; the bound is 1.00%")


def test_a_few_refusals_are_none(log: Path, look: Watch) -> None:
    put(log, "predictions", lines()[0])
    put(log, "requests", requests((200, "", 500), (400, "n5: is missing; give a value", 5)))
    assert look().findings == ()


def test_where_all_is_refused_there_is_no_prediction_and_it_is_said(log: Path, look: Watch) -> None:
    put(log, "requests", requests((400, "n5: is missing; give a value", 50)))
    result = look()
    assert result.status == "empty"
    assert only(result).kind == "refused"
    decision = decide([result], Policy())
    assert decision.action == "alert"
    assert decision.why.startswith("1,200 of 1,200 (100.00%) requests were refused, most with 400 n5: is missing")


def test_nothing_of_a_row_is_kept(log: Path, look: Watch) -> None:
    predictions = each(lines()[0], lambda row: row.update(town="SECRET", mail="SECRET"))
    put(log, "predictions", predictions)
    assert "SECRET" not in str(look())
