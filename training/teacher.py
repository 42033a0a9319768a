"""The teacher: all-mpnet-base-v2 on the own corpus, part of GoEmotions and EmoBank; then it labels every text there is.

``python -m training.teacher --data DIR --runs DIR`` resumes where it was stopped.
"""

import random
from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor

from training import bases, data
from training.fit import Lesson, Plan, Targets, encode, fit, plan_batches, predict
from training.network import Reader
from training.prepare import normaliser
from training.vary import vary

FROZEN_LAYERS = 2


@dataclass(frozen=True)
class Stage:
    """One pass of teaching the teacher."""

    name: str
    rounds: int
    """Own texts up to this round of writing are learnt from."""
    epochs: int
    plan: Plan
    public: dict[str, int]
    """How many public messages it sees, once in the stage: enough to know their ways; more of them draw everything to neutral."""
    weights: dict[str, float]
    tasks: bool = False
    """Whether it learns safety, hostility and mode too, also from files that tell nothing else."""
    replay: float = 1.0
    """Share of the own texts of earlier rounds that an epoch shows again."""


EMOTIONS_ALONE = {"safety": 0.0, "hostility": 0.0, "mode": 0.0}
STAGES = (
    Stage(
        "teacher",
        rounds=1,
        epochs=3,
        plan=Plan(encoder_rate=4e-5, head_rate=1e-3, layer_decay=0.95, seed=1),
        public={"goemotions": 7000, "emobank": 3500},
        weights=EMOTIONS_ALONE | {"go": 0.5, "emobank": 0.25, "sign": 0.0, "traits": 0.0},
    ),
    # Goes on with what was written against the mistakes of the first, and is told that the sign of valence matters.
    Stage(
        "teacher-second",
        rounds=2,
        epochs=2,
        plan=Plan(encoder_rate=3.5e-5, head_rate=5e-4, layer_decay=0.95, seed=2),
        public={"goemotions": 4000, "emobank": 3500},
        weights=EMOTIONS_ALONE | {"go": 0.5, "emobank": 0.5, "sign": 0.5, "traits": 0.25},
    ),
    Stage(
        "teacher-third",
        rounds=3,
        epochs=2,
        plan=Plan(encoder_rate=3.5e-5, head_rate=1e-3, layer_decay=0.95, seed=3),
        public={"goemotions": 2000, "emobank": 2000},
        weights={"go": 0.5, "emobank": 0.5, "sign": 0.5, "traits": 0.25},
        tasks=True,
        replay=0.4,
    ),
)
HEARD = "heard"
"""Folder of the runs with what the teacher said."""
AT_ONCE = 4096
"""Texts read between one file and the next: about a minute."""
CLEAR_SIGN = 0.2
"""From which valence on its sign counts as known."""


def build(runs: Path) -> Reader:
    encoder = bases.mpnet(bases.mpnet_folder(runs / "mpnet"))
    for parameter in encoder.embeddings.parameters():
        parameter.requires_grad = False
    for layer in encoder.encoder.layer[:FROZEN_LAYERS]:
        for parameter in layer.parameters():
            parameter.requires_grad = False
    return Reader(encoder, 768)


def sign(valence: Tensor) -> Tensor:
    """Say of each valence whether it is above 0; NaN where that is not clear or not known."""
    return torch.where(valence.abs() >= CLEAR_SIGN, (valence > 0).float(), torch.nan)


