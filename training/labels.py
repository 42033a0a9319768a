"""The names of what the heads tell, in the order of their outputs."""

CORE = ("joy", "love", "sadness", "anger", "fear", "surprise")
MAIN = (*CORE, "neutral")
DIMENSIONS = ("valence", "arousal", "intensity")
GO = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy", "love",
    "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)  # fmt: skip
TRAITS = ("wonder", "empathic_concern", "personal_distress", "meta", "pattern")
SAFETY = ("concern", "self_harm", "violence", "victim")
"""Danger to anyone at all, then the kinds of danger that the contract names (section 4.4)."""
MODES = ("emotional_support", "analytical_deep_dive", "goal_strategy", "task_execution", "information_retrieval", "conversational")
"""What a message asks of who answers it; the contract's seventh, ``crisis_intervention``, follows from safety alone."""
BELIEFS = ("explicit", "identity", "value", "purpose", "capability", "relational")
"""Types of belief (contract, section 4.5), in the order of a token's outputs; the last output says "none"."""
