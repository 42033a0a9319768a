"""What a model is to the rest of the server: texts in, one :class:`Scores` a text out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kaiko_server.engine.layout import Layout

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

MODES = ("emotional_support", "analytical_deep_dive", "goal_strategy", "task_execution", "information_retrieval", "conversational")
"""What a message asks of who answers it, in the order of the model's outputs."""

DANGERS = ("self_harm", "violence", "victim")
"""The kinds of danger that the contract names (section 4.4), in the order of the model's outputs."""

BELIEFS = ("explicit", "identity", "value", "purpose", "capability", "relational")
"""The types of belief (contract, section 4.5), in the order of the model's outputs."""

Tokens = NDArray[np.float32]
"""(tokens, 8): the probabilities that a token is part of a belief of each of :data:`BELIEFS` or of none, and the log-odds of
danger that it brings: a window's are the mean of its tokens'."""
ALARM = len(BELIEFS) + 1
"""The column of danger in :data:`Tokens`."""


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
    concern
        0..1: that somebody is in danger.
    dangers
        Three independent probabilities 0..1, in the order of :data:`DANGERS`.
    hostility
        0..1: towards the listener or a group of people.
    mode
        Six probabilities that add up to 1, in the order of :data:`MODES`.
    said
        What the tokens of each window say.
    loudest
        For each emotion of :data:`CORE` the window in which it is strongest, from 0; all 0 unless the text was long.
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
    concern: float
    dangers: tuple[float, ...]
    hostility: float
    mode: tuple[float, ...]
    said: tuple[Tokens, ...] = field(compare=False, repr=False)
    loudest: tuple[int, ...]
    tokens: int
    windows: int


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From which probability on something counts as present; fitted on dev data, and shipped with the weights.

    Attributes
    ----------
    go
        For each label of :data:`GO`.
    crisis
        For :attr:`Scores.concern`.
    """

    go: tuple[float, ...]
    crisis: float


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
    def thresholds(self) -> Thresholds:
        """What counts as present."""

    @property
    def ready(self) -> bool:
        """Whether :meth:`predict` can answer now."""

    async def layout(self, text: str) -> Layout:
        """Say where in *text* its tokens and windows are."""

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

    def by_itself(self) -> "Model":
        """Give the same model for a request whose reply must be the same whenever it is read: its texts share no batch with others'.

        What stands beside a text in a batch can change the last digits of its scores.
        """

    async def again(self, texts: Sequence[str]) -> list[Scores]:
        """Read a few more *texts* for a request that was let in: not refused for a full queue, since its first readings would be lost.

        Raises
        ------
        ModelUnavailableError
            As for :meth:`predict`.
        """
