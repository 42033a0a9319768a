"""What a conversation asks for, and how to answer it (contract, section 4.3)."""

from collections.abc import Sequence
from typing import Final

from kaiko_server.engine.model import MODES
from kaiko_server.reading.guidance import GUIDANCE, STRATEGIES

_CLEAR = 0.40
"""Below this probability no mode stands out among six, and the answer had better ask."""
_PERSONALITY: Final = {
    "emotional_support": "therapeutic",
    "goal_strategy": "coaching",
    "analytical_deep_dive": "analytical",
    "task_execution": "minimal",
    "information_retrieval": "minimal",
    "conversational": "conversational",
}
_ASKS: Final = {
    "emotional_support": "to be heard",
    "goal_strategy": "for a way to a goal",
    "analytical_deep_dive": "to understand something",
    "task_execution": "for something to be done",
    "information_retrieval": "for information",
    "conversational": "for company",
}
_SIGNS: Final = {"self_harm": "danger to themselves", "violence": "violence towards others", "victim": "their being a victim of violence"}


def conversation_mode(asked: Sequence[float], concern: float, danger: str | None, category: str, intensity_level: str) -> dict[str, object]:
    """Give the block of the latest user message.

    Parameters
    ----------
    asked
        Probability of each of ``MODES``.
    concern
        Probability of danger.
    danger
        The kind that makes it a crisis; None when it is none.
    category, intensity_level
        Of its emotion item.
    """
    best = max(range(len(MODES)), key=asked.__getitem__)
    mode, confidence = MODES[best], asked[best]
    if danger is not None:
        reasoning = f"Signs of {_SIGNS[danger]} (probability {concern:.2f}): a person should read this message."
        return _block("crisis_intervention", concern, reasoning, "crisis", concern)
    reasoning = f"The message asks {_ASKS[mode]} (probability {confidence:.2f}); {_feeling(category, intensity_level)}."
    if confidence < _CLEAR:
        return _block(mode, confidence, f"{reasoning[:-1]}; no mode stands out.", "core", 1 - confidence)
    return _block(mode, confidence, reasoning, _PERSONALITY[mode], confidence)


def _feeling(category: str, intensity_level: str) -> str:
    return "no feeling stands out" if category == "neutral" else f"strongest feeling: {category}, intensity {intensity_level}"


def _block(mode: str, confidence: float, reasoning: str, personality: str, personality_confidence: float) -> dict[str, object]:
    return {
        "mode": mode,
        "confidence": round(confidence, 4),
        "reasoning": reasoning,
        "crisisDetected": mode == "crisis_intervention",
        "responseStrategy": STRATEGIES[mode].block(),
        "personalityMode": personality,
        "personalityConfidence": round(personality_confidence, 4),
        "responseGuidance": GUIDANCE[personality].block(),
    }
