"""What looks like personal data and what only resembles it."""

from __future__ import annotations

import time

import pytest

from gitloop.data.pii import is_card, is_email, is_ip, is_phone, luhn, suspect


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ann@example.org", "e-mail"),
        ("please write to ann.b+c@mail.example.co.uk!", "e-mail"),
        ("ann at example.org", None),
        ("@home", None),
        ("a@b", None),
        ("4111 1111 1111 1111", "card"),
        ("4111111111111111", "card"),
        ("378282246310005", "card"),
        ("4111111111111112", None),  # check digit
        ("0000000000000000", None),
        ("411111111111", None),  # too short
        ("192.168.1.254", "IP"),
        ("2001:db8::1", "IP"),
        ("::1", "IP"),
        ("300.1.2.3", None),
        ("12:30:45", None),
        ("1.2.3", None),
        ("+34 612 345 678", "phone"),
        ("+34612345678", "phone"),
        ("(555) 123-4567", "phone"),
        ("555.123.4567", "phone"),
        ("2013-01-01", None),
        ("31.01.2013", None),
        ("2013-01-01 05:00:00", None),
        ("1234567890", None),  # an identifier as likely
        ("1234567.89", None),
        ("-12.5", None),
        ("12345-6789", None),
        ("10-20-30", None),
        ("N123UA", None),
        ("", None),
    ],
)
def test_one_value(text: str, kind: str | None) -> None:
    found = {"e-mail": is_email(text), "card": is_card(text), "IP": is_ip(text), "phone": is_phone(text)}
    assert [name for name, is_kind in found.items() if is_kind] == ([kind] if kind else [])


def test_luhn_knows_every_wrong_digit() -> None:
    right = "4539578763621486"
    assert luhn(right)
    for place in range(len(right)):
        for digit in set("0123456789") - {right[place]}:
            assert not luhn(right[:place] + digit + right[place + 1 :])


def test_a_column_is_suspected_by_share() -> None:
    one_mail = ["nothing"] * 99 + ["ann@example.org"]
    assert suspect(one_mail) == ("e-mail addresses", 0.01)
    assert suspect(["nothing"] * 101 + ["ann@example.org"]) is None
    assert suspect([None, " ", "+34 612 345 678"]) == ("phone numbers", 1.0)
    assert suspect([None, ""]) is None
    numbers = [str(4_000_000_000_000_000 + 7 * number) for number in range(500)]
    assert suspect(numbers) is None  # one in ten passes the check digit by chance
    assert suspect(["10.0.0.1", "host"]) == ("IP addresses", 0.5)


@pytest.mark.parametrize("text", ["1-" * 5000, "1" * 10_000, "a" * 10_000, "a.b-" * 5000 + "@", "1 " * 5000 + "x"])
def test_long_text_does_not_stall(text: str) -> None:
    start = time.monotonic()
    suspect([text] * 500)
    assert time.monotonic() - start < 3
