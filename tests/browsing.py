"""A real Chromium without a window, which asks nobody but the pages that it is given."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

GET = (
    "Chromium is not here: `apt-get install chromium` (or put chromium, chromium-browser or google-chrome in the PATH)"
)
NAMES = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def chromium() -> str | None:
    return next((found for name in NAMES if (found := shutil.which(name))), None)


@contextmanager
def browsing() -> Iterator[BrowserContext]:
    """A browser with an empty profile. There must be one."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory(prefix="gitloop-chromium-") as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(profile, executable_path=chromium(), args=list(QUIET))
        try:
            yield context
        finally:
            context.close()
