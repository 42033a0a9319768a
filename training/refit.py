"""The last touch on the 28 labels: their head fitted to its end on the finished encoder.

While everything is learnt at once the head of GoEmotions sees its messages once or twice; with the encoder at rest it is a logistic
regression, which has one best answer.
"""

from pathlib import Path

import torch
from torch.nn import functional

from training import bases, data
from training.fit import encode, predict
from training.network import Reader
from training.prepare import normaliser

PULL = 1e-3
"""How strongly the weights are drawn to what was learnt with the encoder; chosen on a tenth of the training messages."""
_STEPS = 40


def refit(reader: Reader, source: Path) -> None:
    """Fit the 28 labels' head of *reader* to the training messages of GoEmotions, in place."""
    messages = [e for e in data.goemotions(source) if e.part == "train"]
    clean = normaliser()
    read = predict(reader, encode(bases.minilm_tokenizer(), [clean(e.text) for e in messages]), pad_id=0)
    vectors, truth = read["vector"].float().clone(), torch.tensor(data.targets(messages)["go"])  # a clone: not of inference mode
    learnt = reader.go.weight.detach().clone()
    weight, bias = learnt.clone().requires_grad_(), reader.go.bias.detach().clone().requires_grad_()
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=_STEPS, history_size=20)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        wrong = functional.binary_cross_entropy_with_logits(vectors @ weight.T + bias, truth, reduction="none").sum(1).mean()
        total = wrong + PULL * (weight - learnt).square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    with torch.no_grad():
        reader.go.weight.copy_(weight)
        reader.go.bias.copy_(bias)
