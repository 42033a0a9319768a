"""Texts and token labels as the networks take them."""

from functools import lru_cache

from tokenizers import Tokenizer

from kaiko_server.engine.text import Normaliser
from training import bases
from training.data import Example
from training.labels import BELIEFS


@lru_cache(maxsize=1)
def normaliser() -> Normaliser:
    """Give the normaliser over the frequent pieces of the student's vocabulary, as in use."""
    vocabulary = bases.minilm_tokenizer().get_vocab()
    return Normaliser(sorted(vocabulary, key=vocabulary.__getitem__)[: bases.FREQUENT])


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