def lesson(stage: Stage, source: Path, runs: Path) -> Lesson:
    """Gather what *stage* learns from: its rounds of the own corpus in every epoch, its share of the public sets spread over them."""
    tokenizer = bases.mpnet_tokenizer(bases.mpnet_folder(runs / "mpnet"))
    clean = normaliser()
    known = [e for e in data.everything(source) if e.part == "train" and e.round <= stage.rounds]
    examples = [e for e in known if e.core is not None or e.go or e.emobank or (stage.tasks and e.has_task)]
    rows = encode(tokenizer, [clean(e.text) for e in examples])
    want = {k: torch.tensor(v) for k, v in data.targets(examples).items()}
    want["sign"] = sign(want["dimensions"][:, :1])
    chance = random.Random(stage.plan.seed)  # noqa: S311 - a sample, not a secret
    public = [i for name, n in stage.public.items() for i in chance.sample([j for j, e in enumerate(examples) if e.source == name], n)]
    chance.shuffle(public)
    share = -(-len(public) // stage.epochs)
    epochs = [_own(stage, examples, chance) + public[k * share : (k + 1) * share] for k in range(stage.epochs)]
    batches = plan_batches([len(r) for r in rows], epochs, stage.plan.batch, stage.plan.seed)
    return Lesson(rows, want, batches, stage.weights, pad_id=1)


def _own(stage: Stage, examples: list[data.Example], chance: random.Random) -> list[int]:
    """Give the own texts that an epoch shows: all of the stage's round of writing, and a share of those before."""
    own = [i for i, e in enumerate(examples) if not (e.go or e.emobank)]
    return own if stage.replay == 1 else [i for i in own if examples[i].round == stage.rounds or chance.random() < stage.replay]


def train(stage: Stage, source: Path, runs: Path) -> None:
    """Train *stage*, or go on with it; it begins where the stage before it ended."""
    earlier = STAGES[: STAGES.index(stage)]
    reader = trained(earlier[-1], runs) if earlier else build(runs)
    fit(reader, lesson(stage, source, runs), stage.plan, runs / stage.name)


def chosen(source: Path) -> list[data.Example]:
    """Give the texts that the teacher reads to the student: all own ones with a variant of each, EmoBank, a share of the others."""
    every = {"goemotions": 2, "davidson": 3}
    read = [e for e in data.everything(source) if e.part == "train" and int(data.key(e), 16) % every.get(e.source, 1) == 0]
    return read + vary([e for e in read if e.source not in data.PUBLIC])


def heard(runs: Path) -> tuple[dict[str, int], Targets]:
    """Give what the teacher has said: the row of each text's key, and the rows."""
    said = [torch.load(path, weights_only=True) for path in sorted((runs / HEARD).glob("*.pt"))]
    keys = [key for labels in said for key in labels.pop("keys")]
    return {key: i for i, key in enumerate(keys)}, {head: torch.cat([labels[head] for labels in said]) for head in said[0]}


def label(source: Path, runs: Path) -> None:
    """Let the teacher read every chosen text that it has not read yet, and keep what it says as targets under each text's key.

    It is kept in one file for so many texts, so that this goes on where it was stopped and where the corpus has grown.
    """
    folder = runs / HEARD
    folder.mkdir(parents=True, exist_ok=True)
    known = {key for path in folder.glob("*.pt") for key in torch.load(path, weights_only=True, mmap=True)["keys"]}
    unread = list({key: e for e in chosen(source) if (key := data.key(e)) not in known}.items())
    tokenizer = bases.mpnet_tokenizer(bases.mpnet_folder(runs / "mpnet"))
    clean = normaliser()
    reader = trained(STAGES[-1], runs)
    for start in range(0, len(unread), AT_ONCE):
        keys, examples = zip(*unread[start : start + AT_ONCE], strict=True)
        said = predict(reader, encode(tokenizer, [clean(e.text) for e in examples]), pad_id=1)
        part = folder / "part"
        torch.save({"keys": list(keys), **soft(said, float(reader.main_scale.detach()))}, part)
        part.replace(folder / f"{len(list(folder.glob('*.pt'))):04}.pt")
        print(f"the teacher has read {min(start + AT_ONCE, len(unread))} of {len(unread)} texts", flush=True)


def soft(said: Targets, main_scale: float) -> Targets:
    """Turn logits into soft targets."""
    return {
        "soft_core": torch.sigmoid(said["core"][:, :6]),
        "soft_main": torch.softmax(said["core"] * main_scale, dim=1),
        "soft_dimensions": said["dimensions"],
        "soft_go": torch.sigmoid(said["go"]),
        **{f"soft_{name}": torch.sigmoid(said[name]) for name in ("traits", "safety", "hostility")},
        "soft_mode": torch.softmax(said["mode"], dim=1),
        "vector": said["vector"].half(),
    }


def trained(stage: Stage, runs: Path) -> Reader:
    reader = build(runs)
    state = torch.load(runs / stage.name / "checkpoint.pt", weights_only=True)["reader"]
    reader.restore(state)
    return reader


def teach(source: Path, runs: Path) -> None:
    """Train every stage of the teacher, and let the last label the texts that the student will learn from."""
    for stage in STAGES:
        torch.manual_seed(stage.plan.seed)
        train(stage, source, runs)
    label(source, runs)


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    teach(source, runs)


if __name__ == "__main__":
    main()
