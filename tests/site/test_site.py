"""The page in a real browser: no request, no sideways scroll, every key works, nothing that axe finds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from browsing import GET, browsing, chromium
from lived import live

from gitloop.cli import main
from gitloop.monitoring import site_page as html
from gitloop.monitoring.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

HOSTILE = '<img src=x onerror="hacked=1"><script>hacked=1</script> {{7*7}} \u202egnp'
LARGEST = 1_000_000  # bytes, without Evidently's reports
SMALLEST = 8.5  # pixels of a letter in a chart
OPENED = "document.querySelectorAll('details').forEach(one => one.open = true)"
# Labels that leave the drawing, or lie on another of the same kind.
CROWDED = """() => {
  const wrong = [];
  for (const svg of document.querySelectorAll('svg[role=img]')) {
    if (!svg.getClientRects().length) continue;
    const frame = svg.getBoundingClientRect();
    const texts = [...svg.querySelectorAll('text')].map(one => [one, one.getBoundingClientRect()]);
    for (const [one, box] of texts)
      if (box.left < frame.left - 2 || box.right > frame.right + 2) wrong.push('outside: ' + one.textContent);
    for (const kind of ['label', 'mark', 'inside']) {
      const same = texts.filter(([one]) => one.classList.contains(kind));
      for (const [one, a] of same) for (const [two, b] of same)
        if (one !== two && Math.abs(a.top - b.top) < 5 && a.left < b.right - 1 && b.left < a.right - 1)
          wrong.push('overlap: ' + one.textContent + ' ' + two.textContent);
    }
  }
  return wrong;
}"""


def made(folder: Path, stock: dict[str, Any], versions: int, windows: int) -> Path:
    """The page of a repository in which names were chosen badly."""
    if chromium() is None:
        pytest.skip(GET)
    life = live(folder, stock, versions, windows, subject=HOSTILE)
    before = Path.cwd()
    os.chdir(life.clone)
    try:
        life.proposed("gitloop/promote-production", HOSTILE, "gitloop:promote")
        assert main(["site"]) == 0
    finally:
        os.chdir(before)
    return life.clone / "site/index.html"


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, stock: dict[str, Any]) -> Path:
    return made(tmp_path_factory.mktemp("site"), stock, versions=30, windows=100)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory, stock: dict[str, Any]) -> Path:
    """The same parts, fewer of each: axe looks at every cell."""
    return made(tmp_path_factory.mktemp("short"), stock, versions=3, windows=10)


@pytest.fixture(scope="module")
def browser() -> Iterator[BrowserContext]:
    with browsing() as context:
        yield context


@pytest.fixture
def page(browser: BrowserContext, index: Path) -> Iterator[Page]:
    """The page opened from disk; fails where it asks for anything else, or complains."""
    opened = browser.new_page()
    asked: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("console", lambda message: asked.append(message.text))
    opened.on("pageerror", lambda error: asked.append(str(error)))
    opened.on("dialog", lambda dialog: asked.append(dialog.message))
    opened.goto(index.as_uri())
    yield opened
    assert set(asked) == {index.as_uri()}
    opened.close()


def test_it_is_small_and_inert(page: Page, index: Path) -> None:
    assert index.stat().st_size <= LARGEST
    assert page.evaluate("document.scripts.length + document.images.length") == 0
    assert page.evaluate("typeof hacked") == "undefined"
    assert "{{7*7}}" in page.inner_text("#proposals")
    assert "<script>hacked=1</script> {{7*7}} \ufffdgnp" in page.inner_text("#proposals")


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a repository in which nothing happened yet."""
    if chromium() is None:
        pytest.skip(GET)
    path = tmp_path_factory.mktemp("nothing") / "index.html"
    path.write_text(html.page(Site("A model", notes=("Open pull requests are not shown.",))), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("which", "width", "scheme"), [("short", 360, "dark"), ("short", 1280, "light"), ("nothing", 360, "light")]
)
def test_axe_finds_nothing(
    browser: BrowserContext, request: pytest.FixtureRequest, which: str, width: int, scheme: Any
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    page = browser.new_page()
    page.goto(request.getfixturevalue(which).as_uri())
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (sum(int(part) for part in dark[4:-1].split(",")) < 200) == (scheme == "dark")
    page.evaluate(OPENED)
    found = Axe().run(page).response["violations"]
    page.close()
    assert [(one["id"], node["html"][:200]) for one in found for node in one["nodes"]] == []


@pytest.mark.parametrize("width", [320, 360, 735, 736, 1280])
def test_it_fits_every_screen(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.evaluate(OPENED)
    scroll = "[document.scrollingElement.scrollWidth, document.scrollingElement.clientWidth]"
    assert page.evaluate(scroll) == [width, width]
    shown = "kind => [...document.querySelectorAll(`.chart svg.${kind}`)].filter(one => one.getClientRects().length)"
    kinds = {kind: page.evaluate(f"kind => ({shown})(kind).length", kind) for kind in ("wide", "narrow")}
    assert kinds == ({"wide": 3, "narrow": 0} if width >= 736 else {"wide": 0, "narrow": 3})
    scales = page.evaluate(
        "[...document.querySelectorAll('svg[role=img]')].filter(one => one.getClientRects().length)"
        ".map(one => 11 * one.getBoundingClientRect().width / one.viewBox.baseVal.width)"
    )
    assert min(scales) >= SMALLEST
    assert page.evaluate(CROWDED) == []


def test_every_key_works(page: Page) -> None:
    """Skip link first, then everything in the order of the document, each seen when it has the focus."""
    page.set_viewport_size({"width": 1280, "height": 800})
    page.keyboard.press("Tab")
    where = (
        "(() => { const one = document.activeElement; return [one.textContent, one.getBoundingClientRect().left] })()"
    )
    words, left = page.evaluate(where)
    assert words == "Skip to the content"
    assert left >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.querySelector('main').contains(document.activeElement)")
    page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
    page.goto(page.url.partition("#")[0])
    step = """() => {
      const one = document.activeElement, style = getComputedStyle(one), before = window.before;
      const ordered = !before || Boolean(before.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING);
      window.before = one;
      return one === document.body ? null : [one.tagName, one.textContent.slice(0, 40), ordered, style.outlineStyle];
    }"""
    seen = []
    for _ in range(80):
        page.keyboard.press("Tab")
        if (at := page.evaluate(step)) is None:
            break
        seen.append(at)
    assert [one for one in seen if not one[2] or one[3] == "none"] == []
    assert [one[1] for one in seen if one[0] == "A"][:3] == ["Skip to the content", "Now", "Versions"]
    assert sum(one[0] == "SUMMARY" for one in seen) >= 8
    # A folded table opens by its key.
    page.focus("#versions summary")
    page.keyboard.press("Enter")
    assert page.is_visible("#versions table")


def test_a_screen_reader_finds_its_way(page: Page) -> None:
    tree = page.locator("body").aria_snapshot()
    for words in ("- banner:", '- navigation "On this page":', "- main:", "- contentinfo:", '- region "Decisions":'):
        assert words in tree, words
    assert '- img "roc_auc by window"' in tree
    assert tree.count('- img "') == 3  # one of each two widths
    assert tree.index('- heading "Late flights" [level=1]') < tree.index('- heading "Now" [level=2]')
