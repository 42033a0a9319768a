"""What a text states about the world and its writer (contract, section 4.5), clause by clause.

The model says of each token whether it is part of a belief and of which type; here the text is cut into clauses, and a clause
is a belief when its tokens, taken together, are. So a clause counts once, and no word decides alone.
"""

import re
from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

from kaiko_server.engine.layout import Layout
from kaiko_server.engine.model import ALARM, BELIEFS, Tokens

_SPACE = re.compile(r"\s+")
_ENDED = re.compile(r"[.!?;:\u2026]['\")\u2019\u201d]?$")
_JOINED = re.compile(r"(?:and|but|so|because|then|though|although|while|yet|or|which|who|even)\b", re.IGNORECASE)
"""After a comma these begin a clause of their own."""
_BEGUN = re.compile(r"(?:because|although|even though|so that|but)\b|[-\u2013\u2014]\s", re.IGNORECASE)
"""These do so without one."""
_INTRODUCTION = re.compile(
    r"^(?:(?:and|but|so|well,?|because) )?"
    r"(?:i (?:really |truly |firmly |honestly |still |do )?(?:believe|think)(?: in| that)?\s+"
    r"|i (?:really |truly |firmly |honestly |still |do )?(?:feel|know|hold) that\s+"
    r"|i(?:['\u2019]m| am) (?:convinced|certain|sure)(?: that)?\s+"
    r"|(?:i|we)(?:['\u2019](?:m|re|ve)| am| are| was| were)\s+)",
    re.IGNORECASE,
)
"""What stands before the content of a belief: "I believe that", "I'm"."""
_ASKED = re.compile(r"\?[\W_]*$")
_BELIEVED = 0.5
_NONE = len(BELIEFS)


def clauses(text: str) -> list[str]:
    """Cut *text* after sentences and lines, and before conjunctions that begin a clause; joined, the parts are *text* again."""
    cuts = [0, *(space.end() for space in _SPACE.finditer(text) if _cuts(text, space)), len(text)]
    return [text[a:b] for a, b in pairwise(cuts) if a < b]


def _cuts(text: str, space: re.Match[str]) -> bool:
    if "\n" in space[0] or _BEGUN.match(text, space.end()):
        return True
    before = text[max(0, space.start() - 2) : space.start()]
    return bool(_ENDED.search(before) or (before.endswith(",") and _JOINED.match(text, space.end())))


def may_hold_beliefs(said: Sequence[Tokens]) -> bool:
    """Whether two tokens of any window are likely to be part of a belief: fewer make no clause one, and to look costs time."""
    return any(int((tokens[:, _NONE] <= 1 - _BELIEVED).sum()) > 1 for tokens in said)


def beliefs(layout: Layout, said: Sequence[Tokens]) -> dict[str, object] | None:
    """Give the block of a text, or None when it states no belief.

    Parameters
    ----------
    layout
        Where its tokens are.
    said
        What the tokens of each of its windows say.
    """
    parts = clauses(layout.text)
    starts = list(accumulate((len(part) for part in parts), initial=0))
    heard: list[list[Tokens]] = [[] for _ in parts]
    for (first, last), window in zip(layout.windows, said, strict=False):
        for place, tags in zip(layout.places[first:last], window[:, :ALARM], strict=False):
            heard[bisect_right(starts, place) - 1].append(tags)
    found = []
    for part, tags in zip(parts, heard, strict=True):
        clause = part.strip(" \t\r\n,;:-\u2013\u2014")
        if tags and clause and (belief := _belief(clause, tags)) is not None:
            found.append(belief)
    return _block(found) if found else None


def _belief(clause: str, tags: Sequence[Tokens]) -> dict[str, object] | None:
    *types, none = (float(sum(column)) / len(tags) for column in zip(*tags, strict=True))
    confidence = 1 - none
    if confidence < _BELIEVED or _ASKED.search(clause):
        return None
    return {
        "type": BELIEFS[types.index(max(types))],
        "content": _INTRODUCTION.sub("", clause).rstrip(".!\u2026") or clause,
        "confidence": round(min(confidence, 1.0), 4),
        "rawMatch": clause,
    }


def _block(found: list[dict[str, object]]) -> dict[str, object]:
    kinds = [str(belief["type"]) for belief in found]
    by_type = {kind: kinds.count(kind) for kind in BELIEFS if kind in kinds}
    listed = ", ".join(f"{n} {kind}" for kind, n in by_type.items())
    return {
        "beliefs": found,
        "totalBeliefs": len(found),
        "beliefsByType": by_type,
        "summary": f"{len(found)} {'belief' if len(found) == 1 else 'beliefs'}: {listed}.",
    }
