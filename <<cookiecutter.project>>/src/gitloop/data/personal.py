"""Columns that look like personal data, by their names and by the shapes of their values: a guess, to be judged."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gitloop.data import pii

# Words of a column's name, all of which must be there.
NAMES: dict[str, tuple[tuple[str, ...], ...]] = {
    "e-mail address": (("email",), ("e", "mail"), ("mail", "address")),
    "phone number": (("phone",), ("telephone",), ("mobile",), ("tel",), ("fax",)),
    "person's name": (
        *(("first", "name"), ("last", "name"), ("full", "name"), ("middle", "name"), ("family", "name")),
        *(("given", "name"), ("customer", "name"), ("patient", "name"), ("user", "name"), ("client", "name")),
        *(("employee", "name"), ("contact", "name"), ("person", "name")),
        *(("firstname",), ("lastname",), ("fullname",), ("surname",), ("forename",), ("username",), ("login",)),
    ),
    "address": (("address",), ("street",), ("addr",)),
    "identity or account number": (
        *(("ssn",), ("passport",), ("iban",), ("nif",), ("dni",), ("social", "security"), ("national", "id")),
        *(("tax", "id"), ("card", "number"), ("licence", "number"), ("license", "number"), ("account", "number")),
    ),
    "date of birth": (("dob",), ("birthdate",), ("birthday",), ("birth", "date"), ("date", "birth")),
    "IP address": (("ip",), ("ip", "address")),
    "password": (("password",), ("passwd",), ("pwd",)),
}
PROTECTED = {"sex", "gender", "race", "ethnicity", "religion", "nationality", "disability", "age", "marital"}
IBAN = re.compile(r"[A-Z]{2}\d{2}[A-Z0-9]{11,30}")
PERSON = re.compile(r"[A-ZÀ-Þ][\w'’.-]+(,? [A-ZÀ-Þ][\w'’.-]*){1,3}")
LEAST = 0.5  # share of values of a shape


def words(name: str) -> list[str]:
    """The words of a column's name: customerID, customer_id and customer-id have the same."""
    parted = re.sub(r"([a-z0-9])([A-Z])", r"\1 \2", name)
    return re.findall(r"[a-zà-ÿ]+|\d+", parted.lower())


def by_name(name: str) -> str | None:
    own = set(words(name))
    return next((kind for kind, several in NAMES.items() if any(own.issuperset(one) for one in several)), None)


def by_values(name: str, values: Iterable[str | None]) -> str | None:
    """The kind of personal data that the values are like, or None."""
    texts = [value.strip() for value in values if value and value.strip()]
    if not texts:
        return None
    if found := pii.suspect(texts):
        return f"{found[1]:.0%} of its values are like {found[0]}"
    if sum(map(is_iban, texts)) >= LEAST * len(texts):
        return "its values are like bank account numbers (IBAN)"
    alone = len(set(texts)) >= LEAST * len(texts)
    if (
        "name" in words(name)
        and alone
        and sum(PERSON.fullmatch(text) is not None for text in texts) >= LEAST * len(texts)
    ):
        return "its values are like names of persons"
    return None


def is_iban(text: str) -> bool:
    """The check digits are right (ISO 13616: 97 divides the rearranged number with remainder 1)."""
    plain = text.replace(" ", "").upper()
    if not IBAN.fullmatch(plain):
        return False
    return int("".join(str(int(letter, 36)) for letter in plain[4:] + plain[:4])) % 97 == 1


def protected(name: str) -> bool:
    """Whether the name is that of a group that must not be treated worse."""
    return bool(PROTECTED & set(words(name)))
