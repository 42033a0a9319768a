"""More texts for the teacher to read to the student, made out of those there are.

A small network learns most from a large one by hearing it on many texts; these are near enough to what people write to be
worth its word, and their labels are the teacher's alone: nobody has said what a sentence with a clause taken out means.
"""

import random
import re
from collections.abc import Sequence

from training.data import Example

_CLAUSE = re.compile(r"(?<=[.!?;:…])\s+|(?<=,)\s+(?=(?:and|but|so|because|then|though|while|when)\b)|\s+-\s+|\s+—\s+", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[.,;:!?\"“”()…—-]+")
_JOINED_WORDS = 45
"""At most this long are two texts together: the student is to learn turns, not windows."""
_THINNED = 0.15
"""Share of the words that a thinned text lacks."""


def vary(examples: Sequence[Example]) -> list[Example]:
    """Give one variant, without labels, of each of *examples* that has one.

    Two texts told one after the other, a clause alone, some words left out, or lower case without punctuation: the text
    itself decides which, so that it has the same variant however many others there are.
    """
    ways = (_joined, _clause, _thinned, _bare)
    out = []
    for i, e in enumerate(examples):
        chance = random.Random(e.text)  # noqa: S311 - a choice, not a secret
        text = chance.choice(ways)(e.text, examples[i - 1].text if i else "", chance)
        if text and text != e.text:
            out.append(Example(text, e.source, e.part))
    return out


def _joined(text: str, other: str, chance: random.Random) -> str:
    if len(text.split()) + len(other.split()) > _JOINED_WORDS:
        return _clause(text, other, chance)
    return f"{text} {other}".rstrip()


def _clause(text: str, _: str, chance: random.Random) -> str:
    parts = [p for p in _CLAUSE.split(text) if len(p.split()) > 1]
    return chance.choice(parts) if len(parts) > 1 else ""


def _thinned(text: str, _: str, chance: random.Random) -> str:
    return " ".join(w for w in text.split() if chance.random() >= _THINNED)


def _bare(text: str, _: str, chance: random.Random) -> str:
    apostrophe = chance.choice(("'", "\u2019", ""))
    return " ".join(_PUNCTUATION.sub(" ", text.lower()).replace("\u2019", "'").replace("'", apostrophe).split())
