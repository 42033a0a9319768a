"""Fits what turns the student's logits into probabilities that mean what they say, on dev data alone.

Platt's scaling for each GoEmotions label; for the six core emotions one scale and one shift for all, so that the largest
`raw` score is always the named category; a temperature for the category. All of it is folded into the graph's heads.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from training import bases, data, student, teacher
from training.fit import encode, predict
from training.network import Reader
from training.prepare import normaliser

PULL = 1e-3
"""How strongly each scale is drawn to 1 and each shift to 0: rare labels have a dozen dev rows."""
EDGE = 0.9999
"""Beyond it a value is as good as at the end of its range, and its logit would run away."""
Calibration = dict[str, list[float] | float]


def _fit(parameters: list[Tensor], loss: Callable[[], Tensor]) -> None:
    optimizer = torch.optim.LBFGS(parameters, max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    optimizer.step(closure)


def platt(logits: Tensor, target: Tensor, *, shared: bool) -> tuple[Tensor, Tensor]:
    """Fit scale and shift of each column of *logits* (rows, labels), or one pair for all columns."""
    width = 1 if shared else logits.shape[1]
    log_scale, shift = torch.zeros(width, requires_grad=True), torch.zeros(width, requires_grad=True)

    def loss() -> Tensor:
        fitted = functional.binary_cross_entropy_with_logits(logits * log_scale.exp() + shift, target)
        return fitted + PULL * (log_scale.square().mean() + shift.square().mean())

    _fit([log_scale, shift], loss)
    return log_scale.detach().exp().expand(logits.shape[1]), shift.detach().expand(logits.shape[1])


def temperature(logits: Tensor, target: Tensor, start: float) -> float:
    """Fit the factor before the softmax over *logits* (rows, 7) so that it suits the category indices in *target*."""
    log_scale = torch.tensor([start]).log().requires_grad_()
    _fit([log_scale], lambda: functional.cross_entropy(logits * log_scale.exp(), target))
    return float(log_scale.detach().exp())


def dimension_scales(said: Tensor, target: Tensor) -> list[float]:
    """Fit a factor for what stands before tanh (valence) and sigmoid (arousal, intensity), so that the square error is least.

    A distilled network says too much too surely; less slope brings its numbers back to the labels' without moving the order or a sign.
    """
    before = torch.cat([torch.atanh(said[:, :1].clamp(-EDGE, EDGE)), torch.logit(said[:, 1:], eps=1 - EDGE)], dim=1)
    log_scale = torch.zeros(3, requires_grad=True)

    def loss() -> Tensor:
        scaled = before * log_scale.exp()
        fitted = torch.cat([torch.tanh(scaled[:, :1]), torch.sigmoid(scaled[:, 1:])], dim=1)
        return (fitted - target).square().mean(0).sum() + PULL * log_scale.square().sum()

    _fit([log_scale], loss)
    return [float(v) for v in log_scale.detach().exp()]


def calibrate(reader: Reader, source: Path) -> Calibration:
    """Read the dev parts with *reader* and fit everything."""
    dev = [e for e in data.everything(source) if e.part == "dev"]
    clean = normaliser()
    out = predict(reader, encode(bases.minilm_tokenizer(), [clean(e.text) for e in dev]), pad_id=0)
    want = {k: torch.tensor(v) for k, v in data.targets(dev).items()}
    own, go = ~torch.isnan(want["core"][:, 0]), ~torch.isnan(want["go"][:, 0])
    core_scale, core_shift = platt(out["core"][own, :6], want["core"][own], shared=True)
    go_scale, go_shift = platt(out["go"][go], want["go"][go], shared=False)
    scale = temperature(out["core"][own], want["main"][own].argmax(1), float(reader.main_scale.detach()))
    return {
        "core_scale": [*core_scale.tolist(), 1.0],
        "core_shift": [*core_shift.tolist(), 0.0],
        "category_scale": scale,
        "category_shift": [0.0] * 7,
        "go_scale": go_scale.tolist(),
        "go_shift": go_shift.tolist(),
        "dimension_scale": dimension_scales(out["dimensions"][own], want["dimensions"][own]),
        "traits_scale": [1.0] * 5,
        "traits_shift": [0.0] * 5,
        **_tasks(out, want),
    }


def _tasks(out: Mapping[str, Tensor], want: Mapping[str, Tensor]) -> Calibration:
    """Fit the heads of safety, hostility and mode; a kind of danger has too few dev rows for a pair of its own."""
    safety, hostility, mode = (~torch.isnan(want[name][:, 0]) for name in ("safety", "hostility", "mode"))
    told = safety & ~torch.isnan(want["safety"]).any(1)
    safety_scale, safety_shift = platt(out["safety"][told], want["safety"][told], shared=True)
    hostility_scale, hostility_shift = platt(out["hostility"][hostility], want["hostility"][hostility], shared=True)
    return {
        "safety_scale": safety_scale.tolist(),
        "safety_shift": safety_shift.tolist(),
        "hostility_scale": hostility_scale.tolist(),
        "hostility_shift": hostility_shift.tolist(),
        "mode_scale": temperature(out["mode"][mode], want["mode"][mode].argmax(1), 1.0),
    }


def used(runs: Path) -> Mapping[str, str]:
    """Give what the training runs cost, as they wrote it down."""
    return {name: (runs / name / "used.json").read_text() for name in (s.name for s in (*teacher.STAGES, *student.STAGES))}
