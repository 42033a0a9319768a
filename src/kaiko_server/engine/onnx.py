"""The network itself: onnxruntime and the tokenizer, and nothing that outlives a call."""

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped] # it ships no types
from tokenizers import Tokenizer

from kaiko_server.engine.layout import Layout
from kaiko_server.engine.model import Scores, Thresholds
from kaiko_server.engine.scores import Output, reading
from kaiko_server.engine.text import Normaliser
from kaiko_server.engine.windows import break_endless_words, sentences, windows

_OVERLAP = 20
"""Tokens: about one sentence of a conversation."""

_RUN = re.compile(r"\S+")
_ERRORS_ONLY = 3
_RUN_PRICE = 16
"""Tokens of padding that cost as much as one more run."""

_RUN_TOKENS = 512
"""Above so many tokens a run gains no more speed, and its intermediate values leave the processor's cache."""


def weights_folder() -> Path:
    """Say where the package keeps the model that it ships."""
    return Path(__file__).with_name("weights")


class OnnxSession:
    """Reads texts on the calling thread; safe to use from several. Keeps no text.

    Parameters
    ----------
    session
        The graph: ``ids`` and ``mask`` in, ``scores`` and ``tokens`` out.
    tokenizer
        Of the same folder.
    card
        What ``model.json`` says.
    """

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer, card: dict[str, Any]) -> None:
        self.version: str = card["version"]
        self.thresholds = Thresholds(go=tuple(card["go_thresholds"]), crisis=card["crisis_threshold"])
        self._max_tokens: int = card["max_tokens"]
        self._session = session
        self._tokenizer = tokenizer
        pieces = sorted(tokenizer.get_vocab(with_added_tokens=True).items(), key=lambda item: item[1])
        self._normalise = Normaliser(piece for piece, _ in pieces[: card["normaliser_pieces"]])
        self._begin, self._end = tokenizer.encode("").ids

    @classmethod
    def load(cls, folder: Path | None = None, *, threads: int) -> "OnnxSession":
        """Load the weights of *folder* (those of the package when absent); *threads* 0 is one a core.

        Raises
        ------
        OSError, ValueError
            A file is missing or is not what its name says.
        """
        folder = folder or weights_folder()
        card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        tokenizer = Tokenizer.from_str((folder / "tokenizer.json").read_text(encoding="utf-8"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        session = onnxruntime.InferenceSession((folder / "model.onnx").read_bytes(), _options(threads), providers=["CPUExecutionProvider"])
        return cls(session, tokenizer, card)

    def encode(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """Give, for each text, its windows as token ids: one, unless the text is long."""
        clean = [break_endless_words(self._normalise(text)) for text in texts]
        encoded = self._tokenizer.encode_batch(clean) if len(clean) > 1 else [self._tokenizer.encode(text) for text in clean]
        return [[e.ids] if len(e.ids) <= self._max_tokens else self._cut(text) for text, e in zip(texts, encoded, strict=True)]

    def _cut(self, text: str) -> list[list[int]]:
        *_, encoded = self._sentences(text)
        ids = [i for e in encoded for i in e.ids]
        spans = self._windows(encoded)
        return [[self._begin, *ids[start:end], self._end] for start, end in spans] or [[self._begin, self._end]]

    def _sentences(self, text: str) -> tuple[list[str], list[str], list[Any]]:
        """Give the sentences of *text*, as they stand and as the tokenizer sees them, and the tokens of each.

        They are cut before normalising, which turns line ends into spaces.
        """
        parts = sentences(text)
        clean = [break_endless_words(self._normalise(part)) for part in parts]
        return parts, clean, self._tokenizer.encode_batch(clean, add_special_tokens=False)

    def _windows(self, encoded: Sequence[Any]) -> list[tuple[int, int]]:
        begins_word = [not token.startswith("##") for e in encoded for token in e.tokens]
        return windows([len(e.ids) for e in encoded], begins_word, size=self._max_tokens - 2, overlap=_OVERLAP)

    def layout(self, text: str) -> Layout:
        """Say where in *text* each of its tokens and windows is.

        Exact in a sentence that the tokenizer sees as it stands. In another, exact to the word where a word is read alone as it is in
        its sentence; where it is not, in proportion within its sentence, and in proportion within what has no white space.
        """
        parts, clean, encoded = self._sentences(text)
        places: list[int] = []
        at = 0
        for part, seen, tokens in zip(parts, clean, encoded, strict=True):
            if seen == part.strip():
                begin = at + len(part) - len(part.lstrip())
                places += [begin + start for start, _ in tokens.offsets]
            else:
                places += [at + place for place in self._spread(part, len(tokens.ids))]
            at += len(part)
        return Layout(text, places, self._windows(encoded) or [(0, 0)])

    def _spread(self, part: str, count: int) -> list[int]:
        """Say where the *count* tokens of a sentence are that reads otherwise than it stands: each word is tokenized alone."""
        runs = list(_RUN.finditer(part))
        clean = [break_endless_words(self._normalise(run[0])) for run in runs]
        lengths = [len(e.ids) for e in self._tokenizer.encode_batch(clean, add_special_tokens=False)]
        spread = [run.start() + (run.end() - run.start()) * i // n for run, n in zip(runs, lengths, strict=True) for i in range(n)]
        return [spread[i * len(spread) // count] if spread else 0 for i in range(count)]

    def run(self, rows: Sequence[Sequence[int]]) -> list[Output]:
        """Run rows of token ids of any lengths; those of like length go together, so that little is padding.

        Raises
        ------
        ArithmeticError
            The network gave something that is no number.
        """
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]), reverse=True)
        outputs: list[Output] = [None] * len(rows)  # type: ignore[list-item] # each is set below
        for part in _parts([len(rows[i]) for i in order]):
            places = order[part]
            ids = np.zeros((len(places), len(rows[places[0]])), np.int64)
            mask = np.zeros_like(ids)
            for at, place in enumerate(places):
                ids[at, : len(rows[place])] = rows[place]
                mask[at, : len(rows[place])] = 1
            scores, said = self._session.run(["scores", "tokens"], {"ids": ids, "mask": mask})
            if not np.isfinite(scores).all():
                message = "the network gave a score that is no number"
                raise ArithmeticError(message)
            for at, place in enumerate(places):
                # A copy, so that one text's tokens do not keep those of the whole batch alive.
                outputs[place] = Output(scores[at], said[at, 1 : len(rows[place]) - 1].copy())
        return outputs

    def predict(self, texts: Sequence[str]) -> list[Scores]:
        """Read *texts* here and now, for use without a server."""
        encoded = self.encode(texts)
        rows = [row for text in encoded for row in text]
        if not rows:
            return []
        outputs = iter(self.run(rows))
        return [reading([next(outputs) for _ in text], [len(row) for row in text]) for text in encoded]


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_mem_pattern = False
    return options


def _parts(lengths: Sequence[int]) -> Iterator[slice]:
    """Cut rows, longest first, where padding begins to cost more than another run."""
    start = padding = 0
    for at, length in enumerate(lengths):
        longest = lengths[start]
        padding += longest - length
        if padding > _RUN_PRICE or (at - start + 1) * longest > max(_RUN_TOKENS, longest):
            yield slice(start, at)
            start, padding = at, 0
    if lengths:
        yield slice(start, len(lengths))
