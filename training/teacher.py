"""The teacher: all-mpnet-base-v2 on the own corpus, part of GoEmotions and EmoBank; then it labels every text there is.

``python -m training.teacher --data DIR --runs DIR`` resumes where it was stopped.
"""

import random
from pathlib import Path

import click
import torch

from training import bases, data
from training.fit import Plan, encode, fit, plan_batches, predict
from training.network import Reader
from training.prepare import normaliser

EPOCHS = 3
PUBLIC = {"goemotions": 7000, "emobank": 3500}
"""How many public messages the teacher sees, once: enough to know their ways; more of them draw everything to neutral."""
FROZEN_LAYERS = 2


def build(runs: Path) -> Reader:
    encoder = bases.mpnet(bases.mpnet_folder(runs / "mpnet"))
    for parameter in encoder.embeddings.parameters():  # type: ignore[union-attr]
        parameter.requires_grad = False
    for layer in encoder.encoder.layer[:FROZEN_LAYERS]:  # type: ignore[union-attr,index]
        for parameter in layer.parameters():
            parameter.requires_grad = False
    return Reader(encoder, 768)


def train(source: Path, runs: Path) -> Reader:
    tokenizer = bases.mpnet_tokenizer(bases.mpnet_folder(runs / "mpnet"))
    clean = normaliser()
    examples = [e for e in data.everything(source) if e.part == "train" and (e.core is not None or e.go or e.emobank)]
    rows = encode(tokenizer, [clean(e.text) for e in examples])
    want = {k: torch.tensor(v) for k, v in data.targets(examples).items()}
    plan = Plan(encoder_rate=4e-5, head_rate=1e-3, layer_decay=0.95)
    own = [i for i, e in enumerate(examples) if e.core is not None]
    chance = random.Random(plan.seed)  # noqa: S311 - a sample, not a secret
    public = [i for name, n in PUBLIC.items() for i in chance.sample([j for j, e in enumerate(examples) if e.source == name], n)]
    chance.shuffle(public)
    share = -(-len(public) // EPOCHS)
    epochs = [own + public[k * share : (k + 1) * share] for k in range(EPOCHS)]
    batches = plan_batches([len(r) for r in rows], epochs, plan.batch, plan.seed)
    reader = build(runs)
    fit(reader, rows, want, batches, plan, runs / "teacher", pad_id=1, weights={"go": 0.5, "emobank": 0.5})
    return reader


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    torch.manual_seed(1)
    reader = train(source, runs)
    examples = data.everything(source)
    tokenizer = bases.mpnet_tokenizer(bases.mpnet_folder(runs / "mpnet"))
    clean = normaliser()
    rows = encode(tokenizer, [clean(e.text) for e in examples])
    labels = predict(reader, rows, pad_id=1)
    torch.save(labels, runs / "teacher" / "labels.pt")


if __name__ == "__main__":
    main()
