"""What happens between a request that was read and its answer: score, log, count. Knows nothing of BentoML or HTTP."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel

from gitloop.arrays import Array, Columns
from gitloop.errors import GitloopError
from gitloop.serving.answer import outcomes, record
from gitloop.serving.batching import Batcher
from gitloop.serving.journal import Journal
from gitloop.serving.request import Rows, names
from gitloop.serving.runtime import Served
from gitloop.serving.tally import NAME, Tally, refused
from gitloop.settings import Serving

if TYPE_CHECKING:  # loads prometheus_client, which BentoML must set up first, and SQLAlchemy
    from gitloop.serving.meters import Meters
    from gitloop.serving.shipper import Shipper

DIRECT = 32  # rows that a compiled model scores faster than a thread takes them over


class Reply(NamedTuple):
    status: int
    body: Any


def refusal(problems: list[dict[str, str]], status: int = 400) -> Reply:
    return Reply(status, {"error": "refused", "problems": problems})


class Desk:
    """One model, its log and its counters, in one process."""

    def __init__(self, served: Served, serving: Serving, meters: Meters, tally: Tally | None = None) -> None:
        """`tally`: of the requests, to be kept in the log."""
        self.served, self._most, self._meters, self._tally = served, serving.max_rows, meters, tally
        self._names = frozenset(names(served.signature))
        self._rows = Rows(served.signature)
        self._journal: Journal | None = None
        self._shipper: Shipper | None = None
        if (log := serving.log) is not None:
            if log.url or log.url_env:
                from gitloop.serving.shipper import Shipper

                self._shipper = Shipper(log)
            self._journal = Journal(log, tick=self._measure)
        quick = served.signature.format == "onnx"
        self._batcher: Callable[[Columns], Awaitable[Array]] | None = None if quick else Batcher(served.scores)

    async def predict(self, row: BaseModel) -> Reply:
        """The answer to one row."""
        reply = await self._answer("predict", [row])
        return reply if reply.status != 200 else Reply(200, reply.body[0])

    async def predict_batch(self, rows: Sequence[BaseModel]) -> Reply:
        """The answers to rows, in their order; of all or of none."""
        if len(rows) > self._most:
            problem = f"has {len(rows):,} rows; send at most {self._most:,} at a time"
            return self.refuse("predict_batch", [{"field": "rows", "problem": problem}])
        return await self._answer("predict_batch", rows) if rows else Reply(200, [])

    def feedback(self, id: str, truth: Any) -> Reply:
        """Keep what came true of a prediction."""
        if self._journal is None:
            return refusal([{"field": "request", "problem": "no log is kept here (conf/serving/: log: null)"}], 409)
        truth = truth.isoformat() if isinstance(truth, datetime) else truth
        line = {"id": id, "time": datetime.now(UTC).isoformat(), "truth": truth}
        if not self._journal.write("feedback", [line]):
            self._meters.dropped(1)
            return refusal([{"field": "request", "problem": "the log cannot be written; send it again later"}], 503)
        self._meters.told()
        return Reply(200, {"id": id, "kept": True})

    def refuse(self, endpoint: str, problems: list[dict[str, str]]) -> Reply:
        """Count a request that did not get here."""
        self._meters.refused(endpoint)
        refused(problems, self._names)
        return refusal(problems)

    def _measure(self) -> None:
        if self._journal is not None:
            self._meters.log(self._journal.health, self._shipper.health if self._shipper else None)
            self._keep(self._journal)

    def _keep(self, journal: Journal, whole: bool = False) -> None:
        """Write down the counts of the minutes that are over, or of all."""
        if self._tally is not None and (lines := self._tally.lines(self.served.version, whole)):
            self._meters.dropped(len(lines) - journal.write(NAME, lines))

    def close(self) -> None:
        if self._journal is not None:
            self._keep(self._journal, whole=True)
            self._journal.close()
        if self._shipper is not None:
            self._shipper.close()

    async def _answer(self, endpoint: str, rows: Sequence[BaseModel]) -> Reply:
        began, now = time.perf_counter(), datetime.now(UTC)
        columns = self._rows.columns(rows)
        try:
            scores = await self._scores(columns, len(rows))
        except GitloopError as error:  # of the derivation
            return self.refuse(endpoint, [{"field": "body", "problem": f"cannot be scored: {error}"}])
        seconds = time.perf_counter() - began
        said = outcomes(self.served, scores)
        if not all(said):
            wrong = [f"rows.{index}" if len(rows) > 1 else "body" for index, one in enumerate(said) if not one]
            problem = "cannot be scored: its numbers are too large for the model"
            return self.refuse(endpoint, [{"field": field, "problem": problem} for field in wrong[:20]])
        answers = [{"id": uuid.uuid4().hex, "version": self.served.version, **one} for one in said]
        self._meters.predicted([one["prediction"] for one in said], seconds)
        if self._journal is not None:
            lines = [record(one, self._rows.logged(row), now, seconds) for one, row in zip(answers, rows, strict=True)]
            self._meters.dropped(len(lines) - self._journal.write("predictions", lines))
        return Reply(200, answers)

    async def _scores(self, columns: Columns, count: int) -> Array:
        if self._batcher is not None:
            return await self._batcher(columns)
        if count <= DIRECT:
            return self.served.scores(columns)
        return await asyncio.to_thread(self.served.scores, columns)
