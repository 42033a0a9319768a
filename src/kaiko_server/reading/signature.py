"""The state as a vector, as a short name, and as tags."""

import hashlib
import math
from collections.abc import Sequence

_DIGITS = 1
"""Decimals of the vector that the signature keeps: states that a person would not tell apart share a signature."""
_CALM, _ENERGISED = 0.3, 0.7
_SIGNED = 0.1
"""Valence nearer to 0 than this is called neither positive nor negative."""


def vector(core: Sequence[float], valence: float, arousal: float, intensity: float) -> list[float]:
    """Give 9 floats of unit length: the six core scores, valence, arousal, intensity.

    Cosine similarity of two such vectors says how alike two states are.
    """
    values = [*core, valence, arousal, intensity]
    length = math.sqrt(sum(v * v for v in values))
    if length == 0:
        return [1 / 3] * 9  # nothing felt at all has no direction: any fixed one serves, since it must be a unit vector
    return [round(v / length, 6) for v in values]


def signature(vector_: Sequence[float], model_version: str) -> str:
    """Give 16 hex digits that are the same for the same rounded *vector_* and model."""
    rounded = ",".join(f"{v + 0.0:.{_DIGITS}f}".replace("-0.0", "0.0") for v in vector_)
    return hashlib.sha256(f"{model_version}|{rounded}".encode()).hexdigest()[:16]


def tags(category: str, valence: float, arousal: float, complexity: str, *, breakthrough: bool) -> list[str]:
    """Give the words that describe a state in search boxes: category first, then what stands out."""
    found = [category]
    if abs(valence) >= _SIGNED:
        found.append("positive" if valence > 0 else "negative")
    if arousal <= _CALM:
        found.append("calm")
    elif arousal >= _ENERGISED:
        found.append("energised")
    if complexity != "simple":
        found.append(complexity)
    if breakthrough:
        found.append("breakthrough")
    return found
