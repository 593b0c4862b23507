"""Numbers as people write them, which no cast reads: with a currency, a unit, or marks between the thousands."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gitloop.data.survey import Look

MONEY = r"[$€£¥₹]|EUR|USD|GBP|CHF|JPY|CNY|INR|AUD|CAD|SEK|NOK|DKK|PLN"
GROUPED = r"[1-9]\d{0,2}([,.' \u00a0\u202f’]\d{3})+([.,]\d+)?"
NUMBER = re.compile(
    rf"\(?[+-]? ?(?P<before>{MONEY})? ?[+-]?(?P<digits>{GROUPED}|\d+([.,]\d+)?)[ \u00a0]?"
    rf"(?P<after>{MONEY}|%|[a-zA-Z°µ/²³]{{1,6}})?\)?"
)
DRESSED = "numbers with a currency, a unit or marks between thousands; write plain numbers to use them"
NEARLY = 0.9  # share of values that are so written
MARKED = 0.1  # share of them that are more than plain digits
UNITS = 3  # ways to write that one column has; where there are more, letters are part of a code
MOSTLY = 0.8  # share of plain numbers in a column of which the others are words


def doubt(look: Look, values: Iterable[str | None]) -> str | None:
    """What to mend in the source so that a column of text can be read as numbers, or None."""
    if _dressed([one.strip() for one in values if one and one.strip()]):
        return DRESSED
    if look.numbers >= MOSTLY:
        return f"{look.numbers:.1%} of its values are numbers; if it is an amount, mend the others in the source"
    return None


def _dressed(texts: list[str]) -> bool:
    found = [one for text in texts if (one := NUMBER.fullmatch(text))]
    if not found or len(found) < NEARLY * len(texts):
        return False
    marked = sum(one[0] != one["digits"] or re.fullmatch(GROUPED, one["digits"]) is not None for one in found)
    return marked >= MARKED * len(found) and len({(one["before"], one["after"]) for one in found}) <= UNITS
