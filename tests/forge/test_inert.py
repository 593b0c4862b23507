"""Text that is not trusted looks the same and does nothing: each case is rendered as GitHub does, and looked into."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from markdown_it import MarkdownIt

from gitloop.gitops.inert import JOINER, inert

RUN = "https://github.com/octo/late-flights/actions/runs/"
KEPT = {"p", "table", "thead", "tbody", "tr", "th", "td", "ul", "ol", "li", "code", "pre", "em", "strong", "del", "hr"}
KEPT |= {"h1", "h2", "h3", "blockquote", "details", "summary", "br", "sub", "sup", "b", "i", "a"}


class Page(HTMLParser):
    """The elements, the addresses and the text of a page."""

    def __init__(self, markdown: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.addresses: list[str] = []
        self.attributes: set[str] = set()
        self.comments: list[str] = []
        self.texts: list[str] = []
        self.feed(MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(markdown))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.addresses += [str(value) for name, value in attrs if name in ("href", "src")]

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


# Addresses too: GitHub makes links of them in plain text.
ACTS = re.compile(rf"@[a-z0-9]|#[0-9]+\b|\bGH-[0-9]|\bwww\.|(?!{re.escape(RUN)})\b[a-z]+://", re.IGNORECASE)
HOSTILE = [
    "@octocat and @octo/team, mail@example.org",
    r"GH\-1 www\.evil.example https:/\/evil.example #\1",
    "fixes #1, closes octo/late-flights#2, GH-3, octo/late-flights@0123456",
    "&#64;octocat &commat;octocat &#x40;octocat &num;1 &#35;1",
    r"\@octocat \#1",
    "`@octocat` and\n```\n@octocat #1\n```\n",
    "<!-- gitloop:report -->",
    "text <!-- hidden --> text",
    "<img src=https://evil.example/x.png onerror=alert(1)>",
    "|<img src=x>| `|<img src=x>|`",
    "| a |\n|---|\n| <script>alert(1)</script> |",
    "<details open onclick=alert(1)><summary>x</summary></details>",
    "<a href='https://evil.example'>here</a> <svg/onload=alert(1)> <?php ?> <!DOCTYPE html>",
    "![pixel](https://evil.example/p.png) ![pixel][p]\n\n[p]: https://evil.example/p.png",
    "[here](https://evil.example) <https://evil.example> https://evil.example www.evil.example evil@evil.example",
    "[here](//evil.example) [here](< //evil.example>) [here](\\\\evil.example) [here](/settings/keys) [here](../x)",
    "[here](&#104;ttps://evil.example) [here](https&colon;//evil.example) [here](javascript:alert(1))",
    "[x]\n\n[x]: //evil.example 'title'\n",
    "[here](https:\\//evil.example) [here](HtTpS://evil.example) [here](ftp://evil.example) [here](mailto:a@b.c)",
    f"[here]({RUN}../../../../evil/x) {RUN.replace('https', 'http')}1 {RUN}1@octocat",
    "https://github.com/octo/late-flights/issues/1 https://github.com/evil/x/pull/2",
    "[![@octocat](https://evil.example/p.png)](https://evil.example)",
    f"[@octocat]({RUN}1 '@octocat #1') [x]({RUN}1/../../x) [x]({RUN}1?x) [x]({RUN}1@x) [{RUN}1]( //evil.example)",
    "left \u202eright\u202c \u0000\u001b[31m \ud800 end",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_acts(text: str) -> None:
    page = Page(inert(text, RUN))
    assert page.elements <= KEPT
    assert page.attributes <= {"href", "title", "open", "align", "style", "class"}
    assert [one for one in page.addresses if not re.fullmatch(re.escape(RUN) + "[0-9]+(#artifacts)?", one)] == []
    assert page.comments == []
    assert not any(ACTS.search(one) for one in page.texts), page.texts
    assert not re.search(r"[\u202a-\u202e\x00\x1b\ud800]", inert(text, RUN))


@pytest.mark.parametrize("text", HOSTILE[:-1])
def test_it_looks_the_same(text: str) -> None:
    assert inert(text, RUN).replace(JOINER, "") == text


REPORT = f"""## ✅ passed: `boosting` is better than `main`

| gate | value | bound | verdict |
|---|--:|--:|---|
| `roc_auc` | 0.71 | ≥ 0.65 | passed |

<details><summary>Slices &amp; charts</summary>

```mermaid
xychart-beta
  title "roc_auc"
  x-axis ["origin = EWR", "origin = JFK"]
  bar [0.71, 0.7]
```

`a → b`, 3 < 4 & 5 > 2, `conf/data/flights.yaml:3`<br/>line two
</details>

[The run]({RUN}123) · [plots]({RUN}123#artifacts)
"""


def test_a_report_is_left_as_it_is() -> None:
    assert inert(REPORT, RUN) == REPORT
    page = Page(inert(REPORT, RUN))
    assert page.addresses == [f"{RUN}123", f"{RUN}123#artifacts"]
    assert {"table", "details", "summary", "code"} <= page.elements
