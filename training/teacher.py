"""The teacher: all-mpnet-base-v2 on the own corpus, part of GoEmotions and EmoBank; then it labels every text there is.

``python -m training.teacher --data DIR --runs DIR`` resumes where it was stopped.
"""

import random
from pathlib import Path

import click
import torch
from torch import Tensor

from training import bases, data
from training.fit import Lesson, Plan, encode, fit, plan_batches, predict
from training.network import Reader
from training.prepare import normaliser

EPOCHS = 3
PUBLIC = {"goemotions": 7000, "emobank": 3500}
"""How many public messages the teacher sees, once: enough to know their ways; more of them draw everything to neutral."""
FROZEN_LAYERS = 2
FOLDER = "teacher"


def build(runs: Path) -> Reader:
    encoder = bases.mpnet(bases.mpnet_folder(runs / "mpnet"))
    for parameter in encoder.embeddings.parameters():
        parameter.requires_grad = False
    for layer in encoder.encoder.layer[:FROZEN_LAYERS]:
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
    fit(reader, Lesson(rows, want, batches, {"go": 0.5, "emobank": 0.25}, pad_id=1), plan, runs / FOLDER)
    return reader


def chosen(source: Path) -> list[data.Example]:
    """Give the texts that the first round labels: all of the own corpus and EmoBank, half of GoEmotions, a third of the tweets."""
    every = {"goemotions": 2, "davidson": 3}
    return [e for i, e in enumerate(data.everything(source)) if e.part == "train" and i % every.get(e.source, 1) == 0]


def label(source: Path, runs: Path) -> None:
    """Let the teacher read every chosen text, and keep what it says as targets under each text's key."""
    path = runs / FOLDER / "labels.pt"
    if path.exists():
        return
    examples = chosen(source)
    tokenizer = bases.mpnet_tokenizer(bases.mpnet_folder(runs / "mpnet"))
    clean = normaliser()
    reader = trained(runs)
    said = predict(reader, encode(tokenizer, [clean(e.text) for e in examples]), pad_id=1)
    torch.save({"keys": [data.key(e) for e in examples], **soft(said, float(reader.main_scale))}, path)


def soft(said: dict[str, Tensor], main_scale: float) -> dict[str, Tensor]:
    """Turn logits into soft targets."""
    return {
        "soft_core": torch.sigmoid(said["core"][:, :6]),
        "soft_main": torch.softmax(said["core"] * main_scale, dim=1),
        "soft_dimensions": said["dimensions"],
        "soft_go": torch.sigmoid(said["go"]),
    }


def trained(runs: Path) -> Reader:
    reader = build(runs)
    state = torch.load(runs / FOLDER / "checkpoint.pt", weights_only=True)["reader"]
    reader.load_state_dict(state)
    return reader


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    torch.manual_seed(1)
    train(source, runs)
    label(source, runs)


if __name__ == "__main__":
    main()
