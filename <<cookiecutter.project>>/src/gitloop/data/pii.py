"""Recognise values that look like personal data: e-mail addresses, phone and card numbers, IP addresses.

A guess from a sample, to ask a person the question; not a proof of absence.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable
from itertools import groupby

EMAIL = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)*\.[A-Za-z]{2,}")
CARD = re.compile(r"[2-6]\d{3}([ -]?\d){9,15}")
PHONE = re.compile(r"\+?[\d(][\d ()./-]{6,22}\d")
DATE = re.compile(r"\d{4}[./-]\d{1,2}[./-]\d{1,2}|\d{1,2}[./-]\d{1,2}[./-]\d{2,4}")
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")

LONGEST = 200  # characters looked at: the patterns are slow on very long text


def is_email(text: str) -> bool:
    """An address anywhere in the text."""
    return EMAIL.search(text) is not None


def is_card(text: str) -> bool:
    """13 to 19 digits, of a range that payment cards have, with a valid check digit."""
    return CARD.fullmatch(text) is not None and luhn(re.sub(r"\D", "", text))


def luhn(digits: str) -> bool:
    """The check digit is right (ISO/IEC 7812-1, annex B)."""
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def is_ip(text: str) -> bool:
    """An IPv4 or IPv6 address."""
    if text.count(".") != 3 and text.count(":") < 2:
        return False
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def is_phone(text: str) -> bool:
    """8 to 15 digits in groups, or after a plus; a plain number or a date is not one."""
    international = text.startswith("+")
    if not PHONE.fullmatch(text) or DATE.fullmatch(text) or (NUMBER.fullmatch(text) and not international):
        return False
    digits = sum(character.isdigit() for character in text)
    groups = sum(digit for digit, _ in groupby(text, str.isdigit))
    return 8 <= digits <= 15 and (international or groups >= 3) and not is_ip(text)


# What is recognised, by which test, and the share of values from which a column is suspected. One address is
# enough to matter; one number in ten passes the check digit by chance.
KINDS: dict[str, tuple[Callable[[str], bool], float]] = {
    "e-mail addresses": (is_email, 0.01),
    "payment card numbers": (is_card, 0.3),
    "IP addresses": (is_ip, 0.1),
    "phone numbers": (is_phone, 0.1),
}


def suspect(values: Iterable[str | None]) -> tuple[str, float] | None:
    """The kind of personal data that values look like and the share of them that does, or None."""
    texts = [text for value in values if value is not None and (text := value[:LONGEST].strip())]
    for kind, (test, least) in KINDS.items():
        share = sum(map(test, texts)) / len(texts) if texts else 0.0
        if share and share >= least:
            return kind, share
    return None
