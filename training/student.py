"""The student: all-MiniLM-L6-v2, taught by the data's labels, by the teacher's, and by what the teacher makes of a text inside.

``python -m training.student --data DIR --runs DIR`` resumes where it was stopped.
"""

from dataclasses import dataclass, field
from pathlib import Path

import click
import torch

from training import bases, data, teacher
from training.fit import MAX_TOKENS, Lesson, Plan, Targets, encode, fit, plan_batches
from training.network import Reader
from training.prepare import normaliser, tags
from training.vary import vary


@dataclass(frozen=True)
class Stage:
    """One pass of teaching: how long, how hard, how often each kind of text is shown in an epoch."""

    name: str
    rounds: int
    """Own texts up to this round of writing are learnt from, and their variants."""
    plan: Plan
    own: int
    """How often each own text is shown."""
    every: dict[str, int]
    """One in so many of the texts of a public set."""
    emobank: int = 1
    """How often each text of EmoBank is shown."""
    variants: int = 1
    """One in so many of the variants of own texts."""
    weights: dict[str, float] = field(default_factory=dict)

    def views(self, example: data.Example) -> int:
        if example.source not in data.PUBLIC:
            return self.own if example.labelled else int(int(data.key(example), 16) % self.variants == 0)
        if example.source == "emobank":
            return self.emobank
        return int(int(data.key(example), 16) % self.every.get(example.source, 1) == 0)


STAGES = (
    Stage("student", rounds=4, plan=Plan(encoder_rate=1.5e-4, head_rate=1e-3, layer_decay=0.9, seed=1), own=2, every={}),
    Stage(
        "student-second",
        rounds=5,
        plan=Plan(encoder_rate=1.2e-4, head_rate=5e-4, layer_decay=0.9, seed=2),
        own=2,
        every={"goemotions": 2, "davidson": 2},
        emobank=2,
        weights={"sign": 1.5, "emobank": 1.5},
    ),
    Stage(
        "student-third",
        rounds=7,
        plan=Plan(encoder_rate=1.1e-4, head_rate=5e-4, layer_decay=0.9, seed=3),
        own=2,
        every={"goemotions": 2, "davidson": 2},
        variants=2,
        weights={"sign": 1.5, "emobank": 1.5},
    ),
)
WEIGHTS = {
    "core": 0.5, "main": 0.5, "dimensions": 0.75, "go": 1.0, "emobank": 1.0,
    "soft_core": 1.0, "soft_main": 1.0, "soft_dimensions": 1.25, "soft_go": 0.2, "sign": 1.0, "traits": 0.5,
    "safety": 0.75, "hostility": 0.5, "mode": 0.5, "soft_safety": 0.5, "soft_hostility": 0.3, "soft_mode": 0.3, "soft_traits": 0.25,
    "beliefs": 0.5, "vector": 2.0,
}  # fmt: skip
LAST = 0.75
"""Share of the last stage in the weights that are shipped, the one before it has the rest: what is learnt last is not paid for with what
was known (weight averaging after fine-tuning, Wortsman et al. 2022). Chosen on dev among .6, .75 and 1."""
DOUBTED = {"safety": 0.5, "hostility": 0.3}
"""Everyday messages, in files whose readers were not asked for danger or hostility, count as free of it where the teacher says less
than this; it learnt these heads from other files and sees too much in them, so that it is not heard any further there."""


def build() -> Reader:
    return Reader(bases.minilm(), 384, echo=768)


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
    _not_against_readers(examples, want)
    for head, doubted in DOUBTED.items():
        told = {e.source for e in examples if getattr(e, head) is not None}
        outside = torch.tensor([e.source not in told for e in examples])
        want[head][outside & ~torch.isnan(want["core"][:, 0]) & (want[f"soft_{head}"][:, 0] < doubted)] = 0.0
        want[f"soft_{head}"][outside] = torch.nan
    return want


def _not_against_readers(examples: list[data.Example], want: Targets) -> None:
    """Where a text came after the teacher had learnt, it is not heard on what the text's reader saw otherwise."""
    fresh = torch.tensor([e.round > teacher.STAGES[-1].rounds and e.core is not None for e in examples])
    other_main = fresh & (want["main"].argmax(1) != want["soft_main"].nan_to_num().argmax(1))
    want["soft_main"][other_main] = want["soft_core"][other_main] = torch.nan
    told, heard = teacher.sign(want["dimensions"][:, 0]), teacher.sign(want["soft_dimensions"][:, 0])
    want["soft_dimensions"][fresh & (told + heard == 1)] = torch.nan  # one is 0 and one is 1; the sum with an unclear one is NaN


def lesson(stage: Stage, source: Path, runs: Path) -> Lesson:
    """Gather what *stage* learns from: every text that has labels or that the teacher has read."""
    row, said = teacher.heard(runs)
    said["vector"] -= said["vector"].mean(0, dtype=torch.float).half()
    known = [e for e in data.everything(source) if e.part == "train" and e.round <= stage.rounds]
    known += vary([e for e in known if e.source not in data.PUBLIC])
    examples = [e for e in known if e.labelled or data.key(e) in row]
    clean, tokenizer = normaliser(), bases.minilm_tokenizer()
    rows = encode(tokenizer, [clean(e.text) for e in examples])
    epoch = [i for i, e in enumerate(examples) for _ in range(stage.views(e))]
    batches = plan_batches([len(r) for r in rows], [epoch], stage.plan.batch, stage.plan.seed)
    want = targets(examples, [row.get(data.key(e), -1) for e in examples], said)
    want["beliefs"] = torch.tensor([tags(tokenizer, e, MAX_TOKENS) for e in examples])
    return Lesson(rows, want, batches, WEIGHTS | stage.weights, pad_id=0)


def train(source: Path, runs: Path) -> Reader:
    """Train it, or go on, or give it as it was when all is done; in the end between its last two stages."""
    reader = build()
    for stage in STAGES:
        torch.manual_seed(stage.plan.seed)
        fit(reader, lesson(stage, source, runs), stage.plan, runs / stage.name)
    before, last = (torch.load(runs / stage.name / "checkpoint.pt", weights_only=True)["reader"] for stage in STAGES[-2:])
    reader.restore({k: v.lerp(last[k], LAST) if v.is_floating_point() else last[k] for k, v in before.items()})
    return reader


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    train(source, runs)


if __name__ == "__main__":
    main()
