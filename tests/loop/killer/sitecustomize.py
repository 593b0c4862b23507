"""On PYTHONPATH this kills a stage's whole process group, DVC with it, when a file is written but has no name yet.

GITLOOP_KILL is `<verb>:<n>`: at the n-th file that the verb writes.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

verb, _, nth = os.environ.get("GITLOOP_KILL", "").partition(":")
if verb and any(Path(part).name == "gitloop" for part in sys.orig_argv) and verb in sys.orig_argv:
    from gitloop import files

    original = files.whole
    left = [int(nth)]

    @contextmanager
    def deadly(path: Path) -> Iterator[Path]:
        with original(path) as temporary:
            yield temporary
            left[0] -= 1
            if not left[0]:
                os.killpg(os.getpgrp(), signal.SIGKILL)

    files.whole = deadly
