"""One training loop for both networks: planned batches, a warm-up, checkpoints to resume from.

The plan of all batches is drawn from the seed before the first step, so a run that was stopped goes on as if it had not
been: the checkpoint holds weights, optimizer and the number of the next step.
"""

import json
import random
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional as F

from training.network import Outputs, Reader

MAX_TOKENS = 128
Targets = dict[str, Tensor]
"""Named rows of numbers, one row a text; NaN where nothing is known."""


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


def losses(out: Outputs, want: Targets, reader: Reader) -> dict[str, Tensor]:
    """Give the loss of every head on what is known of this batch, gold and soft labels alike."""

    def bce(logits: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(logits, target.nan_to_num(0.0), reduction="none")

    dim_weight = torch.tensor([2.0, 2.0, 2.0])
    main = -F.log_softmax(out["core"] * reader.main_scale, dim=1)
    bank = (out["emobank"] - want["emobank"].nan_to_num(0.0)) ** 2 / torch.tensor([0.12, 0.066])
    gap = (out["dimensions"] - want["dimensions"].nan_to_num(0.0)) ** 2 / torch.tensor([0.25, 0.05, 0.08])
    found = {
        "core": _known(bce(out["core"][:, :6], want["core"]), want["core"]),
        "main": _known(main * want["main"].nan_to_num(0.0), want["main"]),
        "dimensions": _known(gap * dim_weight, want["dimensions"]) * 0.5,
        "go": _known(bce(out["go"], want["go"]), want["go"]),
        "emobank": _known(bank, want["emobank"]) * 0.5,
    }
    if "soft_core" in want:
        found["soft_core"] = _known(bce(out["core"][:, :6], want["soft_core"]), want["soft_core"])
        found["soft_main"] = _known(main * want["soft_main"].nan_to_num(0.0), want["soft_main"])
        soft = (out["dimensions"] - want["soft_dimensions"].nan_to_num(0.0)) ** 2 / torch.tensor([0.25, 0.05, 0.08])
        found["soft_dimensions"] = _known(soft * dim_weight, want["soft_dimensions"]) * 0.5
    return found


def _groups(reader: Reader, plan: Plan) -> list[dict[str, object]]:
    """Set a rate for each layer: the lower it lies, the less it is moved."""
    layers = reader.encoder.encoder.layer  # type: ignore[union-attr]
    depth = len(layers)  # type: ignore[arg-type]
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


def fit(
    reader: Reader,
    rows: Sequence[list[int]],
    want: Targets,
    batches: Sequence[list[int]],
    plan: Plan,
    folder: Path,
    *,
    pad_id: int,
    weights: dict[str, float],
    say: Callable[[str], None] = print,
) -> dict[str, float]:
    """Train *reader* along *batches*, resuming from *folder* if a checkpoint is there; give time and memory used."""
    folder.mkdir(parents=True, exist_ok=True)
    optimizer = torch.optim.AdamW(_groups(reader, plan), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
    total, warm = len(batches), max(1, int(len(batches) * plan.warm_up))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: min((s + 1) / warm, max(0.0, (total - s) / (total - warm))))
    step, spent = _resume(folder, reader, optimizer, schedule)
    torch.manual_seed(plan.seed + step)
    reader.train()
    began, seen = time.monotonic(), dict[str, float]()
    while step < total:
        index = batches[step]
        ids, mask = pad([rows[i] for i in index], pad_id)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = reader(ids, mask)
        found = losses(out, {k: v[index] for k, v in want.items()}, reader)
        loss = torch.stack([found[k] * weights.get(k, 1.0) for k in found]).sum()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        step += 1
        for name, value in found.items():
            seen[name] = 0.98 * seen.get(name, value.item()) + 0.02 * value.item()
        if step % 20 == 0 or step == total:
            rest = " ".join(f"{k} {v:.3f}" for k, v in seen.items())
            say(f"step {step}/{total} · {(time.monotonic() - began + spent) / 60:.1f} min · {rest}")
        if step % plan.save_every == 0 or step == total:
            _save(folder, reader, optimizer, schedule, step, spent + time.monotonic() - began)
    used = {"seconds": spent + time.monotonic() - began, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "steps": total}
    (folder / "used.json").write_text(json.dumps(used))
    return used


def _save(folder: Path, reader: Reader, optimizer: torch.optim.Optimizer, schedule: object, step: int, spent: float) -> None:
    state = {"reader": reader.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict(), "step": step, "spent": spent}  # type: ignore[attr-defined]
    part = folder / "checkpoint.part"
    torch.save(state, part)
    part.replace(folder / "checkpoint.pt")


def _resume(folder: Path, reader: Reader, optimizer: torch.optim.Optimizer, schedule: object) -> tuple[int, float]:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    reader.load_state_dict(state["reader"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])  # type: ignore[attr-defined]
    return int(state["step"]), float(state["spent"])


@torch.inference_mode()
def predict(reader: Reader, rows: Sequence[list[int]], *, pad_id: int, batch: int = 64, say: Callable[[str], None] = print) -> dict[str, Tensor]:
    """Read *rows*, shortest first; results come in the order of *rows*."""
    reader.eval()
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found: dict[str, list[Tensor]] = {}
    for start in range(0, len(order), batch):
        ids, mask = pad([rows[i] for i in order[start : start + batch]], pad_id)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = reader(ids, mask)
        for name in ("core", "dimensions", "go", "emobank"):
            found.setdefault(name, []).append(out[name].float())  # type: ignore[literal-required]
        if start // batch % 50 == 0:
            say(f"read {start}/{len(order)}")
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return {name: torch.cat(parts)[back] for name, parts in found.items()}
