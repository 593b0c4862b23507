"""What Prometheus is told of the model, beside what BentoML tells of the service by itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bentoml.metrics import Counter, Gauge, Histogram

from gitloop.serving.journal import Health

if TYPE_CHECKING:  # loads SQLAlchemy
    from gitloop.serving.shipper import Health as ShipperHealth

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Meters:
    """Counters of one model version. To be made once in a process, after BentoML has set up its metrics."""

    def __init__(self, version: str) -> None:
        self.version = version
        self._predictions = Counter("gitloop_predictions", "Predictions by outcome", ["version", "outcome"])
        self._refused = Counter("gitloop_refused", "Requests that broke the contract", ["version", "endpoint"])
        self._feedback = Counter("gitloop_feedback", "Truths that were sent", ["version"])
        self._dropped = Counter("gitloop_log_dropped", "Lines that the prediction log could not keep", ["version"])
        self._model = Histogram("gitloop_model_seconds", "Time in the model, by call", ["version"], buckets=SECONDS)
        gauges = {
            "bytes": "Bytes of the prediction log on this disk",
            "unsent_bytes": "Bytes of it that the database does not have yet",
            "database_down": "Whether the last try to send to the database failed",
        }
        self._log = {
            name: Gauge(f"gitloop_log_{name}", about, ["version"], multiprocess_mode="max")
            for name, about in gauges.items()
        }
        self._seconds = self._model.labels(version)
        self._outcomes: dict[str, Any] = {}

    def predicted(self, outcomes: Iterable[Any], seconds: float) -> None:
        self._seconds.observe(seconds)
        for outcome in outcomes:
            shown = "value" if isinstance(outcome, float) else str(outcome).lower()
            if shown not in self._outcomes:
                self._outcomes[shown] = self._predictions.labels(self.version, shown)
            self._outcomes[shown].inc()

    def refused(self, endpoint: str) -> None:
        self._refused.labels(self.version, endpoint).inc()

    def told(self) -> None:
        self._feedback.labels(self.version).inc()

    def dropped(self, lines: int) -> None:
        if lines:
            self._dropped.labels(self.version).inc(lines)

    def log(self, journal: Health, shipper: ShipperHealth | None) -> None:
        """Note how the log is."""
        self._log["bytes"].labels(self.version).set(journal.bytes_on_disk)
        if shipper is not None:
            self._log["unsent_bytes"].labels(self.version).set(shipper.unsent_bytes)
            self._log["database_down"].labels(self.version).set(shipper.error is not None)
