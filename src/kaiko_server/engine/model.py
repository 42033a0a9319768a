"""What a model is to the rest of the server: texts in, one :class:`Scores` a text out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

NAME = "emotion-v2"
ALIASES = ("emotion-1",)
"""Other names that clients in use send for the same model."""

CORE = ("joy", "love", "sadness", "anger", "fear", "surprise")
"""The six core emotions, in the order of the model's outputs."""

GO = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy", "love",
    "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)  # fmt: skip
"""The 27 GoEmotions labels and ``neutral`` (Demszky et al. 2020), in the order of the model's outputs."""


class ModelUnavailableError(Exception):
    """The model cannot answer at all: its worker died or it is shutting down."""


class ModelOverloadedError(Exception):
    """The queue is full: refused at the door, nothing was started."""


@dataclass(frozen=True, slots=True)
class Scores:
    """What the network says of one text; every number is calibrated.

    Attributes
    ----------
    core
        Six independent probabilities 0..1, in the order of :data:`CORE`.
    category
        Seven probabilities that add up to 1: that the dominant emotion is that of :data:`CORE`, or (last) none.
    go
        28 independent probabilities 0..1, in the order of :data:`GO`.
    valence, arousal, intensity
        -1..1, 0..1 and 0..1.
    wonder, empathic_concern, personal_distress, meta, pattern
        0..1.
    tokens
        What the tokenizer counted, special tokens included, over all windows.
    windows
        How many windows the text was read in; 1 unless it was long.
    """

    core: tuple[float, ...]
    category: tuple[float, ...]
    go: tuple[float, ...]
    valence: float
    arousal: float
    intensity: float
    wonder: float
    empathic_concern: float
    personal_distress: float
    meta: float
    pattern: float
    tokens: int
    windows: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time of one :meth:`Model.predict_timed` went; the two add up to all of it.

    Attributes
    ----------
    queue_s
        Seconds spent waiting for the model, the tokenizer included.
    inference_s
        Seconds that the batches holding these texts ran.
    """

    queue_s: float
    inference_s: float


class Model(Protocol):
    """Texts in, scores out; the real one is :class:`kaiko_server.engine.batcher.Batcher` over ONNX."""

    @property
    def version(self) -> str:
        """Name and digest of the weights: the same version gives the same reading."""

    @property
    def go_thresholds(self) -> tuple[float, ...]:
        """From which probability on each label of :data:`GO` counts as present; fitted on dev data."""

    @property
    def ready(self) -> bool:
        """Whether :meth:`predict` can answer now."""

    async def predict(self, texts: Sequence[str]) -> list[Scores]:
        """Read *texts*, in order.

        Raises
        ------
        ModelOverloadedError
            The queue holds as much as it may.
        ModelUnavailableError
            The worker is gone, or a batch failed as a whole.
        """

    async def predict_timed(self, texts: Sequence[str]) -> tuple[list[Scores], Timing]:
        """Do as :meth:`predict`, and say how long it waited and how long it ran."""
