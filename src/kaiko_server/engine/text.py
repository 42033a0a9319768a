"""What the tokenizer cannot read, put into words it can.

WordPiece knows no emoji, no emoticons, no "sooo" and no "#SoBlessed"; each would become ``[UNK]`` or a heap of
syllables, and with it would go the very part of a message that says how it was meant. The same function runs when the
model is trained and when it is used, so that it always reads what it has learnt to read.
"""

import math
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

import emoji

from kaiko_server.engine.language import Language, detect_language

__all__ = ["Language", "Normaliser", "detect_language", "emoji_in"]

_MAX_REPEATS = 3
"""An emoji said eleven times means no more than one said three times, and would push words out of the window."""

_EMOTICONS = {
    ":)": "slightly smiling face", ":-)": "slightly smiling face", "(:": "slightly smiling face", "=)": "slightly smiling face",
    ":]": "slightly smiling face", "^^": "smiling face with smiling eyes", "^_^": "smiling face with smiling eyes",
    ":D": "grinning face", ":-D": "grinning face", "=D": "grinning face", "xD": "grinning squinting face",
    "XD": "grinning squinting face", ":P": "face with tongue", ":-P": "face with tongue", ":p": "face with tongue",
    "xP": "face with tongue", ";)": "winking face", ";-)": "winking face", ";D": "winking face", ";P": "winking face with tongue",
    ":(": "slightly frowning face", ":-(": "slightly frowning face", "):": "slightly frowning face", "=(": "slightly frowning face",
    ":[": "slightly frowning face", ":'(": "crying face", ":,(": "crying face", ":'-(": "crying face", "T_T": "loudly crying face",
    "T.T": "loudly crying face", ";_;": "crying face", "Q_Q": "crying face", ":')": "smiling face with tear",
    ":,)": "smiling face with tear", ":/": "confused face", ":-/": "confused face", ":\\": "confused face", ":|": "neutral face",
    ":-|": "neutral face", "-_-": "expressionless face", ">:(": "angry face", ">:-(": "angry face", "D:": "anguished face",
    "D:<": "angry face", ":O": "face with open mouth", ":-O": "face with open mouth", ":o": "face with open mouth",
    "o_O": "astonished face", "O_o": "astonished face", "O_O": "astonished face", "o_o": "astonished face", "<3": "red heart",
    "</3": "broken heart", ":*": "face blowing a kiss", ":-*": "face blowing a kiss", ":3": "smiling cat", ">_<": "persevering face",
    "\\o/": "raising hands",
}  # fmt: skip
_MAX_SEGMENTED = 40
"""Longer runs of letters are no hashtag that a person would type without capitals."""

_EMOTICON = re.compile(
    r"(?<![^\s.,!?…\"'(])(?:" + "|".join(re.escape(e) for e in sorted(_EMOTICONS, key=len, reverse=True)) + r")(?![^\s.,!?…\"')<:;])"
)
_UNSEEN = re.compile("[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u00ad\u200b\u200c\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]")
_URL = re.compile(r"\b(?:https?://|www\.)\S+", re.IGNORECASE)
_MENTION = re.compile(r"(?<![\w@])@\w{1,64}")
_HASHTAG = re.compile(r"(?<![\w&#])#(\w{2,100})")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9])|_+")
_STRETCHED = re.compile(r"\b[^\W\d_]*([^\W\d_])\1\1[^\W\d_]*\b", re.IGNORECASE)
_RUN = re.compile(r"(.)\1\1+", re.IGNORECASE)
_MARKS = re.compile(r"([!?.…])(?:\s*\1){3,}")
_SPACE = re.compile(r"\s+")
_QUOTES = str.maketrans(
    {
        "\u2018": "'",
        "\u2019": "'",
        "\u201b": "'",
        "\u02bc": "'",
        "\u0060": "'",
        "\u201c": '"',
        "\u201d": '"',
        "\u2014": " - ",
        "\u2013": "-",
    }
)
_SKIN = re.compile("[\U0001f3fb-\U0001f3ff]")


