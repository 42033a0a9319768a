"""Personal data: what is found, what is left alone, and what a mask leaves."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.reading.pii import KINDS, count, find, mask


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("Write to jo.o'neil+shop@mail.example.co.uk please", ["email"]),
        ("MAIL ME: ANNA@EXAMPLE.COM!", ["email"]),
        ("grüße an käthe@münchen.example", ["email"]),
        ("IBAN DE89 3704 0044 0532 0130 00, thanks", ["iban"]),
        ("gb29nwbk60161331926819", ["iban"]),
        ("my card 4111 1111 1111 1111 was charged twice", ["card"]),
        ("5555-5555-5555-4444", ["card"]),
        ("amex 378282246310005.", ["card"]),
        ("SSN 123-45-6789", ["ssn"]),
        ("from 203.0.113.7 again", ["ip_address"]),
        ("call +44 20 7946 0958 or (555) 123-4567", ["phone", "phone"]),
        ("+1-202-555-0143, 030 901820, 0171/5551234", ["phone", "phone", "phone"]),
        ("555-123-4567", ["phone"]),
        ("a@b.example, +4915112345678 and 4012888888881881", ["email", "phone", "card"]),
    ],
)
def test_what_is_found(text, kinds):
    """In the order of the text, each by its form."""
    assert [one.kind for one in find(text)] == kinds


@pytest.mark.parametrize(
    "text",
    [
        "order 4111 1111 1111 1112", "invoice DE88 3704 0044 0532 0130 00", "at 10:30 on 2026-11-24", "24.11.2026",
        "I paid 1,234,567.89 for it", "version 1.2.3", "room 1204, floor 12", "me @ home", "the year 2024 and 100 000 people",
        "GPS 52.520008, 13.404954", "666-45-6789", "300.1.2.3", "7 of 9", "she's 1/2 done, 3-2-1 go",
        "tracking no. 00340434161094021501", "1000000", "so@so", "it cost 19.99-29.99", "ISBN 978-3-16-148410-0",
    ],
)  # fmt: skip
def test_what_is_none(text):
    """Dates, prices, versions, order numbers with a wrong check digit and the like are left alone."""
    assert find(text) == []


def test_counting_and_masking():
    """Kinds are counted; a mask keeps the rest of the text as it stands."""
    text = "I'm so angry: a@b.example, c@d.example or +44 20 7946 0958 😡"
    found = find(text)
    assert count(found) == {"email": 2, "phone": 1}
    assert mask(text, found) == "I'm so angry: [email], [email] or [phone] 😡"
    assert find(mask(text, found)) == []
    assert mask("nothing", []) == "nothing"


@given(st.text(max_size=200) | st.text("0123456789 -+().@a:AE", max_size=120))
def test_any_text(text):
    """Pieces lie in the text, in order, apart; masking leaves none of them behind."""
    found = find(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert all(0 <= one.start < one.end <= len(text) and one.kind in KINDS for one in found)
    masked = mask(text, found)
    for one in found:
        assert masked.count(text[one.start : one.end]) <= text.count(text[one.start : one.end]) - 1


@pytest.mark.parametrize("piece", ["1", "1-", "0 1", "a@", "a.", "+1", "A1 ", "(0", "1.1.", "DE8 "])
def test_no_text_takes_long(piece):
    """The longest text that is taken, made of what a form begins with, is looked through all the same."""
    find(piece * (10_000 // len(piece)))
