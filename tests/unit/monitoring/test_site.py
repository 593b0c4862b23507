"""What the page shows, from values, and its HTML: the whole is there, nothing of it is executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest
from lived import CARD, evaluation, window

from gitloop.modeling.verdicts import Verdict
from gitloop.monitoring import site
from gitloop.monitoring.decide import Decision
from gitloop.monitoring.findings import Part, Result
from gitloop.monitoring.site import Lane, Proposal, Release, Site, Stay, Value
from gitloop.monitoring.site_axes import Axis, apart, axis, days, marks, seconds
from gitloop.monitoring.site_card import card
from gitloop.monitoring.site_html import escaped, link, tag
from gitloop.monitoring.site_page import page

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)> javascript:alert(3) \u202egnp.exe \ud800 \x00'
VOID = ("meta", "link", "br", "col")


class Read(HTMLParser):
    """Elements with their attributes, and what is shown. Fails where elements are not closed in their order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def says(self, words: str) -> bool:
        """However the words are spread over elements."""
        return "".join(words.split()) in "".join(self.text.split())

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [given for tag, given in self.elements if tag == name]


def records() -> Iterator[tuple[str, str | None, str]]:
    for day, version in enumerate(["v0.1.0", "v0.2.0", "v0.2.0", "v0.1.0", None, "v0.10.0"], 1):
        yield f"2026-01-{day:02}T00:00:00Z", version, "said"


def full(count: int = 12, **more: Any) -> Site:
    results = tuple(window(number, "v0.1.0" if number < 6 else "v0.10.0", 0.74) for number in range(count))
    decisions = {one.until: Decision("nothing", "Quiet.", one.until, "v0.1.0") for one in results}
    if count > 7:
        decisions[results[7].until] = Decision("retrain", "Temp drifted.", results[7].until)
    given = {
        "name": "Late flights",
        "commit": "a" * 40,
        "when": "2026-04-01T10:00:00Z",
        "metric": "roc_auc",
        "floor": 0.6,
        "releases": (
            Release("v0.1.0", "2026-01-01T00:00:00Z", "a" * 40, test=Value(0.74, 0.73, 0.75), metric="roc_auc"),
            Release("v0.10.0", "2026-02-16T00:00:00Z", "b" * 40, "Retrain", "Ada", card=CARD),
        ),
        "lanes": (Lane("production", "v0.10.0", site.stays(records())), Lane("staging", "newest")),
        "windows": results,
        "decisions": decisions,
        "evaluation": evaluation(1),
        "fairness_bounds": {"selection_rate": 0.2, "true_positive_rate": 0.1},
        "verdicts": (Verdict("gap", 0.3, "≤", 0.2, False, "less freedom"), Verdict("floor", 0.7, "≥", 0.6, True)),
        "proposals": (Proposal(3, "Retrain with data until 2026-04-01", ("gitloop:retrain",), "https://x.test/3"),),
    }
    return Site(**(given | more))


def test_what_happened_in_an_environment_is_told_by_the_version_before() -> None:
    found = site.stays(records())
    assert [(one.move, one.version, one.was) for one in found] == [
        ("deployed", "v0.1.0", None),
        ("promoted", "v0.2.0", "v0.1.0"),
        ("deployed again", "v0.2.0", "v0.2.0"),
        ("rolled back", "v0.1.0", "v0.2.0"),
        ("taken down", None, "v0.1.0"),
        ("promoted", "v0.10.0", None),  # ten is more than two
    ]
    assert [one.until for one in found] == [*(f"2026-01-{day:02}T00:00:00Z" for day in range(2, 7)), None]


def test_a_commit_that_is_no_version_any_more_is_told_as_one() -> None:
    (one,) = site.stays([("2026-01-01T00:00:00Z", "0123456789", "")])
    assert (one.version, one.move) == ("0123456789", "deployed")


def test_windows_are_bounded() -> None:
    known, older = site.shown([window(number % 3, "v0.1.0", 0.7) for number in range(site.MOST + 5)])
    assert (len(known), older) == (site.MOST, 5)
    assert "5 windows more, which are older, are on branch monitoring" in Read(page(full(older=5))).text


def test_what_a_version_reached_on_its_test_slice_is_known_from_the_version_too() -> None:
    found = full()
    bare = replace(found.windows[0], versions={"v0.1.0": Part(5000, "judged")})
    assert (found.live(bare), found.tested(bare), site.share(bare)) == (None, 0.74, None)
    assert found.tested(replace(bare, versions={"v9.0.0": Part(5000, "judged")})) is None


