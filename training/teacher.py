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
from training.fit import Lesson, Plan, encode, fit, plan_batches, predict
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
    """Whether it learns safety, hostility and mode too, also from files that tell nothing else; its labels are then for the own
    texts and their variants, the public ones having been read by the stages before."""
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


def chosen(stage: Stage, source: Path) -> list[data.Example]:
    """Give the texts that *stage* labels: all of the own corpus and EmoBank, half of GoEmotions, a third of the tweets.

    A stage with tasks labels the own corpus and variants of half of it.
    """
    if stage.tasks:
        own = [e for e in data.corpus() if e.part == "train" and e.round <= stage.rounds]
        return own + vary(own[::2], stage.plan.seed)
    every = {"goemotions": 2, "davidson": 3}
    known = (e for e in data.everything(source) if e.round <= stage.rounds)
    return [e for i, e in enumerate(known) if e.part == "train" and i % every.get(e.source, 1) == 0]


def heard(stage: Stage, runs: Path) -> tuple[dict[str, int], dict[str, Tensor]]:
    """Give what all stages up to *stage* said: the row of each text's key, and the rows; of two words the later counts."""
    said = [torch.load(runs / s.name / "labels.pt", weights_only=True) for s in STAGES[: STAGES.index(stage) + 1]]
    keys = [key for labels in said for key in labels.pop("keys")]
    widths = {head: values.shape[1] for labels in said for head, values in labels.items()}

    def column(head: str, width: int) -> Tensor:
        return torch.cat([labels.get(head, torch.full((len(labels["soft_core"]), width), torch.nan)) for labels in said])

    return {key: i for i, key in enumerate(keys)}, {head: column(head, width) for head, width in widths.items()}


def label(stage: Stage, source: Path, runs: Path) -> None:
    """Let the teacher as *stage* left it read every chosen text, and keep what it says as targets under each text's key."""
    path = runs / stage.name / "labels.pt"
    if path.exists():
        return
    examples = chosen(stage, source)
    tokenizer = bases.mpnet_tokenizer(bases.mpnet_folder(runs / "mpnet"))
    clean = normaliser()
    reader = trained(stage, runs)
    said = predict(reader, encode(tokenizer, [clean(e.text) for e in examples]), pad_id=1)
    torch.save({"keys": [data.key(e) for e in examples], **soft(said, float(reader.main_scale.detach()), tasks=stage.tasks)}, path)


def soft(said: dict[str, Tensor], main_scale: float, *, tasks: bool) -> dict[str, Tensor]:
    """Turn logits into soft targets; those of the heads that only a stage with *tasks* has trained are left out before it."""
    found = {
        "soft_core": torch.sigmoid(said["core"][:, :6]),
        "soft_main": torch.softmax(said["core"] * main_scale, dim=1),
        "soft_dimensions": said["dimensions"],
        "soft_go": torch.sigmoid(said["go"]),
    }
    if tasks:
        found |= {f"soft_{name}": torch.sigmoid(said[name]) for name in ("traits", "safety", "hostility")}
        found["soft_mode"] = torch.softmax(said["mode"], dim=1)
    return found


def trained(stage: Stage, runs: Path) -> Reader:
    reader = build(runs)
    state = torch.load(runs / stage.name / "checkpoint.pt", weights_only=True)["reader"]
    reader.restore(state)
    return reader


def teach(source: Path, runs: Path) -> None:
    """Train every stage of the teacher, and let each label the texts that the student will learn from."""
    for stage in STAGES:
        torch.manual_seed(stage.plan.seed)
        train(stage, source, runs)
        label(stage, source, runs)


@click.command()
@click.option("--data", "source", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("training/runs"))
def main(source: Path, runs: Path) -> None:
    teach(source, runs)


if __name__ == "__main__":
    main()
