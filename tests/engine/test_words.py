"""Words, emoji and sentences, found in texts of any script."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.engine.words import content_words, sentence_spans, shared_out, without


def shown(text):
    return [text[start:end] for start, end in content_words(text)]


def test_words_stand_without_punctuation_and_grammar():
    """Quotes, stops and function words are left out; what turns a meaning round stays."""
    assert shown("“I’m not happy,” she said… at all!") == ["not", "happy", "said"]
    assert shown("We lost everything in the fire.") == ["lost", "everything", "fire"]


def test_a_text_of_grammar_alone_has_words():
    """Where nothing else is there, function words carry what there is."""
    assert shown("It is what it is.") == ["It", "is", "what", "it", "is"]


def test_emoji_and_combining_marks_are_whole():
    """A family, a flag, a repeated face and an accent of its own code point are never cut."""
    assert shown("cafe\u0301😭😭 👨‍👩‍👧 🇳🇱 done") == ["cafe\u0301", "😭😭", "👨‍👩‍👧", "🇳🇱", "done"]


@given(st.text(max_size=60))
def test_spans_lie_in_order_within_the_text(text):
    """Whatever the text, spans are not empty, do not overlap, and taking them out leaves the rest."""
    spans = content_words(text)
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(a[1] <= b[0] for a, b in pairwise(spans))
    assert len(without(text, spans)) == len(text) - sum(end - start - 1 for start, end in spans)


@given(st.text(max_size=200))
def test_sentences_hold_all_that_is_visible(text):
    """Sentences leave out nothing but white space."""
    spans = sentence_spans(text)
    assert not without(text, spans).strip()


@given(st.lists(st.just((0, 1)), min_size=1, max_size=50), st.integers(1, 12))
def test_shares_are_of_like_size(spans, groups):
    """No group is empty, and none has more than one item more than another."""
    sizes = [len(group) for group in shared_out(spans, groups)]
    assert sum(sizes) == len(spans)
    assert max(sizes) - min(sizes) <= 1
    assert min(sizes) >= 1