def test_everything_is_on_the_page() -> None:
    found = Read(page(full()))
    for words in (
        "production v0.10.0",
        "staging none nothing was deployed yet; main asks for v0.10.0",
        "rolled back",
        "taken down",
        "▲ retrain",
        "Retrain with data until 2026-04-01 #3 retrain",
        "✕ failed",
        "carrier = 9E",
        "in the last window",
        "Trained on rows from 2013-01-01",
        "2 of 14",
    ):
        assert found.says(words), words
    # Charts say in words what they show, and each has its numbers in a table.
    titles = [given["aria-labelledby"] for given in found.all("svg") if given.get("role") == "img"]
    assert titles == [f"{name}-{kind}-t" for name in ("timeline", "quality", "drift") for kind in ("wide", "narrow")]
    ids = [given["id"] for _, given in found.elements if "id" in given]
    assert len(ids) == len(set(ids))
    described = {given["aria-describedby"] for given in found.all("svg") if "aria-describedby" in given}
    assert described <= set(ids)
    assert len(found.all("caption")) == len(found.all("table"))
    assert {given.get("scope") for given in found.all("th")} == {"col", "row"}
    levels = [int(name[1]) for name, _ in found.elements if name[0] == "h" and name[1:].isdigit()]
    assert levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page(full()) == page(full())


def test_what_is_long_is_folded_and_nothing_of_it_is_lost() -> None:
    words = " ".join(f"sentence-{number}." for number in range(60))
    found = full()
    read = Read(page(replace(found, decisions={found.windows[-1].until: Decision("retrain", words)})))
    assert read.text.count("sentence-") == 60
    first = read.text.index("sentence-0.")
    assert read.text[first:].split(" … ")[0].endswith("sentence-15.")


@pytest.mark.parametrize("hostile", [HOSTILE, "</style><script>alert(1)</script>", "&lt;b&gt;", "a\u2028b"])
def test_text_from_outside_stays_text(hostile: str) -> None:
    """Of a pull request, a commit, a tag, a category, a window, a decision, an environment, a card."""
    base = full(3)
    results = tuple(
        replace(one, versions={hostile: next(iter(one.versions.values()))}, until=one.until) for one in base.windows
    )
    values = evaluation(1)
    values["slices"] = {hostile: {hostile: {"rows": 5, "metrics": {"roc_auc": 0.5}}}}
    values["fairness"] = {hostile: values["fairness"]["origin"]}
    found = full(
        3,
        name=hostile,
        description=hostile,
        owner=hostile,
        contact=hostile,
        windows=results,
        decisions={one.until: Decision("alert", hostile) for one in results},
        releases=tuple(
            replace(
                one, subject=hostile, author=hostile, trained=hostile, model=hostile, card=f"# {hostile}\n\n{hostile}"
            )
            for one in base.releases
        ),
        lanes=(Lane(hostile, hostile, (Stay(hostile, "deployed", "2026-01-01T00:00:00Z", None, hostile, hostile),)),),
        evaluation=values,
        verdicts=(Verdict(hostile, 1.0, "≤", 1.0, True, hostile),),
        proposals=(Proposal(1, hostile, (hostile,), "javascript:alert(1)"),),
        notes=(hostile,),
        address="https://x.test/o/r",
    )
    html = page(found)
    html.encode()  # no half of a character
    read = Read(html)
    names = {name for name, _ in read.elements}
    assert names.isdisjoint({"script", "img", "b", "iframe", "object", "form", "base"})
    assert [given for _, given in read.elements for key in given if key.startswith("on") or key == "style"] == []
    links = {str(given["href"]) for given in read.all("a")}
    assert {one.partition(":")[0] for one in links if not one.startswith("#")} == {"https"}
    assert not any(mark in html for mark in "\u202e\u2028\x00")


def test_there_is_no_way_out_of_the_page() -> None:
    read = Read(page(full()))
    policy = next(given["content"] for given in read.all("meta") if given.get("http-equiv"))
    assert str(policy).startswith("default-src 'none'; style-src 'sha256-")
    assert [given["href"] for given in read.all("link")] == ["data:,"]
    assert [name for name, given in read.elements if "src" in given] == []


