"""One training loop for both networks: planned batches, a warm-up, checkpoints to resume from.

The plan of all batches is drawn from the seed before the first step, so a run that was stopped goes on as if it had not
been: the checkpoint holds weights, optimizer and the number of the next step.
"""

import json
import random
import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from training.network import Outputs, Reader

MAX_TOKENS = 128
DIMENSION_VARIANCE = (0.25, 0.05, 0.08)
"""Of valence, arousal and intensity in the own corpus: so that a loss of 1 means "no better than the mean" for each."""
EMOBANK_VARIANCE = (0.12, 0.066)
"""Of valence and arousal in EmoBank."""
Targets = dict[str, Tensor]
"""Named rows of numbers, one row a text; NaN where nothing is known (-1 for the tags of tokens)."""


@dataclass(frozen=True)
class Plan:
    """How long and how hard to train."""

    batch: int = 32
    encoder_rate: float = 4e-5
    head_rate: float = 1e-3
    layer_decay: float = 1.0
    warm_up: float = 0.06
    seed: int = 1
    save_every: int = 200


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> list[list[int]]:
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [e.ids for e in tokenizer.encode_batch(list(texts))]


def pad(rows: Sequence[list[int]], pad_id: int) -> tuple[Tensor, Tensor]:
    longest = max(len(r) for r in rows)
    ids = torch.tensor([r + [pad_id] * (longest - len(r)) for r in rows])
    mask = torch.tensor([[1] * len(r) + [0] * (longest - len(r)) for r in rows])
    return ids, mask


def plan_batches(lengths: Sequence[int], epochs: Sequence[Sequence[int]], size: int, seed: int) -> list[list[int]]:
    """Shuffle each epoch, gather texts of like length into batches, shuffle the batches."""
    chance = random.Random(seed)  # noqa: S311 - a shuffle, not a secret
    out: list[list[int]] = []
    for epoch in epochs:
        order = list(epoch)
        chance.shuffle(order)
        batches: list[list[int]] = []
        for start in range(0, len(order), size * 40):
            pool = sorted(order[start : start + size * 40], key=lengths.__getitem__)
            batches += [pool[i : i + size] for i in range(0, len(pool), size)]
        chance.shuffle(batches)
        out += batches
    return out


def _known(loss: Tensor, target: Tensor) -> Tensor:
    """Sum the labels of each row and take the mean over the rows that have any; 0 when none has."""
    known = ~torch.isnan(target)
    rows = known.any(dim=1).sum()
    return torch.where(known, loss, torch.zeros_like(loss)).sum() / rows.clamp(min=1)


def _bce(logits: Tensor, target: Tensor) -> Tensor:
    return _known(functional.binary_cross_entropy_with_logits(logits, target.nan_to_num(0.0), reduction="none"), target)


def _cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return _known(-functional.log_softmax(logits, dim=1) * target.nan_to_num(0.0), target)


def _squares(said: Tensor, target: Tensor, variance: Sequence[float]) -> Tensor:
    return _known((said - target.nan_to_num(0.0)) ** 2 / torch.tensor(variance), target)


def _tags(logits: Tensor, target: Tensor) -> Tensor:
    """Take the mean over the tokens that are labelled; *target* is (rows, MAX_TOKENS), below 0 where nothing is known."""
    target = target[:, : logits.shape[1]]
    known = target >= 0
    if not known.any():
        return logits.sum() * 0.0
    return functional.cross_entropy(logits[known], target[known])


def _direction(said: Tensor, target: Tensor) -> Tensor:
    """Take 1 less the cosine; *target* has rows that are known whole or not at all."""
    known = ~torch.isnan(target[:, 0])
    return (1 - functional.cosine_similarity(said[known], target[known].float())).mean() if known.any() else said.sum() * 0.0


def losses(out: Outputs, want: Targets, reader: Reader) -> dict[str, Tensor]:
    """Give the loss of every target that *want* holds, on what is known of this batch, gold and soft labels alike."""
    main = out["core"] * reader.main_scale
    rules: dict[str, Callable[[Tensor], Tensor]] = {
        "core": lambda t: _bce(out["core"][:, :6], t),
        "main": lambda t: _cross_entropy(main, t),
        "dimensions": lambda t: _squares(out["dimensions"], t, DIMENSION_VARIANCE),
        "go": lambda t: _bce(out["go"], t),
        "emobank": lambda t: _squares(out["emobank"], t, EMOBANK_VARIANCE),
        "sign": lambda t: _bce(out["sign"], t),
        "traits": lambda t: _bce(out["traits"], t),
        "safety": lambda t: _bce(out["safety"], t),
        "hostility": lambda t: _bce(out["hostility"], t),
        "mode": lambda t: _cross_entropy(out["mode"], t),
        "beliefs": lambda t: _tags(out["beliefs"], t),
        "vector": lambda t: _direction(out["echo"], t),
    }
    return {name: rules[name.removeprefix("soft_")](target) for name, target in want.items()}


