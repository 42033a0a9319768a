"""The student: all-MiniLM-L6-v2 with a smaller vocabulary, taught by the data's labels and by the teacher's.

``python -m training.student --data DIR --runs DIR`` resumes where it was stopped.
"""

from pathlib import Path

import click
import torch
from torch import Tensor

from training import bases, data
from training.fit import Lesson, Plan, Targets, encode, fit, plan_batches
from training.network import Reader
from training.prepare import cut_tokenizer, kept_pieces, normaliser
from training.teacher import chosen

EPOCHS = 2
OWN_VIEWS = 3
"""How often an epoch shows each text of the own corpus: it is a sixth of the texts and the nearest to what users write."""
WEIGHTS = {
    "core": 0.5, "main": 0.5, "dimensions": 0.75, "go": 1.0, "emobank": 0.5,
    "soft_core": 1.0, "soft_main": 1.0, "soft_dimensions": 1.0, "soft_go": 0.2, "sign": 0.5, "traits": 0.5,
}  # fmt: skip
CLEAR_SIGN = 0.2
"""From which valence on its sign counts as known."""


def build(kept: list[int]) -> Reader:
    return Reader(bases.minilm(kept), 384)


def soft_targets(examples: list[data.Example], source: Path, runs: Path) -> Targets:
    """Lay the teacher's readings beside *examples*; NaN where it has not read one."""
    teacher = torch.load(runs / "teacher" / "labels.pt", weights_only=True)
    scale = torch.load(runs / "teacher" / "checkpoint.pt", weights_only=True)["reader"]["main_scale"]
    row = {(e.source, e.text): i for i, e in enumerate(chosen(source))}
    index = [row.get((e.source, e.text), -1) for e in examples]
    unread = torch.tensor([i < 0 for i in index]).unsqueeze(1)

    def lay(values: Tensor) -> Tensor:
        return values[torch.tensor(index).clamp(min=0)].masked_fill(unread, torch.nan)

    dimensions = lay(teacher["dimensions"])
    return {
        "soft_core": lay(torch.sigmoid(teacher["core"][:, :6])),
        "soft_main": lay(torch.softmax(teacher["core"] * scale, dim=1)),
        "soft_dimensions": dimensions,
        "soft_go": lay(torch.sigmoid(teacher["go"])),
    }


def targets(examples: list[data.Example], source: Path, runs: Path) -> Targets:
    want = {k: torch.tensor(v) for k, v in data.targets(examples).items()}
    want |= soft_targets(examples, source, runs)
    want["soft_go"][~torch.isnan(want["go"])] = torch.nan
    valence = torch.where(torch.isnan(want["dimensions"][:, :1]), want["soft_dimensions"][:, :1], want["dimensions"][:, :1])
    want["sign"] = torch.where(valence.abs() >= CLEAR_SIGN, (valence > 0).float(), torch.nan)
    return want


def train(source: Path, runs: Path) -> tuple[Reader, list[int]]:
    clean = normaliser()
    every = [e for e in data.everything(source) if e.part == "train"]
    kept = kept_pieces(clean(e.text) for e in every)
    readable = {(e.source, e.text) for e in chosen(source)}
    examples = [e for e in every if e.go or e.emobank or (e.source, e.text) in readable]
    tokenizer = cut_tokenizer(kept)
    rows = encode(tokenizer, [clean(e.text) for e in examples])
    views = [OWN_VIEWS if e.core is not None else 1 for e in examples]
    epoch = [i for i, n in enumerate(views) for _ in range(n)]
    plan = Plan(encoder_rate=1.5e-4, head_rate=1e-3, layer_decay=0.9)
    batches = plan_batches([len(r) for r in rows], [epoch] * EPOCHS, plan.batch, plan.seed)
    torch.manual_seed(plan.seed)
    reader = build(kept)
    fit(reader, Lesson(rows, targets(examples, source, runs), batches, WEIGHTS, pad_id=0), plan, runs / "student")
    return reader, kept


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    train(source, runs)


if __name__ == "__main__":
    main()
