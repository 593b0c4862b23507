"""The page: how large it is, how long it takes to make, and when a browser first paints it from disk."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from pathlib import Path

import yaml
from browsing import browsing
from lived import live

from benchmarks.bench import run, say

ROOT = Path(__file__).resolve().parent.parent
SIZES = ((4, 26), (30, 100), (60, 260))  # versions, windows
TIMES = 7
BARE = "<!doctype html><html lang=en><title>x</title><p>Hello</p>"
PAINT = """() => new Promise(done => {
  const seen = () => performance.getEntriesByName('first-contentful-paint')[0];
  const wait = () => seen() ? done(seen().startTime) : setTimeout(wait, 5);
  wait();
})"""


def page() -> None:
    """To reach with 100 windows and 30 versions: at most 1 MB, first paint under 1 s."""
    os.environ |= {
        f"GIT_{role}_{what}": "x@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    params = yaml.safe_load((ROOT / "<<cookiecutter.project>>/params.yaml").read_text())
    rows: list[list[object]] = []
    with tempfile.TemporaryDirectory(prefix="gitloop-bench-") as folder:
        bare = Path(folder) / "bare.html"
        bare.write_text(BARE)
        pages = {"a page of one word": (bare, None)}
        for versions, windows in SIZES:
            where = Path(folder) / f"{versions}"
            where.mkdir()
            clone = live(where, params, versions, windows).clone
            taken = []
            for _ in range(3):
                start = time.perf_counter()
                run(clone, "gitloop", "site")
                taken.append(time.perf_counter() - start)
            name = f"{versions} versions, {windows} windows"
            pages[name] = (clone / "site/index.html", round(statistics.median(taken), 2))
        painted: dict[str, list[float]] = {name: [] for name in pages}
        with browsing() as browser:
            for _ in range(TIMES):
                for name, (path, _) in pages.items():
                    opened = browser.new_page()
                    opened.goto(path.as_uri())
                    painted[name].append(opened.evaluate(PAINT))
                    opened.close()
        for name, (path, made) in pages.items():
            rows.append([name, round(path.stat().st_size / 1000), made, round(statistics.median(painted[name]))])
    say(f"the page (first paint: median of {TIMES}, by turns)", ["what", "KB", "made in, s", "first paint, ms"], rows)
