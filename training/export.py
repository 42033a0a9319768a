"""From the trained student to the files that ship: the int8 graph, the tokenizer, and what the engine must know of them."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training import bases
from training.fit import MAX_TOKENS
from training.graph import build
from training.network import Reader

LAYERS = 6
NAME = "emotion-v2"


def _folded(reader: Reader, calibration: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    """Give the heads with their calibration folded in: scale · (W x + b) + shift is linear too."""

    def head(layer: Any, scale: object, shift: object) -> tuple[NDArray[Any], NDArray[Any]]:  # noqa: ANN401 - a torch layer
        factor, offset = np.asarray(scale, np.float64), np.asarray(shift, np.float64)
        weight, bias = (p.detach().double().numpy() for p in (layer.weight, layer.bias))
        return weight * factor[:, None], bias * factor + offset

    core, core_bias = head(reader.core, calibration["core_scale"], calibration["core_shift"])
    category, category_bias = head(reader.core, [calibration["category_scale"]] * 7, calibration["category_shift"])
    go, go_bias = head(reader.go, calibration["go_scale"], calibration["go_shift"])
    traits, traits_bias = head(reader.traits, calibration["traits_scale"], calibration["traits_shift"])
    safety, safety_bias = head(reader.safety, calibration["safety_scale"], calibration["safety_shift"])
    hostility, hostility_bias = head(reader.hostility, calibration["hostility_scale"], calibration["hostility_shift"])
    mode, mode_bias = head(reader.mode, [calibration["mode_scale"]] * 6, [0.0] * 6)
    beliefs, beliefs_bias = head(reader.beliefs, [1.0] * 7, [0.0] * 7)
    dimensions, dimensions_bias = head(reader.dimensions, calibration["dimension_scale"], [0.0] * 3)
    return {
        "core.weight": core[:6],
        "core.bias": core_bias[:6],
        "category.weight": category,
        "category.bias": category_bias,
        "go.weight": go,
        "go.bias": go_bias,
        "valence.weight": dimensions[:1],
        "valence.bias": dimensions_bias[:1],
        "unit.weight": np.concatenate([dimensions[1:], traits, safety, hostility]),
        "unit.bias": np.concatenate([dimensions_bias[1:], traits_bias, safety_bias, hostility_bias]),
        "mode.weight": mode,
        "mode.bias": mode_bias,
        "beliefs.weight": beliefs,
        "beliefs.bias": beliefs_bias,
        "alarm.weight": safety[:1],
        "alarm.bias": safety_bias[:1],
    }


def export(reader: Reader, calibration: Mapping[str, Any], folder: Path, more: Mapping[str, object], *, int8: bool = True) -> None:
    """Write ``model.onnx``, ``tokenizer.json`` and ``model.json`` into *folder*; *more* goes into the last."""
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: p.detach().float().numpy() for name, p in reader.encoder.state_dict().items()}
    weights["embeddings.position_embeddings.weight"] = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
    graph = build(weights, _folded(reader, calibration), layers=LAYERS, int8=int8).SerializeToString()
    (folder / "model.onnx").write_bytes(graph)
    (folder / "tokenizer.json").write_text(bases.minilm_tokenizer().to_str(), encoding="utf-8")
    card = {
        "name": NAME,
        "version": f"{NAME}+{hashlib.sha256(graph).hexdigest()[:8]}",
        "max_tokens": MAX_TOKENS,
        "normaliser_pieces": bases.FREQUENT,
        **more,
    }
    (folder / "model.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
