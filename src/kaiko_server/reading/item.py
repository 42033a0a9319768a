"""Scores into the emotion item of the wire contract (section 3)."""

import math
from collections.abc import Sequence

from kaiko_server.engine.model import CORE, GO, Scores, Thresholds
from kaiko_server.reading import dimensions, hostility, signature
from kaiko_server.reading.safety import danger_of

_DIGITS = 4
_SENSITIVITY_SLOPE = 4.0
"""By how many logits the thresholds move between a sensitivity of 0 and of 1."""
NEUTRAL = "neutral"


def emotion_item(  # noqa: PLR0913 - all but the first by name; each is one rule of the contract
    scores: Scores,
    *,
    text: str | None,
    language: str,
    thresholds: Thresholds,
    model_version: str,
    granularity: str = "core",
    sensitivity: float = 0.5,
    at: str | None = None,
    danger: Sequence[tuple[int, int]] = (),
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
        What counts as present, at a *sensitivity* of .5.
    model_version
        Goes into the signature: another model, another signature.
    granularity
        ``core``: `raw` holds the six; ``detailed``: the 27 GoEmotions labels and ``neutral``.
    sensitivity
        0..1; moves the thresholds of `activeLabels`, never the scores.
    at
        When it was said, as ISO 8601; a hostile text says so.
    danger
        Where in the text the danger is told, of a text that :func:`danger_of` finds one in.
    """
    category = category_of(scores)
    level = dimensions.discovery_level(scores.intensity, scores.wonder)
    complexity = dimensions.complexity(scores.core)
    breakthrough = dimensions.is_breakthrough(level, scores.valence)
    item: dict[str, object] = {} if text is None else {"text": text}
    item |= {
        "category": category,
        "raw": _raw(scores, granularity),
        "intensityLevel": dimensions.intensity_level(scores.intensity),
        "complexity": complexity,
        "discoveryLevel": level,
        "activeLabels": active_labels(scores.go, thresholds.go, sensitivity),
        "confidence": _rounded(max(scores.category)),
        "isBreakthrough": breakthrough,
        **{name: _rounded(value) for name, value in _numbers(scores).items()},
        **_signature(scores, model_version),
        "emotionalTags": signature.tags(category, scores.valence, scores.arousal, complexity, breakthrough=breakthrough),
        "dimensionalSource": "ml_predicted",
        "language": language,
        "hostilityState": hostility.state(scores.hostility, at=at),
    }
    if (kind := danger_of(scores, thresholds.crisis)) is not None:
        item["safety"] = {"kind": kind, "evidence": [{"start": start, "end": end} for start, end in danger]}
    if text is not None:
        item["coverage"] = {"characters": len(text), "windows": scores.windows}
    return item


def _numbers(scores: Scores) -> dict[str, float]:
    return {
        "intensity": scores.intensity,
        "valence": scores.valence,
        "arousal": scores.arousal,
        "wonderIndex": scores.wonder,
        "empathicConcern": scores.empathic_concern,
        "personalDistress": scores.personal_distress,
        "safetyConcernScore": scores.concern,
        "metaEmotionalScore": scores.meta,
        "patternEmotionScore": scores.pattern,
    }


def _signature(scores: Scores, model_version: str) -> dict[str, object]:
    vector = signature.vector(scores.core, scores.valence, scores.arousal, scores.intensity)
    return {"emotionalVector": vector, "emotionalSignature": signature.signature(vector, model_version)}


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
    if not logits:
        return threshold
    odds = threshold / (1 - threshold) * math.exp(logits)
    return odds / (1 + odds)


def _raw(scores: Scores, granularity: str) -> dict[str, float]:
    if granularity == "detailed":
        return {label: _rounded(score) for label, score in zip(GO, scores.go, strict=True)}
    return {label: _rounded(score) for label, score in zip(CORE, scores.core, strict=True)}


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
