"""The student's vocabulary, and the words that the normaliser knows: settled before anything is trained."""

import json
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

from tokenizers import Tokenizer

from kaiko_server.engine.text import Normaliser
from training import bases
from training.data import Example
from training.labels import BELIEFS


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


def tags(tokenizer: Tokenizer, example: Example, length: int) -> list[int]:
    """Give *length* tags: for each token of *example* the number of its belief's type, that of none, or -1 for "not known".

    The text is tokenized in pieces that end where a belief begins or ends; where that gives other tokens than the whole, or
    more than *length*, nothing is said.
    """
    out = [-1] * length
    if example.beliefs is None:
        return out
    clean = normaliser()
    found, at = [-1], 0  # the first token stands for the beginning of the text
    for kind, start, end in (*sorted(example.beliefs, key=lambda b: b[1]), ("none", len(example.text), len(example.text))):
        for piece, tag in ((example.text[at:start], len(BELIEFS)), (example.text[start:end], (*BELIEFS, "none").index(kind))):
            found += [tag] * len(tokenizer.encode(clean(piece), add_special_tokens=False).ids)
        at = end
    whole = len(tokenizer.encode(clean(example.text)).ids)
    return found + out[len(found) :] if len(found) + 1 == whole <= length else out
