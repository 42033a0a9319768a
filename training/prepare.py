"""The student's vocabulary, and the words that the normaliser knows: settled before anything is trained."""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

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
        i
        for i, piece in enumerate(pieces())
        if not unused[i] and (i < bases.RARELY or seen[i] > 1 or len(piece.removeprefix("##")) == 1)
    ]
