"""The student: all-MiniLM-L6-v2 with a smaller vocabulary, taught by the data's labels and by the teacher's.

``python -m training.student --data DIR --runs DIR`` resumes where it was stopped.
"""

from dataclasses import dataclass, field
from pathlib import Path

import click
import torch

from training import bases, data, teacher
from training.fit import Lesson, Plan, Targets, encode, fit, plan_batches
from training.network import Reader
from training.prepare import cut_tokenizer, kept_pieces, normaliser


@dataclass(frozen=True)
class Stage:
    """One pass of teaching: how long, how hard, how often each kind of text is shown in an epoch."""

    name: str
    epochs: int
    plan: Plan
    own: int
    emobank: int = 1
    public_every: int = 1
    """One in so many of the other public texts."""
    weights: dict[str, float] = field(default_factory=dict)

    def views(self, example: data.Example, index: int) -> int:
        if example.core is not None:
            return self.own
        return self.emobank if example.emobank else int(index % self.public_every == 0)


STAGES = (
    Stage("student", epochs=2, plan=Plan(encoder_rate=1.5e-4, head_rate=1e-3, layer_decay=0.9, seed=1), own=3),
    # The own texts are a sixth of all and the nearest to what users write. In the second stage valence gets more weight.
    Stage(
        "student-polished",
        epochs=1,
        plan=Plan(encoder_rate=6e-5, head_rate=3e-4, layer_decay=0.9, seed=2),
        own=2,
        emobank=2,
        public_every=2,
        weights={"emobank": 1.0, "sign": 1.5, "dimensions": 1.0, "soft_dimensions": 1.5},
    ),
)
WEIGHTS = {
    "core": 0.5, "main": 0.5, "dimensions": 0.75, "go": 1.0, "emobank": 0.5,
    "soft_core": 1.0, "soft_main": 1.0, "soft_dimensions": 1.0, "soft_go": 0.2, "sign": 0.5, "traits": 0.5,
}  # fmt: skip
CLEAR_SIGN = 0.2
"""From which valence on its sign counts as known."""


def build(kept: list[int]) -> Reader:
    return Reader(bases.minilm(kept), 384)


def soft_targets(examples: list[data.Example], runs: Path) -> Targets:
    """Lay what the teacher said beside *examples*; NaN where it has not read one."""
    labels = torch.load(runs / teacher.FOLDER / "labels.pt", weights_only=True)
    row = {key: i for i, key in enumerate(labels.pop("keys"))}
    index = torch.tensor([row.get(data.key(e), -1) for e in examples])
    unread = (index < 0).unsqueeze(1)
    return {head: values[index.clamp(min=0)].masked_fill(unread, torch.nan) for head, values in labels.items()}


def targets(examples: list[data.Example], runs: Path) -> Targets:
    """Lay out gold and soft labels; where GoEmotions' readers have spoken, the teacher is not heard on their labels."""
    want = {k: torch.tensor(v) for k, v in data.targets(examples).items()}
    want |= soft_targets(examples, runs)
    want["soft_go"][~torch.isnan(want["go"])] = torch.nan
    valence = torch.where(torch.isnan(want["dimensions"][:, :1]), want["soft_dimensions"][:, :1], want["dimensions"][:, :1])
    want["sign"] = torch.where(valence.abs() >= CLEAR_SIGN, (valence > 0).float(), torch.nan)
    return want


def train(source: Path, runs: Path) -> tuple[Reader, list[int]]:
    """Train it, or go on, or give it as it was when all is done; with the pieces of the base vocabulary that it kept."""
    clean = normaliser()
    every = [e for e in data.everything(source) if e.part == "train"]
    kept = kept_pieces(clean(e.text) for e in every)
    readable = {data.key(e) for e in teacher.chosen(source)}
    examples = [e for e in every if e.go or e.emobank or data.key(e) in readable]
    rows = encode(cut_tokenizer(kept), [clean(e.text) for e in examples])
    want = targets(examples, runs)
    reader = build(kept)
    for stage in STAGES:
        epoch = [i for i, e in enumerate(examples) for _ in range(stage.views(e, i))]
        batches = plan_batches([len(r) for r in rows], [epoch] * stage.epochs, stage.plan.batch, stage.plan.seed)
        torch.manual_seed(stage.plan.seed)
        fit(reader, Lesson(rows, want, batches, WEIGHTS | stage.weights, pad_id=0), stage.plan, runs / stage.name)
    return reader, kept


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    train(source, runs)


if __name__ == "__main__":
    main()
