"""Which language a text is in: enough to say when a reading is not to be trusted, at the price of a few microseconds.

Scripts decide by themselves. In Latin script the common small words vote, and English wins whenever it is near, since a
short "lol ok" holds no evidence of anything and the model reads English mixed with other tongues well enough.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

_EXAMINED = 2000
"""Characters looked at: a language shows itself long before, and a text of 10,000 should not cost more."""

_MIN_VOTES = 2
"""A single small word is a name or a loan ("la", "que") more often than it is another language."""

_MIN_WORDS = 10
"""Fewer Latin words than this without one English small word can still be English ("rent overdue, fridge empty")."""

_MIN_ENGLISH_SHARE = 0.1
"""English text has some 40 % of small words; below this, in a longer text, it is some language that is not listed here."""


@dataclass(frozen=True, slots=True)
class Language:
    """What :func:`detect_language` found.

    Attributes
    ----------
    tag
        BCP 47; ``und`` when it cannot be told.
    supported
        Whether the model was trained to read it: English, or no language at all (emoji, digits).
    """

    tag: str
    supported: bool


_SCRIPTS: tuple[tuple[str, str], ...] = (
    # Kana stands before Han: Japanese is written in both, Chinese only in one.
    ("ja", "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d"),
    ("ko", "\uac00-\ud7af\u1100-\u11ff\u3130-\u318f"),
    ("zh", "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"),
    ("ru", "\u0400-\u052f"),
    ("ar", "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff\ufb50-\ufdff\ufe70-\ufefc"),
    ("hi", "\u0900-\u0963\u0966-\u097f"),
    ("he", "\u0590-\u05ff\ufb1d-\ufb4f"),
    ("el", "\u0370-\u03ff\u1f00-\u1fff"),
    ("th", "\u0e00-\u0e7f"),
    ("bn", "\u0980-\u09ff"),
    ("pa", "\u0a00-\u0a7f"),
    ("gu", "\u0a80-\u0aff"),
    ("or", "\u0b00-\u0b7f"),
    ("ta", "\u0b80-\u0bff"),
    ("te", "\u0c00-\u0c7f"),
    ("kn", "\u0c80-\u0cff"),
    ("ml", "\u0d00-\u0d7f"),
    ("si", "\u0d80-\u0dff"),
    ("lo", "\u0e80-\u0eff"),
    ("my", "\u1000-\u109f"),
    ("ka", "\u10a0-\u10ff"),
    ("am", "\u1200-\u137f"),
    ("km", "\u1780-\u17ff"),
    ("hy", "\u0530-\u058f"),
)
_SCRIPT = {tag: re.compile(f"[{ranges}]") for tag, ranges in _SCRIPTS}
_OTHER_SCRIPT = re.compile("[" + "".join(ranges for _, ranges in _SCRIPTS) + "]")
_WITHIN_SCRIPT = (
    # Letters that only one neighbour of the script's commonest language has.
    ("ru", "uk", re.compile("[\u0456\u0457\u0454\u0491]")),
    ("ar", "ur", re.compile("[\u0679\u0688\u0691\u06ba\u06d2]")),
    ("ar", "fa", re.compile("[\u067e\u0686\u0698\u06af]")),
)

_IDEOGRAPHIC = frozenset({"zh", "ja", "ko"})
"""Where one sign can be a message; one letter of an alphabet is the mouth of a kaomoji."""

_LINK = re.compile(r"(?:https?://|www\.)\S+|[@#]\w+")
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)*")

_SMALL_WORDS: Mapping[str, list[str]] = json.loads(Path(__file__).with_name("small_words.json").read_text(encoding="utf-8"))
"""Language tag -> its commonest words, and what English chat is made of; picked by hand."""

_ENGLISH = frozenset(_SMALL_WORDS["en"])
_WORDS = {tag: frozenset(words) for tag, words in _SMALL_WORDS.items() if tag != "en"}
_LETTERS: Mapping[str, re.Pattern[str]] = {
    tag: re.compile(f"[{letters}]")
    for tag, letters in {
        "es": "ñ",
        "fr": "œèêûîôâëù",
        "de": "ßäöü",
        "pt": "ãõôêâ",
        "it": "ìòù",
        "sv": "åäö",
        "da": "æøå",
        "pl": "ąęłńśźżć",
        "tr": "ğ\u0131şİöüç",
        "vi": "ạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹđơư",
        "ro": "ășțţ",
        "cs": "ěřůčďťň",
        "fi": "äö",
    }.items()
}
_LANGUAGES_OF = {
    # A lone letter of ASCII is a list's mark, a size or a variable as often as a word of Polish.
    word: tuple(tag for tag, words in _WORDS.items() if word in words)
    for word in frozenset(chain.from_iterable(_WORDS.values()))
    if len(word) > 1 or not word.isascii()
}
_ENGLISH_LANGUAGE = Language("en", supported=True)
_NO_LANGUAGE = Language("und", supported=True)
_UNLISTED_LANGUAGE = Language("und", supported=False)


def detect_language(text: str) -> Language:
    """Tell the language of *text*; short text in Latin script is English unless something speaks against it."""
    sample = _LINK.sub(" ", text[:_EXAMINED])
    words = _WORD.findall(sample.lower().replace("\u2019", "'"))
    if not words:
        return _NO_LANGUAGE
    if not sample.isascii():
        others = len(_OTHER_SCRIPT.findall(sample))
        # A letter of Han or Hangul is about a word, one of Latin is not: half as many suffice to outweigh it.
        if others * 2 > sum(map(len, words)) - others:
            return _by_script(sample)
    return _by_words(words)


def _by_script(sample: str) -> Language:
    counts = {tag: len(pattern.findall(sample)) for tag, pattern in _SCRIPT.items()}
    tag = max(counts, key=counts.__getitem__)
    if counts[tag] == 1 and tag not in _IDEOGRAPHIC:
        return _NO_LANGUAGE
    if tag == "zh" and counts["ja"]:
        tag = "ja"
    for common, neighbour, letters in _WITHIN_SCRIPT:
        if tag == common and letters.search(sample):
            tag = neighbour
    return Language(tag, supported=False)


def _by_words(words: list[str]) -> Language:
    english = sum(word in _ENGLISH for word in words)
    votes: Counter[str] = Counter()
    for word in words:
        for part in word.split("'"):
            if part in _LANGUAGES_OF:  # most words are in none, and an empty update takes as long as a full one
                votes.update(_LANGUAGES_OF[part])
        if not word.isascii():
            votes.update(tag for tag, letters in _LETTERS.items() if letters.search(word))
    if votes:
        tag, most = votes.most_common(1)[0]
        if most >= _MIN_VOTES and most > english:
            return Language(tag, supported=False)
    if len(words) >= _MIN_WORDS and english < _MIN_ENGLISH_SHARE * len(words):
        return _UNLISTED_LANGUAGE
    return _ENGLISH_LANGUAGE