class Normaliser:
    """Rewrites a message into plain words; holds the words that "sooo" may shrink to and "#sohappy" may fall into.

    Parameters
    ----------
    vocabulary
        The whole-word pieces of the tokenizer, most frequent first: the order serves as the words' frequency.
    """

    def __init__(self, vocabulary: Iterable[str]) -> None:
        words = [w for w in vocabulary if w.isascii() and w.isalpha()]
        self._cost = {w: math.log(10 + rank) for rank, w in enumerate(words) if len(w) > 1 or w in {"a", "i"}}

    def __call__(self, text: str) -> str:
        """Give *text* as the tokenizer is to see it: never empty when *text* holds a visible character."""
        text = unicodedata.normalize("NFKC", _UNSEEN.sub("", text)).translate(_QUOTES)
        text = _URL.sub(" link ", text)
        text = _EMOTICON.sub(lambda m: f" {_EMOTICONS[m[0]]} ", text)
        if not text.isascii():
            text = _emoji_to_words(text)
        text = _MENTION.sub("@someone", text)
        text = _HASHTAG.sub(lambda m: " " + self._hashtag(m[1]) + " ", text)
        text = _STRETCHED.sub(lambda m: self._shrink(m[0]), text)
        text = _MARKS.sub(lambda m: m[1] * _MAX_REPEATS, text)
        return _SPACE.sub(" ", text).strip()

    def _shrink(self, word: str) -> str:
        """Take "sooo" to "so", "goood" to "good"; where neither form is a word, two letters stay."""
        for keep in (r"\1\1", r"\1"):
            short = _RUN.sub(keep, word)
            if short.lower() in self._cost:
                return short
        return _RUN.sub(r"\1\1", word)

    def _hashtag(self, tag: str) -> str:
        """Split "#SoBlessed" where its author did, and "#soblessed" where the likeliest words meet."""
        parts = [p for p in _CAMEL.split(tag) if p]
        return " ".join(self._segment(p) for p in parts)

    def _segment(self, word: str) -> str:
        low = word.lower()
        if low in self._cost or not (low.isascii() and low.isalpha()) or len(low) > _MAX_SEGMENTED:
            return word
        best: list[tuple[float, int]] = [(0.0, 0)]
        for end in range(1, len(low) + 1):
            best.append(min((best[start][0] + self._cost.get(low[start:end], math.inf), start) for start in range(max(0, end - 20), end)))
        if math.isinf(best[-1][0]):
            return word
        cuts, end = [], len(low)
        while end:
            cuts.append(word[best[end][1] : end])
            end = best[end][1]
        return " ".join(reversed(cuts))


def emoji_in(text: str) -> list[tuple[str, int, int]]:
    """Give the emoji of *text*, and where each begins and ends, in code points."""
    found = [] if text.isascii() else emoji.emoji_list(text)
    return [(str(e["emoji"]), int(e["match_start"]), int(e["match_end"])) for e in found]


def _emoji_to_words(text: str) -> str:
    out: list[str] = []
    last, count = "", 0
    for token in emoji.analyze(_SKIN.sub("", text), non_emoji=True, join_emoji=False):
        if isinstance(token.value, str):
            out.append(token.value)
            if not token.value.isspace():
                last = ""
            continue
        count = count + 1 if token.chars == last else 1
        last = token.chars
        if count <= _MAX_REPEATS:
            out.append(f" {_emoji_name(token.chars)} ")
    return "".join(out)


@lru_cache(maxsize=4096)
def _emoji_name(chars: str) -> str:
    name: str = emoji.EMOJI_DATA[chars]["en"] if chars in emoji.EMOJI_DATA else emoji.demojize(chars)
    return name.strip(":").replace("_", " ").replace("-", " ").lower()
