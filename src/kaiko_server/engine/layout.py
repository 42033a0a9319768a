"""Where in a text the tokens and windows are that it was read as."""

from collections.abc import Sequence
from dataclasses import dataclass

_WIDENED = 40
"""Characters, at most, that a passage is widened by so that it does not cut a word; text without spaces is cut where it falls."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Tokens and windows of one text.

    Attributes
    ----------
    text
        The text.
    places
        For each token, in order, the character (code point) that it begins at, to the word.
    windows
        Half-open ranges of tokens; they overlap and together hold every token.
    """

    text: str
    places: Sequence[int]
    windows: Sequence[tuple[int, int]]

    def passage(self, window: int) -> tuple[int, int]:
        """Give where in the text a window begins and ends, in characters; words are not cut."""
        first, last = self.windows[window]
        start = self.places[first] if first < len(self.places) else len(self.text)
        end = self.places[last] if last < len(self.places) else len(self.text)
        return self._word_begin(start), self._word_end(end)

    def _word_begin(self, at: int) -> int:
        back = at
        while back > max(0, at - _WIDENED) and not self.text[back - 1].isspace():
            back -= 1
        return back if back == 0 or self.text[back - 1].isspace() else at

    def _word_end(self, at: int) -> int:
        if at and self.text[at - 1].isspace():
            return at
        on = at
        while on < min(len(self.text), at + _WIDENED) and not self.text[on].isspace():
            on += 1
        return on if on == len(self.text) or self.text[on].isspace() else at
