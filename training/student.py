"""The student: all-MiniLM-L6-v2 with a smaller vocabulary, taught by the data's labels and by the teacher's.

``python -m training.student --data DIR --runs DIR`` resumes where it was stopped.
"""

from dataclasses import dataclass, field
from pathlib import Path

import click
import torch

from training import bases, data, teacher
from training.fit import MAX_TOKENS, Lesson, Plan, Targets, encode, fit, plan_batches
from training.network import Reader
from training.prepare import cut_tokenizer, kept_pieces, normaliser, tags


@dataclass(frozen=True)
class Stage:
    """One pass of teaching: how long, how hard, how often each kind of text is shown in an epoch."""

    name: str
    teacher: teacher.Stage
    """Whose labels it learns from; it sees the own texts up to the same round of writing."""
    epochs: int
    plan: Plan
    own: int
    emobank: int = 1
    public_every: int = 1
    """One in so many of the other public texts."""
    weights: dict[str, float] = field(default_factory=dict)

    def views(self, example: data.Example, index: int) -> int:
        if example.core is not None or (self.teacher.tasks and example.has_task):
            return self.own
        return self.emobank if example.emobank else int(index % self.public_every == 0)


FIRST, SECOND, THIRD = teacher.STAGES
STAGES = (
    Stage(
        "student",
        FIRST,
        epochs=2,
        plan=Plan(encoder_rate=1.5e-4, head_rate=1e-3, layer_decay=0.9, seed=1),
        own=3,
        weights=teacher.EMOTIONS_ALONE,
    ),
    # The own texts are a sixth of all and the nearest to what users write. In the second stage valence gets more weight.
    Stage(
        "student-polished",
        FIRST,
        epochs=1,
        plan=Plan(encoder_rate=6e-5, head_rate=3e-4, layer_decay=0.9, seed=2),
        own=2,
        emobank=2,
        public_every=2,
        weights=teacher.EMOTIONS_ALONE | {"emobank": 1.0, "sign": 1.5, "dimensions": 1.0, "soft_dimensions": 1.5},
    ),
    Stage(
        "student-second",
        SECOND,
        epochs=1,
        plan=Plan(encoder_rate=1e-4, head_rate=5e-4, layer_decay=0.9, seed=3),
        own=3,
        weights=teacher.EMOTIONS_ALONE | {"emobank": 1.0, "sign": 1.0, "soft_dimensions": 1.25},
    ),
    Stage(
        "student-third",
        THIRD,
        epochs=1,
        plan=Plan(encoder_rate=1e-4, head_rate=1e-3, layer_decay=0.9, seed=4),
        own=2,
        emobank=3,
        weights={"emobank": 1.5, "sign": 1.0, "soft_dimensions": 1.25},
    ),
)
WEIGHTS = {
    "core": 0.5, "main": 0.5, "dimensions": 0.75, "go": 1.0, "emobank": 0.5,
    "soft_core": 1.0, "soft_main": 1.0, "soft_dimensions": 1.0, "soft_go": 0.2, "sign": 0.5, "traits": 0.5,
    "safety": 0.75, "hostility": 0.5, "mode": 0.5, "soft_safety": 0.5, "soft_hostility": 0.3, "soft_mode": 0.3, "soft_traits": 0.25,
    "beliefs": 0.5,
}  # fmt: skip


def build(kept: list[int]) -> Reader:
    return Reader(bases.minilm(kept), 384)


def targets(examples: list[data.Example], rows: list[int], said: Targets) -> Targets:
    """Lay gold and soft labels side by side; where GoEmotions' readers have spoken, the teacher is not heard on their labels.

    *rows* says for each example which row of what the teacher *said* is its own; -1 for none.
    """
    want = {k: torch.tensor(v) for k, v in data.targets(examples).items()}
    index = torch.tensor(rows)
    unread = (index < 0).unsqueeze(1)
    want |= {head: values[index.clamp(min=0)].masked_fill(unread, torch.nan) for head, values in said.items()}
    want["soft_go"][~torch.isnan(want["go"])] = torch.nan
    valence = torch.where(torch.isnan(want["dimensions"][:, :1]), want["soft_dimensions"][:, :1], want["dimensions"][:, :1])
    want["sign"] = teacher.sign(valence)
    return want


def lesson(stage: Stage, kept: list[int], source: Path, runs: Path) -> Lesson:
    """Gather what *stage* learns from: every text that has labels or that its teacher has read."""
    row, said = teacher.heard(stage.teacher, runs)
    clean = normaliser()
    every = [e for e in data.everything(source) if e.part == "train" and e.round <= stage.teacher.rounds]
    if stage.teacher.tasks:
        every += [e for e in teacher.chosen(stage.teacher, source) if not e.labelled]
    examples = [e for e in every if e.labelled or data.key(e) in row]
    tokenizer = cut_tokenizer(kept)
    rows = encode(tokenizer, [clean(e.text) for e in examples])
    epoch = [i for i, e in enumerate(examples) for _ in range(stage.views(e, i))]
    batches = plan_batches([len(r) for r in rows], [epoch] * stage.epochs, stage.plan.batch, stage.plan.seed)
    want = targets(examples, [row.get(data.key(e), -1) for e in examples], said)
    if stage.teacher.tasks:
        want["beliefs"] = torch.tensor([tags(tokenizer, e, MAX_TOKENS) for e in examples])
    return Lesson(rows, want, batches, WEIGHTS | stage.weights, pad_id=0)


def vocabulary(source: Path) -> list[int]:
    """Give the pieces of the base vocabulary that the student keeps: the first round of texts settles them, for all stages."""
    clean = normaliser()
    return kept_pieces(clean(e.text) for e in data.everything(source) if e.part == "train" and e.round == 1)


def train(source: Path, runs: Path) -> tuple[Reader, list[int]]:
    """Train it, or go on, or give it as it was when all is done; with the pieces of the base vocabulary that it kept."""
    kept = vocabulary(source)
    reader = build(kept)
    for stage in STAGES:
        torch.manual_seed(stage.plan.seed)
        fit(reader, lesson(stage, kept, source, runs), stage.plan, runs / stage.name)
    return reader, kept


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    train(source, runs)


if __name__ == "__main__":
    main()
