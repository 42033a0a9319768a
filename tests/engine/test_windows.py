from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.engine.windows import break_endless_words, sentences, windows


@given(st.text())
def test_sentences_hold_everything(text: str) -> None:
    """Cutting a text into sentences loses and changes no character."""
    assert "".join(sentences(text)) == text


def test_sentences_end_where_a_reader_would_end_them() -> None:
    """Closing quotes stay with their sentence, numbers are not cut, lines end sentences."""
    text = 'He said "no." Then 3.5 people left! Why?? (I know.) So\nmilk\neggs'
    assert sentences(text) == ['He said "no." ', "Then 3.5 people left! ", "Why?? ", "(I know.) ", "So\n", "milk\n", "eggs"]


@given(st.text(alphabet="ab \n", max_size=400))
def test_endless_words_are_broken(text: str) -> None:
    """No word stays longer than the tokenizer can read, and nothing but spaces is added."""
    broken = break_endless_words(text)
    assert broken.replace(" ", "") == text.replace(" ", "")
    assert max(map(len, broken.split()), default=0) <= 90


layouts = st.lists(st.lists(st.integers(1, 30), min_size=1, max_size=12), min_size=1, max_size=12)
"""Sentences of words of so many tokens."""


def laid(sentences_of_words: list[list[int]], size: int, overlap: int) -> tuple[list[int], list[bool], list[tuple[int, int]]]:
    lengths = [sum(words) for words in sentences_of_words]
    begins = [i == 0 for words in sentences_of_words for word in words for i in range(word)]
    return lengths, begins, windows(lengths, begins, size=size, overlap=overlap)


@given(layouts, st.integers(5, 60), st.integers(0, 4))
def test_windows_hold_every_token(layout: list[list[int]], size: int, overlap: int) -> None:
    """Every token is in a window, none is too large, each goes on from the one before and repeats little of it."""
    lengths, _, spans = laid(layout, size, overlap)
    assert spans[0][0] == 0
    assert spans[-1][1] == sum(lengths)
    assert all(0 < end - start <= size for start, end in spans)
    for before, after in pairwise(spans):
        assert before[0] < after[0] <= before[1] < after[1]
        assert before[1] - after[0] <= overlap


@given(layouts, st.integers(5, 60), st.integers(0, 4))
def test_windows_cut_nothing_that_fits(layout: list[list[int]], size: int, overlap: int) -> None:
    """A sentence that fits a window is whole in one, and so is a word."""
    lengths, begins, spans = laid(layout, size, overlap)
    words = [i for i, begin in enumerate(begins) if begin]
    for starts in (list(accumulate(lengths, initial=0))[:-1], words):
        for start, end in pairwise([*starts, len(begins)]):
            if end - start <= size - overlap:
                assert any(a <= start and end <= b for a, b in spans)


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([50], [(0, 50)]),
        ([60, 30, 60], [(0, 90), (70, 150)]),
        ([60, 10, 60], [(0, 70), (60, 130)]),
        ([10, 150], [(0, 100), (80, 160)]),
        ([70, 10, 95], [(0, 80), (80, 175)]),
    ],
    ids=["short", "long-last-sentence", "short-last-sentence", "endless-sentence", "next-sentence-needs-the-room"],
)
def test_windows_by_example(lengths: list[int], expected: list[tuple[int, int]]) -> None:
    """Windows of 100 with up to 20 repeated: the last sentence is read again, or its last words, unless the next one needs the room."""
    spans = windows(lengths, [True] * sum(lengths), size=100, overlap=20)
    assert spans == expected
