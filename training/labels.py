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
