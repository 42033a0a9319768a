"""The network itself: onnxruntime and the tokenizer, and nothing that outlives a call."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime  # type: ignore[import-untyped] # it ships no types
from numpy.typing import NDArray
from tokenizers import Tokenizer

from kaiko_server.engine.model import Scores
from kaiko_server.engine.scores import combine, scores_of
from kaiko_server.engine.text import Normaliser
from kaiko_server.engine.windows import break_endless_words, sentences, windows

_OVERLAP = 20
"""Tokens: about one sentence of a conversation."""

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
        The graph: ``ids`` and ``mask`` in, ``scores`` out.
    tokenizer
        Of the same folder.
    card
        What ``model.json`` says.
    """

    def __init__(self, session: onnxruntime.InferenceSession, tokenizer: Tokenizer, card: dict[str, Any]) -> None:
        self.version: str = card["version"]
        self.go_thresholds: tuple[float, ...] = tuple(card["go_thresholds"])
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
        return [[e.ids] if len(e.ids) <= self._max_tokens else self._windows(text) for text, e in zip(texts, encoded, strict=True)]

    def _windows(self, text: str) -> list[list[int]]:
        # Sentences are cut before normalising, which turns line ends into spaces.
        parts = [part for part in (break_endless_words(self._normalise(s)) for s in sentences(text)) if part]
        encoded = self._tokenizer.encode_batch(parts, add_special_tokens=False)
        ids = [i for e in encoded for i in e.ids]
        begins_word = [not token.startswith("##") for e in encoded for token in e.tokens]
        spans = windows([len(e.ids) for e in encoded], begins_word, size=self._max_tokens - 2, overlap=_OVERLAP)
        return [[self._begin, *ids[start:end], self._end] for start, end in spans] or [[self._begin, self._end]]

    def run(self, rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """Run rows of token ids of any lengths; those of like length go together, so that little is padding.

        Raises
        ------
        ArithmeticError
            The network gave something that is no number.
        """
        order = sorted(range(len(rows)), key=lambda i: len(rows[i]), reverse=True)
        outputs: list[NDArray[np.float32]] = []
        for part in _parts([len(rows[i]) for i in order]):
            chosen = [rows[i] for i in order[part]]
            ids = np.zeros((len(chosen), len(chosen[0])), np.int64)
            mask = np.zeros_like(ids)
            for at, row in enumerate(chosen):
                ids[at, : len(row)] = row
                mask[at, : len(row)] = 1
            outputs.append(self._session.run(["scores"], {"ids": ids, "mask": mask})[0])
        together = np.concatenate(outputs)
        if not np.isfinite(together).all():
            message = "the network gave a score that is no number"
            raise ArithmeticError(message)
        restored = np.empty_like(together)
        restored[order] = together
        return restored

    def predict(self, texts: Sequence[str]) -> list[Scores]:
        """Read *texts* here and now, for use without a server."""
        encoded = self.encode(texts)
        rows = [row for text in encoded for row in text]
        if not rows:
            return []
        outputs = iter(self.run(rows))
        readings = []
        for text in encoded:
            lengths = [len(row) for row in text]
            row = combine(np.stack([next(outputs) for _ in text]), lengths)
            readings.append(scores_of(row.tolist(), tokens=sum(lengths), windows=len(text)))
        return readings


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
