"""Whether too many of the last requests failed; and a pod that is a canary, which takes itself out when they did.

In a cluster nothing else need watch it: a Service sends requests to pods that are ready, and this one is not any more.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections import deque
from pathlib import Path

from gitloop.errors import InputError

TERMS = "GITLOOP_CANARY"  # of the environment: `5/100`, percent of how many requests may fail


class Failing:
    """Counts the failures among the last `requests`, of which `errors` percent may be."""

    def __init__(self, name: str, errors: float, requests: int) -> None:
        self._name, self._errors, self._requests = name, errors, requests
        self._last: deque[bool] = deque(maxlen=requests)

    def heard(self, failed: bool) -> str:
        """How a request ended; words where failures are too many, else empty.

        So many failures are too many that their share of the last `requests` is above `errors`, whatever the others
        turn out to be: what fails always is found out long before it had so many requests.
        """
        self._last.append(failed)
        bad = sum(self._last)
        if 100 * bad <= self._errors * self._requests:
            return ""
        return (
            f"{bad} of the last {len(self._last)} requests to {self._name} failed, and {self._errors:g} percent of "
            f"{self._requests} may"
        )


class Trial:
    """A service that is tried. It is not ready from the failure that is one too many, until its pod is made anew.

    All processes of the pod see the mark in its temporary folder, also after a restart of the container.
    """

    def __init__(self, failing: Failing, mark: Path) -> None:
        self._failing, self._mark = failing, mark

    def heard(self, failed: bool) -> None:
        why = self._failing.heard(failed)
        if why and self.ready():
            self._mark.write_text(why, encoding="utf-8")
            print(f"gitloop serve: {why}: this canary is not ready any more", file=sys.stderr, flush=True)

    def ready(self) -> bool:
        return not self._mark.exists()


def trial(version: str) -> Trial | None:
    """Of `$GITLOOP_CANARY`; None where the service is no canary. Raises `InputError` where it says no terms."""
    terms = os.environ.get(TERMS)
    if not terms:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)/([1-9]\d*)", terms)
    if found is None or not 0 < float(found[1]) <= 100:
        raise InputError(f"{TERMS}: {terms!r} is not as `5/100`: 5 percent of the last 100 requests may fail")
    mark = Path(tempfile.gettempdir()) / f"gitloop-canary-{os.getppid()}"
    return Trial(Failing(version, float(found[1]), int(found[2])), mark)
