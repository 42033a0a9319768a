"""The network: an encoder, the mean of its tokens, and linear heads on that one vector."""

from typing import NotRequired, TypedDict

import torch
from torch import Tensor, nn

SIGN_SLOPE = 4.0
"""How steeply the valence, before its tanh, turns into the odds of being above 0."""


LATER_HEADS = ("safety", "hostility", "mode", "beliefs")
"""Heads that came after the first stages of the teacher were trained: a checkpoint may lack them, and they begin afresh there."""


class Outputs(TypedDict):
    vector: Tensor
    """The mean of the token vectors, on which all heads but that of beliefs lie, (batch, hidden)."""
    core: Tensor
    """Logits of the six core emotions and of neutral, (batch, 7): sigmoids of the first six are the scores, the largest of the seven the
    category."""
    dimensions: Tensor
    """valence -1..1, arousal 0..1, intensity 0..1, (batch, 3)."""
    go: Tensor
    """Logits of the 28 GoEmotions labels, (batch, 28)."""
    emobank: Tensor
    """valence and arousal carried over to EmoBank's scale less 3, (batch, 2)."""
    sign: Tensor
    """Logit of valence being above 0, (batch, 1)."""
    traits: Tensor
    """Logits of wonder, empathic concern, personal distress, talk of own feelings, talk of recurrence, (batch, 5)."""
    safety: Tensor
    """Logits of danger to anyone, of self-harm, of violence, of being a victim, (batch, 4)."""
    hostility: Tensor
    """Logit of hostility towards the listener or a group, (batch, 1)."""
    mode: Tensor
    """Logits of the six conversation modes, one of which is true, (batch, 6)."""
    beliefs: Tensor
    """Logits of each token's being part of a belief of one of six types, or of none, (batch, tokens, 7)."""
    echo: NotRequired[Tensor]
    """The student's guess at the teacher's vector less its mean, (batch, the teacher's hidden)."""


class Reader(nn.Module):
    """Encoder and heads; the same class for the teacher and the student, who alone has an *echo* of so many numbers."""

    def __init__(self, encoder: nn.Module, hidden: int, dropout: float = 0.1, echo: int = 0) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.core = nn.Linear(hidden, 7)
        self.dimensions = nn.Linear(hidden, 3)
        self.go = nn.Linear(hidden, 28)
        self.traits = nn.Linear(hidden, 5)
        # EmoBank's readers used a fifth of its scale: one slope and one offset a dimension carry our scale to theirs, so
        # both data sets teach the same two numbers.
        self.emobank_scale = nn.Parameter(torch.tensor([0.6, 0.6]))
        self.emobank_shift = nn.Parameter(torch.tensor([0.0, -0.2]))
        self.main_scale = nn.Parameter(torch.tensor(1.0))
        self.safety = nn.Linear(hidden, 4)
        self.hostility = nn.Linear(hidden, 1)
        self.mode = nn.Linear(hidden, 6)
        self.beliefs = nn.Linear(hidden, 7)
        self.echo = nn.Linear(hidden, echo) if echo else None

    def forward(self, ids: Tensor, mask: Tensor) -> Outputs:
        states = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(states.dtype)
        vector = (states * weights).sum(1) / weights.sum(1)
        dropped = self.dropout(vector)
        raw = self.dimensions(dropped).float()
        dimensions = torch.cat([torch.tanh(raw[:, :1]), torch.sigmoid(raw[:, 1:])], dim=1)
        said: Outputs = {
            "vector": vector.float(),
            "core": self.core(dropped).float(),
            "dimensions": dimensions,
            "go": self.go(dropped).float(),
            "emobank": dimensions[:, :2] * self.emobank_scale + self.emobank_shift,
            "sign": raw[:, :1] * SIGN_SLOPE,
            "traits": self.traits(dropped).float(),
            "safety": self.safety(dropped).float(),
            "hostility": self.hostility(dropped).float(),
            "mode": self.mode(dropped).float(),
            "beliefs": self.beliefs(self.dropout(states)).float(),
        }
        if self.echo is not None:
            said["echo"] = self.echo(dropped).float()
        return said

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take weights from a checkpoint, whole but for :data:`LATER_HEADS`.

        Raises
        ------
        ValueError
            It is another network's.
        """
        missing, unexpected = self.load_state_dict(state, strict=False)
        if unexpected or any(name.split(".")[0] not in LATER_HEADS for name in missing):
            message = f"not a checkpoint of this network: missing {missing}, unexpected {unexpected}"
            raise ValueError(message)
