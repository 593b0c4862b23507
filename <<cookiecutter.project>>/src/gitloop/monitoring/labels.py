"""From Label Studio's export to truths: each answer checked as the service checks what it is told. Reads no file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import ValidationError

from gitloop.contract import Contract
from gitloop.monitoring.labelstudio import ID, Answer
from gitloop.serving.request import problems, truth_type
from gitloop.serving.told import Telling

MEND = "label tasks that `gitloop label export` wrote"
EARLY = timedelta(seconds=60)  # by which an answer may precede its prediction before a clock is wrong


class Checked(NamedTuple):
    """An answer that keeps the contract."""

    answer: Answer
    at: datetime  # of the prediction, naive UTC
    telling: Telling


def checked(answers: Sequence[Answer], contract: Contract) -> tuple[list[Checked], list[str]]:
    """Answers that are no skips, and one line for each that is wrong."""
    body = truth_type(contract)
    good, wrong = [], []
    for one in answers:
        if one.skipped:
            continue
        at, time = _instant(one.at), _instant(one.time)
        said = one.wrong or _untold(one, at, time)
        truth = _typed(one.value, contract)
        if not said:
            try:
                body.model_validate({"id": one.id, "truth": truth})
            except ValidationError as error:
                said = "; ".join(_problem(found, one, contract) for found in problems(error, ("id", "truth")))
        if said or at is None or time is None:
            wrong.append(f"{one.task}: {said}")
        else:
            good.append(Checked(one, at, Telling(one.id, time, truth)))
    return good, wrong


def _untold(one: Answer, at: datetime | None, time: datetime | None) -> str:
    if one.id is None or at is None:
        return f"its data has no {ID} and time, so it is of no prediction; {MEND}"
    if time is None:
        return "its answer has no time (updated_at); export it again as JSON or JSON-MIN"
    if time < at - EARLY:
        return f"was answered at {time.isoformat()}, before it was predicted; set the clocks"
    return ""


def _typed(value: Any, contract: Contract) -> Any:
    """A choice as the target's type has it."""
    if contract.columns[contract.target].type == "boolean" and isinstance(value, str):
        return {"true": True, "false": False}.get(value, value)
    return value


def _problem(found: dict[str, str], one: Answer, contract: Contract) -> str:
    if found["field"] == "id":
        return f"{ID} is no id of a prediction; {MEND}"
    boolean = contract.columns[contract.target].type == "boolean"
    problem = "is neither true nor false" if boolean else found["problem"]
    return f"{contract.target} {repr(one.value)[:50]}: {problem}; correct it in Label Studio"


def _instant(time: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(time)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo is None else found.astimezone(UTC).replace(tzinfo=None)


def settled(good: Sequence[Checked], known: set[str]) -> tuple[list[Telling], list[str]]:
    """One truth for each prediction, in the order of their ids, and one line for each that there cannot be.

    What is marked as ground truth counts before all else; then all who answered must agree, and the first counts.
    """
    by_id: dict[str, list[Checked]] = {}
    for one in good:
        by_id.setdefault(one.telling.id, []).append(one)
    wrong = list(_unknown(by_id, known))
    found = []
    for id in sorted(set(by_id) & known):
        them = [one for one in by_id[id] if one.answer.settled] or by_id[id]
        counts = Counter(one.telling.truth for one in them)
        if len(counts) > 1:
            said = ", ".join(f"{one.answer.value} by {counts[one.telling.truth]}" for one in _each(them))
            wrong.append(
                f"{them[0].answer.task}: annotators differ ({said}); mark one as ground truth, or correct it, in "
                "Label Studio"
            )
        else:
            found.append(min((one.telling for one in them), key=lambda one: one.time))
    return found, wrong


def _each(them: Sequence[Checked]) -> list[Checked]:
    """One of each truth."""
    return list({one.telling.truth: one for one in them}.values())


def _unknown(by_id: dict[str, list[Checked]], known: set[str]) -> Iterator[str]:
    for id, them in by_id.items():
        if id not in known:
            yield (
                f"{them[0].answer.task}: the prediction log has no prediction {id} (conf/serving/: log); read the log "
                "that it was exported from, with --environment or its database"
            )
