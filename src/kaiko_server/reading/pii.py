"""Personal data in a text: found by form and check digits, not by meaning; pure.

What has a checksum must satisfy it (cards: Luhn, ISO/IEC 7812; IBANs: ISO 13616, the remainder by 97), so that order numbers are not
taken for either. Names and postal addresses are not looked for: no form tells them.
"""

import re
from collections.abc import Callable
from typing import Final, NamedTuple


class Found(NamedTuple):
    """One piece: its kind, and where it stands (characters)."""

    kind: str
    start: int
    end: int


KINDS: Final = ("email", "iban", "card", "ssn", "ip_address", "phone")
"""In this order: what one has found no later one looks at."""

# Every pattern is bounded and begins at a boundary, so that no text takes longer than its length.
_EMAIL: Final = re.compile(r"(?<![\w.+-])[\w.%+-]{1,64}@(?:[\w-]{1,63}\.){1,8}\w{2,24}(?![\w-])")
_IBAN: Final = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)", re.IGNORECASE)
_CARD: Final = re.compile(r"(?<![\w+])(?<![\d][ -])[2-6]\d{3}(?:[ -]?\d{2,6}){2,4}(?![\w])(?![ -]?\d)")
_SSN: Final = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_IP: Final = re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?![\w]|\.\d)")
_PHONE: Final = re.compile(
    r"(?<![\w+.,/-])(?<!\d )(?:\+\d{1,3}[ .-]?(?:\(0\)[ ]?)?(?:\(\d{1,5}\)[ .-]?)?\d{1,5}(?:[ .-]?\d{2,5}){1,5}"
    r"|\(0?\d{2,5}\)[ .-]?\d{2,5}(?:[ .-]?\d{2,5}){0,4}"
    r"|0\d{1,5}(?:[ ./-]?\d{2,5}){1,5}|\d{3}[ .-]\d{3}[ .-]\d{4})(?![\w]|[.,/-]\d)"
)
_PHONE_DIGITS: Final = range(7, 16)
"""As long as a number may be (ITU-T E.164: 15), and no shorter than one that is dialled whole."""
_CARD_DIGITS: Final = range(13, 20)
_IBAN_CHARACTERS: Final = range(15, 35)


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


def _is_card(text: str) -> bool:
    digits = [int(c) for c in _digits(text)]
    if len(digits) not in _CARD_DIGITS:
        return False
    doubled = [d * 2 - 9 * (d > 4) for d in digits[-2::-2]]  # noqa: PLR2004 - the sum of the digits of 2d
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _is_iban(text: str) -> bool:
    plain = text.replace(" ", "").upper()
    if len(plain) not in _IBAN_CHARACTERS or not plain.isascii():
        return False
    turned = plain[4:] + plain[:4]
    return int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _is_phone(text: str) -> bool:
    return len(_digits(text)) in _PHONE_DIGITS


def _always(_text: str) -> bool:
    return True


_FORMS: Final[dict[str, tuple[re.Pattern[str], Callable[[str], bool]]]] = {
    "email": (_EMAIL, _always),
    "iban": (_IBAN, _is_iban),
    "card": (_CARD, _is_card),
    "ssn": (_SSN, _always),
    "ip_address": (_IP, _always),
    "phone": (_PHONE, _is_phone),
}


def find(text: str) -> list[Found]:
    """Give what of *text* is personal data, in its order; no two pieces overlap."""
    found: list[Found] = []
    for kind in KINDS:
        form, is_one = _FORMS[kind]
        for match in form.finditer(text):
            start, end = match.span()
            if is_one(match[0]) and all(end <= other.start or other.end <= start for other in found):
                found.append(Found(kind, start, end))
    return sorted(found, key=lambda one: one.start)


def count(found: list[Found]) -> dict[str, int]:
    """Say how many of each kind there are."""
    return {kind: n for kind in KINDS if (n := sum(one.kind == kind for one in found))}


def mask(text: str, found: list[Found]) -> str:
    """Put the name of its kind where each piece stands: ``[email]``."""
    parts, at = [], 0
    for one in found:
        parts += [text[at : one.start], f"[{one.kind.replace('_', ' ')}]"]
        at = one.end
    return "".join([*parts, text[at:]])
