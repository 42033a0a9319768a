"""Where the words, emoji and sentences of a text are, in Unicode code points."""

import re
import unicodedata
from collections.abc import Sequence

from kaiko_server.engine.text import emoji_in
from kaiko_server.engine.windows import sentences

Span = tuple[int, int]
"""Half-open, in code points of the text."""

_RUN = re.compile(r"\S+")
_GRAMMAR = """
a about after all also am an and any are as at be because been before being but by can could did do does doing during each for from
had has have having he her here hers him his how i i'd i'll i'm i've if in into is it it's its just me my of on one or our out over
she so some than that that's the their them then there there's these they they're this those through to too until up us was we we're
were what when where which while who will with would you you're your
"""
_FUNCTION_WORDS = frozenset(_GRAMMAR.split())
"""Words that carry grammar rather than feeling; those that turn a meaning round ("not", "never", "no") are not among them."""


def content_words(text: str) -> list[Span]:
    """Give the words and emoji that may carry a meaning, in order; all words, when none but function words are there.

    A word is a run without white space, less the punctuation around it; combining marks stay with their letter. Emoji are words
    of their own, and one that is repeated is one word.
    """
    spans = [span for run in _RUN.finditer(text) for span in _split(text, run.start(), run.end())]
    carrying = [span for span in spans if text[span[0] : span[1]].lower().replace("\u2019", "'") not in _FUNCTION_WORDS]
    return carrying or spans


def _split(text: str, start: int, end: int) -> list[Span]:
    out: list[Span] = []
    at, last = start, ""
    for found, begins, ends in emoji_in(text[start:end]):
        here, there = start + begins, start + ends
        out += _bare(text, at, here)
        if out and last == found and out[-1][1] == here:
            out[-1] = (out[-1][0], there)
        else:
            out.append((here, there))
        at, last = there, found
    return out + _bare(text, at, end)


def _bare(text: str, start: int, end: int) -> list[Span]:
    """Take punctuation off both ends; nothing is left of punctuation alone."""
    while start < end and unicodedata.category(text[start])[0] in "PSZC":
        start += 1
    while start < end and unicodedata.category(text[end - 1])[0] in "PSZC":
        end -= 1
    return [(start, end)] if start < end else []


def sentence_spans(text: str) -> list[Span]:
    """Give the sentences of *text* without the white space around them."""
    spans: list[Span] = []
    at = 0
    for sentence in sentences(text):
        if sentence.strip():
            start = at + len(sentence) - len(sentence.lstrip())
            spans.append((start, start + len(sentence.strip())))
        at += len(sentence)
    return spans


def shared_out(spans: Sequence[Span], groups: int) -> list[Sequence[Span]]:
    """Share *spans* out, in order, into at most so many *groups* of like size."""
    count = min(groups, len(spans))
    return [spans[i * len(spans) // count : (i + 1) * len(spans) // count] for i in range(count)]


def without(text: str, spans: Sequence[Span]) -> str:
    """Give *text* with the *spans*, in order and apart, taken out; what stood on both sides of one does not grow together."""
    at, kept = 0, []
    for start, end in spans:
        kept.append(text[at:start])
        at = end
    return " ".join((*kept, text[at:]))
