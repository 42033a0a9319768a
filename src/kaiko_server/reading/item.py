"""Scores into the emotion item of the wire contract (section 3)."""

import math
from collections.abc import Sequence

from kaiko_server.engine.model import CORE, GO, Scores
from kaiko_server.reading import dimensions, signature

_DIGITS = 4
_SENSITIVITY_SLOPE = 4.0
"""By how many logits the thresholds move between a sensitivity of 0 and of 1."""
NEUTRAL = "neutral"


def emotion_item(  # noqa: PLR0913 - all but the first by name; each is one rule of the contract
    scores: Scores,
    *,
    text: str | None,
    language: str,
    thresholds: Sequence[float],
    model_version: str,
    granularity: str = "core",
    sensitivity: float = 0.5,
) -> dict[str, object]:
    """Give the item of one text.

    Parameters
    ----------
    scores
        What the model said of it.
    text
        The text, or None for an item that is kept (no text ever is).
    language
        BCP 47 tag.
    thresholds
        From which probability on each label of ``GO`` is active, at a *sensitivity* of .5.
    model_version
        Goes into the signature: another model, another signature.
    granularity
        ``core``: `raw` holds the six; ``detailed``: the 27 GoEmotions labels and ``neutral``.
    sensitivity
        0..1; moves the thresholds of `activeLabels`, never the scores.
    """
    category = category_of(scores)
    level = dimensions.discovery_level(scores.intensity, scores.wonder)
    complexity = dimensions.complexity(scores.core)
    breakthrough = dimensions.is_breakthrough(level, scores.valence)
    vector = signature.vector(scores.core, scores.valence, scores.arousal, scores.intensity)
    item: dict[str, object] = {} if text is None else {"text": text}
    item |= {
        "category": category,
        "raw": _raw(scores, granularity),
        "intensity": _rounded(scores.intensity),
        "intensityLevel": dimensions.intensity_level(scores.intensity),
        "valence": _rounded(scores.valence),
        "arousal": _rounded(scores.arousal),
        "complexity": complexity,
        "wonderIndex": _rounded(scores.wonder),
        "discoveryLevel": level,
        "activeLabels": active_labels(scores.go, thresholds, sensitivity),
        "confidence": _rounded(max(scores.category)),
        "isBreakthrough": breakthrough,
        "metaEmotionalScore": _rounded(scores.meta),
        "patternEmotionScore": _rounded(scores.pattern),
        "emotionalVector": vector,
        "emotionalTags": signature.tags(category, scores.valence, scores.arousal, complexity, breakthrough=breakthrough),
        "emotionalSignature": signature.signature(vector, model_version),
        "dimensionalSource": "ml_predicted",
        "language": language,
    }
    if text is not None:
        item["coverage"] = {"characters": len(text), "windows": scores.windows}
    return item


def category_of(scores: Scores) -> str:
    """Name the dominant core emotion, or ``neutral`` when that is likelier than each of them."""
    best = max(range(len(scores.category)), key=scores.category.__getitem__)
    return CORE[best] if best < len(CORE) else NEUTRAL


def active_labels(go: Sequence[float], thresholds: Sequence[float], sensitivity: float) -> list[str]:
    """Give the labels above their own thresholds, strongest first; ``neutral`` only if it stands alone."""
    shift = (0.5 - sensitivity) * _SENSITIVITY_SLOPE
    active = [(score, label) for score, label, threshold in zip(go, GO, thresholds, strict=True) if score >= _shifted(threshold, shift)]
    feelings = [pair for pair in active if pair[1] != NEUTRAL]
    return [label for _, label in sorted(feelings or active, key=lambda pair: -pair[0])]


def _shifted(threshold: float, logits: float) -> float:
    odds = threshold / (1 - threshold) * math.exp(logits)
    return odds / (1 + odds)


def _raw(scores: Scores, granularity: str) -> dict[str, float]:
    if granularity == "detailed":
        return {label: _rounded(score) for label, score in zip(GO, scores.go, strict=True)}
    return {label: _rounded(score) for label, score in zip(CORE, scores.core, strict=True)}


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
