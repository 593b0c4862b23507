"""Markdown from a place that is not trusted, made harmless: it reads as before, and does nothing.

A word joiner, which nobody sees, parts what GitHub would act on: mentions, references, links to elsewhere, HTML. It
does so in code too, for what is code to us need not be code to GitHub.
"""

from __future__ import annotations

import re

JOINER = "\u2060"
# Control characters but tab and new line, and those that turn the direction of text (Unicode TR 36, 2.5).
UNSEEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")
TAGS = "details|summary|br|sub|sup|b|i|code"
# Each leaves its first group in place and puts the joiner behind it.
ACTIVE = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(<)(?!/?(?:{TAGS})\s*/?>|details open>)(?=[a-z/!?])",  # HTML, comments and with them marks
        r"(&)(?!(?:lt|gt|amp|quot|nbsp|vert|#124|#96|#39);)(?=[a-z#])",  # entities: they could write all that follows
        r"(@)(?=[a-z0-9])",  # mentions, and commits of other repositories
        r"(#)(?=[0-9]+\b)",  # issues and pull requests
        r"(\bGH)(?=\\?-[0-9])",  # a backslash is not seen
        r"(\bwww)(?=\\?\.)",
        r"(\])(?=:|\((?!\Z))",  # links; a part ends where one that is allowed begins
        r"(!)(?=\[)",  # images
        r"(:)(?=\\?/\\?/)",  # addresses that become links by themselves
    )
)


def inert(text: str, runs: str) -> str:
    """The same to the eye. Links to runs, whose addresses begin with `runs`, are the only ones that work."""
    shown = UNSEEN.sub("", text.replace("\r\n", "\n"))
    parts = re.split(rf"({re.escape(runs)}[0-9]+(?:#artifacts)?(?![\w/.#?&%@-]))", shown)
    return "".join(part if index % 2 else _parted(part) for index, part in enumerate(parts))


def _parted(text: str) -> str:
    for pattern in ACTIVE:
        text = pattern.sub(rf"\g<1>{JOINER}", text)
    return text
