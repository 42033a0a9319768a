"""More texts for the teacher to read to the student, made out of those there are.

A small network learns most from a large one by hearing it on many texts; these are near enough to what people write to be
worth its word, and their labels are the teacher's alone: nobody has said what a sentence with a clause taken out means.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from training.data import Example

_CLAUSE = re.compile(r"(?<=[.!?;:…])\s+|(?<=,)\s+(?=(?:and|but|so|because|then|though|while|when)\b)|\s+-\s+|\s+—\s+", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[.,;:!?\"“”()…—-]+")
_JOINED_WORDS = 45
"""At most this long are two texts together: the student is to learn turns, not windows."""
_THINNED = 0.15
"""Share of the words that a thinned text lacks."""


def vary(examples: Sequence[Example], seed: int) -> list[Example]:
    """Give one variant, without labels, of each of *examples* that has one; the same *seed* gives the same.

    In turn: two texts told one after the other; a clause alone; some words left out; lower case without punctuation.
    """
    chance = random.Random(seed)  # noqa: S311 - a choice, not a secret
    ways = (_joined, _clause, _thinned, _bare)
    out = []
    for e in examples:
        text = chance.choice(ways)(e.text, chance.choice(examples).text, chance)
        if text and text != e.text:
            out.append(replace(e, text=text, core=None, main=None, dimensions=None, traits=None, safety=None, hostility=None, mode=None))
    return out


def _joined(text: str, other: str, chance: random.Random) -> str:
    if len(text.split()) + len(other.split()) > _JOINED_WORDS:
        return _clause(text, other, chance)
    return f"{text} {other}"


def _clause(text: str, _: str, chance: random.Random) -> str:
    parts = [p for p in _CLAUSE.split(text) if len(p.split()) > 1]
    return chance.choice(parts) if len(parts) > 1 else ""


def _thinned(text: str, _: str, chance: random.Random) -> str:
    return " ".join(w for w in text.split() if chance.random() >= _THINNED)


def _bare(text: str, _: str, chance: random.Random) -> str:
    apostrophe = chance.choice(("'", "\u2019", ""))
    return " ".join(_PUNCTUATION.sub(" ", text.lower()).replace("\u2019", "'").replace("'", apostrophe).split())
