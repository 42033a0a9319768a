"""What an API key looks like: ``kaiko_live_`` or ``kaiko_test_``, 32 random characters, 6 characters of checksum.

The alphabet is base62 (``0-9A-Za-z``, in this order of digits). The checksum is CRC32 over all that stands before it, most
significant digit first. It proves nothing: it tells a mistyped key from a wrong one, and lets scanners find leaked keys.
"""

import re
import secrets
import string
import zlib
from typing import Literal, get_args

Environment = Literal["live", "test"]
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_RANDOM = 32
"""Characters; 190 bits."""
_CHECKSUM = 6
_HINT = 4
_SHAPE = re.compile(rf"kaiko_(?:{'|'.join(ENVIRONMENTS)})_[0-9A-Za-z]{{{_RANDOM + _CHECKSUM}}}")


def make_key(environment: Environment) -> str:
    """Make a new random key."""
    body = f"kaiko_{environment}_" + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Whether *text* has the shape of a key and its checksum is right."""
    return _SHAPE.fullmatch(text) is not None and _checksum(text[:-_CHECKSUM]) == text[-_CHECKSUM:]


def hint(key: str) -> str:
    """Give the last four characters: they tell a person which key it is, and come of the checksum, so they say little of the rest."""
    return key[-_HINT:]


def _checksum(body: str) -> str:
    left = zlib.crc32(body.encode("ascii"))
    digits = ""
    for _ in range(_CHECKSUM):
        left, digit = divmod(left, len(_ALPHABET))
        digits = _ALPHABET[digit] + digits
    return digits
