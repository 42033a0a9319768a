"""The texts that every figure is measured on: a fixed sample of everyday messages."""

import json
import random
from pathlib import Path

_CORPUS = Path(__file__).parents[1] / "training" / "data" / "corpus"
_EVERYDAY = ("a_life", "b_work", "c_chat")
"""What people write of their days, at work, and in chats: lengths as they come."""

_SEED = 2026


def sample(count: int) -> list[str]:
    """Give the same *count* texts, in the same order, on every machine."""
    every = [
        json.loads(line)["text"] for name in _EVERYDAY for line in (_CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    return random.Random(_SEED).sample(every, count)
