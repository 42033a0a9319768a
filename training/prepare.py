"""The student's vocabulary, and the words that the normaliser knows: settled before anything is trained."""

import json
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from tokenizers import Tokenizer

from kaiko_server.engine.text import Normaliser
from training import bases


@lru_cache(maxsize=1)
def normaliser() -> Normaliser:
    """Give the normaliser over the most frequent pieces of the base vocabulary, all of which the shipped one keeps."""
    return Normaliser(pieces()[: bases.RARELY])


def pieces() -> list[str]:
    vocabulary = bases.minilm_tokenizer().get_vocab()
    return sorted(vocabulary, key=vocabulary.__getitem__)


def kept_pieces(texts: Iterable[str]) -> list[int]:
    """Say which pieces of the base vocabulary the student keeps: frequent ones, single characters, those seen twice."""
    tokenizer = bases.minilm_tokenizer()
    tokenizer.no_padding()
    tokenizer.no_truncation()
    seen = Counter(i for e in tokenizer.encode_batch(list(texts)) for i in e.ids)
    unused = [p.startswith("[unused") for p in pieces()]
    return [
        i for i, piece in enumerate(pieces()) if not unused[i] and (i < bases.RARELY or seen[i] > 1 or len(piece.removeprefix("##")) == 1)
    ]


def cut_tokenizer(kept: list[int]) -> Tokenizer:
    """Give the base tokenizer with the *kept* pieces alone, numbered afresh in their old order."""
    base = json.loads(bases.minilm_tokenizer().to_str())
    fresh = {old: new for new, old in enumerate(kept)}
    base["model"]["vocab"] = {piece: fresh[old] for piece, old in base["model"]["vocab"].items() if old in fresh}
    for token in base["added_tokens"]:
        token["id"] = fresh[token["id"]]
    for token in base["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [fresh[i] for i in token["ids"]]
    for pair in ("cls", "sep"):
        if pair in base["post_processor"]:
            piece, old = base["post_processor"][pair]
            base["post_processor"][pair] = [piece, fresh[old]]
    base["padding"] = base["truncation"] = None
    return Tokenizer.from_str(json.dumps(base))
