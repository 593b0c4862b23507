"""A version that is tried on a share of the requests, and gets none any more when too many of them fail."""

from __future__ import annotations

from typing import NamedTuple

from gitloop.serving.failing import Failing


class Canary(NamedTuple):
    """The version beside the one that runs, and its terms."""

    version: str
    commit: str
    percent: int  # of the requests
    errors: float  # percent of the last `requests` that may fail
    requests: int
    upstream: str = ""
    says: str = ""  # how it did when it was tried and looked at; empty until then

    def same(self, other: Canary | None) -> bool:
        """Whether the other is this version on these terms."""
        return other is not None and self[:5] == other[:5]


class Share:
    """Which requests are the canary's, as long as it does well."""

    def __init__(self, canary: Canary, why: str = "") -> None:
        self.canary = canary
        self.asked = self.failed = 0
        self.why = why  # it gets no requests any more; empty while it does
        self._due = 0
        self._failing = Failing(canary.version, canary.errors, canary.requests)

    def takes(self) -> bool:
        """Whether the next request is the canary's: of a hundred `percent`, spread evenly."""
        if self.why:
            return False
        self._due += self.canary.percent
        if self._due < 100:
            return False
        self._due -= 100
        return True

    def heard(self, failed: bool) -> bool:
        """How a request ended; whether this was the one too many."""
        self.asked, self.failed = self.asked + 1, self.failed + failed
        why = self._failing.heard(failed)
        if self.why or not why:
            return False
        self.why = why
        return True
