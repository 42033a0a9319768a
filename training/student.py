"""The student: all-MiniLM-L6-v2 with a smaller vocabulary, taught by the data's labels and by the teacher's.

``python -m training.student --data DIR --runs DIR`` resumes where it was stopped.
"""

from collections.abc import Sequence
from pathlib import Path

import click
import torch

from training import bases, data, teacher
from training.fit import Lesson, Plan, Targets, encode, fit, plan_batches
from training.network import Reader
from training.prepare import cut_tokenizer, kept_pieces, normaliser

FIRST, SECOND = "student", "student2"
PLANS = {
    FIRST: Plan(encoder_rate=1.5e-4, head_rate=1e-3, layer_decay=0.9, seed=1),
    SECOND: Plan(encoder_rate=6e-5, head_rate=3e-4, layer_decay=0.9, seed=2),
}
EPOCHS = 2
KEEP_EVERY = 3
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


def soft_targets(examples: list[data.Example], runs: Path, names: Sequence[str]) -> Targets:
    """Lay what the teacher said in the rounds *names* beside *examples*; the last word counts, NaN where there is none."""
    keys = [data.key(e) for e in examples]
    found: Targets = {}
    for name in names:
        labels = torch.load(runs / name / "labels.pt", weights_only=True)
        row = {key: i for i, key in enumerate(labels.pop("keys"))}
        index = torch.tensor([row.get(key, -1) for key in keys])
        for head, values in labels.items():
            old = found.get(head, torch.full((len(keys), values.shape[1]), torch.nan))
            found[head] = torch.where((index < 0).unsqueeze(1), old, values[index.clamp(min=0)])
    return found


def targets(examples: list[data.Example], runs: Path, names: Sequence[str]) -> Targets:
    want = {k: torch.tensor(v) for k, v in data.targets(examples).items()}
    want |= soft_targets(examples, runs, names)
    want["soft_go"][~torch.isnan(want["go"])] = torch.nan
    valence = torch.where(torch.isnan(want["dimensions"][:, :1]), want["soft_dimensions"][:, :1], want["dimensions"][:, :1])
    want["sign"] = torch.where(valence.abs() >= CLEAR_SIGN, (valence > 0).float(), torch.nan)
    return want


def train(source: Path, runs: Path) -> tuple[Reader, list[int]]:
    """Teach it everything: public sets, own corpus, the first teacher's labels."""
    clean = normaliser()
    every = [e for e in data.everything(source) if e.part == "train"]
    kept = kept_pieces(clean(e.text) for e in every)
    readable = {data.key(e) for e in teacher.chosen(source)}
    examples = [e for e in every if e.go or e.emobank or data.key(e) in readable]
    reader = build(kept)
    views = [OWN_VIEWS if e.core is not None else 1 for e in examples]
    _teach(reader, kept, examples, [views] * EPOCHS, runs / FIRST, (teacher.FIRST,))
    return reader, kept


def train_again(source: Path, runs: Path) -> tuple[Reader, list[int]]:
    """Go on with the grown corpus and the second teacher's labels; a third of the public sets keeps what they taught."""
    reader, kept = train(source, runs)
    own = [e for e in data.corpus(grown=True) if e.part == "train"]
    public = [e for i, e in enumerate(data.everything(source)) if e.part == "train" and (e.go or e.emobank) and i % KEEP_EVERY == 0]
    examples = own + public
    views = [OWN_VIEWS if e.core is not None else 1 for e in examples]
    _teach(reader, kept, examples, [views], runs / SECOND, (teacher.FIRST, teacher.SECOND))
    return reader, kept


def _teach(  # noqa: PLR0913, PLR0917 - called twice, in the order of the pipeline
    reader: Reader, kept: list[int], examples: list[data.Example], epochs: list[list[int]], folder: Path, names: Sequence[str]
) -> None:
    clean, plan = normaliser(), PLANS[folder.name]
    rows = encode(cut_tokenizer(kept), [clean(e.text) for e in examples])
    planned = [[i for i, n in enumerate(views) for _ in range(n)] for views in epochs]
    batches = plan_batches([len(r) for r in rows], planned, plan.batch, plan.seed)
    torch.manual_seed(plan.seed)
    fit(reader, Lesson(rows, targets(examples, folder.parent, names), batches, WEIGHTS, pad_id=0), plan, folder)


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    train_again(source, runs)


if __name__ == "__main__":
    main()