def _groups(reader: Reader, plan: Plan) -> list[dict[str, object]]:
    """Set a rate for each layer: the lower it lies, the less it is moved."""
    layers = reader.encoder.encoder.layer
    depth = len(layers)
    heads, groups = [], []
    by_layer: dict[int, list[nn.Parameter]] = {}
    for name, parameter in reader.named_parameters():
        if not parameter.requires_grad:
            continue
        if not name.startswith("encoder."):
            heads.append(parameter)
            continue
        parts = name.split(".")
        level = int(parts[parts.index("layer") + 1]) + 1 if "layer" in parts else depth if "relative" in name else 0
        by_layer.setdefault(level, []).append(parameter)
    for level, parameters in by_layer.items():
        groups.append({"params": parameters, "lr": plan.encoder_rate * plan.layer_decay ** (depth - level)})
    groups.append({"params": heads, "lr": plan.head_rate})
    return groups


class Run:
    """Weights, optimizer, schedule and place in the plan: what a checkpoint holds."""

    def __init__(self, reader: Reader, plan: Plan, total: int, folder: Path) -> None:
        warm = max(1, int(total * plan.warm_up))
        self.reader, self.total, self.folder = reader, total, folder
        self.optimizer = torch.optim.AdamW(_groups(reader, plan), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda step: min((step + 1) / warm, max(0.0, (total - step) / (total - warm)))
        )
        self.step, self.spent, self.began = 0, 0.0, time.monotonic()

    def resume(self) -> None:
        """Go on from the folder's checkpoint, if there is one."""
        path = self.folder / "checkpoint.pt"
        if path.exists():
            state = torch.load(path, weights_only=True)
            self.reader.restore(state["reader"])
            if "optimizer" in state:
                self.optimizer.load_state_dict(state["optimizer"])
                self.schedule.load_state_dict(state["schedule"])
            self.step, self.spent = int(state["step"]), float(state["spent"])

    @property
    def seconds(self) -> float:
        return self.spent + time.monotonic() - self.began

    def save(self) -> None:
        """Write the checkpoint beside the old one and take its place in one move."""
        state = {"reader": self.reader.state_dict(), "step": self.step, "spent": self.seconds}
        if self.step < self.total:  # a finished run needs its weights alone
            state |= {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}
        part = self.folder / "checkpoint.part"
        torch.save(state, part)
        part.replace(self.folder / "checkpoint.pt")
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        used = {"seconds": self.seconds, "peak_mib": peak, "steps": self.step}
        (self.folder / "used.json").write_text(json.dumps(used), encoding="utf-8")

    def learn(self, loss: Tensor) -> None:
        loss.backward()
        nn.utils.clip_grad_norm_(self.reader.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.schedule.step()
        self.step += 1


@dataclass(frozen=True)
class Lesson:
    """What is learnt from: token ids, labels, the order of the batches, and how much each loss weighs."""

    rows: Sequence[list[int]]
    want: Targets
    batches: Sequence[list[int]]
    weights: Mapping[str, float]
    pad_id: int


def fit(reader: Reader, lesson: Lesson, plan: Plan, folder: Path) -> None:
    """Train *reader* along the lesson's batches, going on from *folder* if a checkpoint is there."""
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(reader, plan, len(lesson.batches), folder)
    run.resume()
    torch.manual_seed(plan.seed + run.step)
    reader.train()
    seen: dict[str, float] = {}
    while run.step < run.total:
        index = lesson.batches[run.step]
        ids, mask = pad([lesson.rows[i] for i in index], lesson.pad_id)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = reader(ids, mask)
        found = losses(out, {k: v[index] for k, v in lesson.want.items()}, reader)
        run.learn(torch.stack([value * lesson.weights.get(name, 1.0) for name, value in found.items()]).sum())
        for name, value in found.items():
            seen[name] = 0.98 * seen.get(name, value.item()) + 0.02 * value.item()
        if run.step % 20 == 0 or run.step == run.total:
            rest = " ".join(f"{k} {v:.3f}" for k, v in seen.items())
            print(f"step {run.step}/{run.total} · {run.seconds / 60:.1f} min · {rest}", flush=True)
        if run.step % plan.save_every == 0 or run.step == run.total:
            run.save()


@torch.inference_mode()
def predict(reader: Reader, rows: Sequence[list[int]], *, pad_id: int, batch: int = 64) -> dict[str, Tensor]:
    """Read *rows*, shortest first; results come in the order of *rows*."""
    reader.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found: dict[str, list[Tensor]] = {}
    for start in range(0, len(order), batch):
        ids, mask = pad([rows[i] for i in order[start : start + batch]], pad_id)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = reader(ids, mask)
        for name, values in out.items():
            if name not in {"beliefs", "echo"}:  # numbers a token, of different lengths; what is for training alone
                found.setdefault(name, []).append(values)
        if start // batch % 50 == 0:
            print(f"read {start}/{len(order)}", flush=True)
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return {name: torch.cat(parts)[back] for name, parts in found.items()}
