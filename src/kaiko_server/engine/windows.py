"""Long text, cut into windows that the network can hold; see docs/decisions/0006-long-text.md."""

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

_SENTENCE = re.compile(r".*?(?:[.!?\u2026][\"')\]\u201d\u2019]*\s+|[\u3002\uff01\uff1f]|\n+|\Z)", re.DOTALL)
_ENDLESS = re.compile(r"[^\s!-/:-@\[-`{-~]{91,}")
_WORD_CHARACTERS = 90
"""WordPiece gives up on a word of more than 100 characters and reads one ``[UNK]``; well below it every letter counts."""


def sentences(text: str) -> list[str]:
    """Cut *text* after each sentence and each line; joined, the parts are *text* again."""
    return [part for part in _SENTENCE.findall(text) if part]


def break_endless_words(text: str) -> str:
    """Put a space into every run without space or punctuation that the tokenizer would read as one unknown word."""
    return _ENDLESS.sub(lambda m: " ".join(m[0][i : i + _WORD_CHARACTERS] for i in range(0, len(m[0]), _WORD_CHARACTERS)), text)


def windows(sentence_lengths: Sequence[int], begins_word: Sequence[bool], *, size: int, overlap: int) -> list[tuple[int, int]]:
    """Lay windows over a text.

    A window ends with a sentence; within a sentence that fits no window, with a word; within such a word, where it must.
    It begins with the last sentence of the window before, if that is short enough, so that "It was awful." is not read
    alone; else with its last words.

    Parameters
    ----------
    sentence_lengths
        Tokens of each sentence, in order.
    begins_word
        For each token of the text, whether a word begins with it.
    size
        Tokens that a window may hold.
    overlap
        Tokens at most that a window repeats of the one before; below *size*.

    Returns
    -------
    Half-open ranges of tokens, in order; together they hold every token.
    """
    text = _Tokens(sorted(set(accumulate(n for n in sentence_lengths if n))), begins_word, size, overlap)
    spans: list[tuple[int, int]] = []
    start = covered = 0
    while covered < len(begins_word):
        end = text.end_of_window(start, covered)
        spans.append((start, end))
        start, covered = text.start_after(start, end), end
    return spans


@dataclass(frozen=True, slots=True)
class _Tokens:
    sentence_ends: Sequence[int]
    begins_word: Sequence[bool]
    size: int
    overlap: int

    def end_of_window(self, start: int, covered: int) -> int:
        """Give the end of a window that begins at *start*, when all before *covered* is in a window already."""
        limit = min(start + self.size, len(self.begins_word))
        last = bisect_right(self.sentence_ends, limit) - 1
        whole = self.sentence_ends[last] if last >= 0 else 0
        if whole == len(self.begins_word):
            return whole
        following = self.sentence_ends[last + 1] - max(whole, covered)
        # A sentence that will have to be divided anyway: its first words may as well stand beside what led to it.
        if whole > covered and following <= self.size:
            return whole
        by_word = next((at for at in range(limit, covered, -1) if self.begins_word[at]), 0)
        return max(by_word, whole) if max(by_word, whole) > covered else limit

    def start_after(self, before: int, covered: int) -> int:
        """Give the start of the window after one that began at *before* and ended at *covered*."""
        earliest = max(covered - self.overlap, before + 1)
        at = bisect_right(self.sentence_ends, covered - 1) - 1
        sentence = self.sentence_ends[at] if at >= 0 else 0
        start = sentence if sentence >= earliest else next((i for i in range(earliest, covered) if self.begins_word[i]), covered)
        following = next((end for end in self.sentence_ends if end > covered), covered) - covered
        # Repeating what was read must not cost the next sentence its being read whole.
        return covered if following <= self.size < following + covered - start else start
