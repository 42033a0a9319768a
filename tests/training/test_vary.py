"""Texts made out of texts: what the student hears from the teacher alone."""

import pytest

from training import data
from training.vary import vary


@pytest.fixture(scope="module")
def own():
    """Some hundred lines that training sees."""
    return [e for e in data.corpus() if e.part == "train"][:400]


def test_a_variant_says_nothing_that_no_reader_said(own):
    """Variants carry no labels but the teacher's to come, and keep their source."""
    made = vary(own)
    assert len(made) > len(own) / 2
    assert not [e for e in made if e.labelled]
    assert {e.source for e in made} <= {e.source for e in own}


def test_a_variant_is_another_text_of_the_same_words(own):
    """None repeats its original; each is made of words that are there already."""
    known = {w for e in own for w in e.text.lower().replace("’", "'").replace("'", "").split()}
    originals = {e.text for e in own}
    for e in vary(own):
        assert e.text not in originals
        bare = e.text.lower().replace("’", "'").replace("'", "").split()
        assert all(any(w in k for k in known) for w in bare)


def test_a_text_has_the_same_variant_in_a_larger_corpus(own):
    """What a teacher has said of a variant is found again by its text when the corpus has grown."""
    assert vary(own)[:20] == vary(own[:200])[:20]