EMPTY = {"releases": (), "lanes": (), "windows": (), "decisions": {}, "evaluation": None, "verdicts": (), "commit": ""}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (EMPTY, "No version yet. Train a model ( make train ), push it, and merge it to main"),
        (EMPTY, "No window was kept yet. gitloop monitor , gitloop decide and gitloop act look at one"),
        (EMPTY | {"proposals": None}, "Nothing runs yet, and nothing was looked at."),
        (EMPTY, "No model was trained on main yet: make train , then commit."),
        ({"proposals": None, "notes": ("Why.",)}, "Not shown: the forge could not be asked (see the notes below)."),
        ({"proposals": ()}, "None is open."),
        ({"evaluation": evaluation(1, slices={}, fairness={})}, "No slice has enough rows to be judged"),
        ({"evaluation": evaluation(1, slices={}, fairness={})}, "No column is declared sensitive"),
        ({"windows": (window(0, "v0.1.0", 0.7, truth=False),)}, "No truth has come of any window yet"),
        ({"windows": (window(0, "v0.1.0", 0.7, rows=9),)}, "No window has had enough data to be judged yet."),
        ({"windows": (Result("2026-01-01", "2026-01-08", "empty", 0, 1.0, 0.0, {}, ()),)}, "columns drifted empty"),
        ({"decisions": {}}, "– nothing recorded"),
    ],
)
def test_what_is_not_there_yet_is_said(changes: dict[str, Any], words: str) -> None:
    read = Read(page(full(**changes)))
    assert read.says(words), read.text


def test_a_metric_that_is_lost_rather_than_won() -> None:
    read = Read(page(full(metric="mae", greater=False, evaluation=evaluation(1, metric="mae", metrics={}))))
    assert "No truth has come of any window yet" in read.text
    text = Read(page(full(greater=False))).text
    assert "lower is better" in text
    order = [text.index(name) for name in ("carrier = B6", "carrier = 9E", "origin = EWR")]
    assert order == sorted(order)  # the worst first, what is not judged last


def test_a_single_window_and_a_single_version() -> None:
    one = full(1, releases=full().releases[:1], lanes=(Lane("production", "none", site.stays([next(records())])),))
    read = Read(page(one))
    assert "1 of 1 windows" in read.text
    assert "main asks for none" in read.text


def test_axes() -> None:
    assert marks(Axis(0.0, 1.0, 0, 1)) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert marks(Axis(-3.0, 7.0, 0, 1)) == [-2, 0, 2, 4, 6]
    flat = axis([5.0, 5.0], 0, 10)
    assert flat.low < 5 < flat.high
    assert flat.at(5.0) == pytest.approx(5.0)
    assert axis([0.0], 0, 10).at(0.0) == pytest.approx(5.0)
    assert seconds("2026-01-01T00:00:00") == seconds("2026-01-01T00:00:00Z") == seconds("2026-01-01T01:00:00+01:00")
    short = Axis(seconds("2026-01-01T00:00:00"), seconds("2026-01-01T12:00:00"), 0, 1)
    assert [words for _, words in days(short, 3)] == ["01-01 02:00", "01-01 06:00", "01-01 10:00"]
    assert [words for _, words in days(Axis(short.low, short.low + 30 * 86_400, 0, 1), 2)] == [
        "2026-01-08",
        "2026-01-23",
    ]
    assert apart([(0, "first"), (10, "second"), (80, "third")]) == [(10, "second"), (80, "third")]


def test_a_card_is_one_part_of_the_page() -> None:
    read = Read(card(CARD))
    assert [name for name, _ in read.elements if name in ("h1", "h2", "h3", "h4")] == ["h3", "h4", "h4", "h4", "h4"]
    assert [given.get("aria-label") for given in read.all("div")] == ["Inputs", "Data"]
    assert read.all("th") == [{"scope": "col"}] * 4  # the head of the second table names nothing
    inert = card(
        "![x](https://x.test/a.png) [y](https://x.test) <https://x.test> <b>z</b> [r]\n\n[r]: https://x.test\n"
    )
    assert {name for name, _ in Read(inert).elements} == {"p"}


def test_html_is_built_from_text() -> None:
    assert tag("p", "a < b", tag("b", "&"), None, class_="x", hidden=True, id=None) == (
        '<p class="x" hidden>a &lt; b<b>&amp;</b></p>'
    )
    assert tag("p", title='"') == '<p title="&quot;"></p>'
    assert escaped("a\nb\tc") == "a b c"
    assert link("x", "javascript:alert(1)") == "x"
    assert link("x", "https://x.test/?a&b") == '<a href="https://x.test/?a&amp;b">x</a>'
