"""Who is trained on what: the split that every figure rests on."""

import re
from collections import defaultdict

import pytest

from training import data


@pytest.fixture(scope="module")
def own():
    """The whole corpus as training sees it, read once."""
    return data.corpus()


def words(text):
    return re.findall(r"\w+", text.lower())


def test_groups_and_topics_are_on_one_side(own):
    """No group of `d_hard` and no topic of `e2_safety` has lines on both sides."""
    sides = defaultdict(set)
    for example in own:
        for key in ("group", "topic"):
            if example.source in {"d_hard", "e2_safety"} and key in example.row:
                sides[example.source, example.row[key]].add(example.part)
    assert len(sides) > 300
    assert all(len(parts) == 1 for parts in sides.values())


def test_some_files_are_kept_out_whole(own):
    """`h_confide` and the exam are trained and tuned on by nobody."""
    assert set(data.KEPT_OUT) == {"h_confide", "x_safety", "x_hostility", "x_modes"}
    for name, part in data.KEPT_OUT.items():
        assert {e.part for e in own if e.source == name} == {part}


def test_no_held_back_text_is_trained_on(own):
    """No training text is a held-back one, nor one with most of its words in the same order."""
    held = {" ".join(words(e.text)) for e in own if e.part != "train"}
    assert not [e for e in own if e.part == "train" and " ".join(words(e.text)) in held]


def test_near_copies_are_dropped_from_training():
    """A held-back sentence with one word changed at its end does not stay in training."""
    kept = data._without_near_copies(
        [
            data.Example(text="I never thought that I would miss the noise of that old fridge", source="x", part="test"),
            data.Example(text="I never thought that I would miss the noise of that old kettle", source="x", part="train"),
            data.Example(text="The noise was new to me", source="x", part="train"),
        ]
    )
    assert [e.part for e in kept] == ["test", "train"]


def test_the_held_back_part_is_large_enough_to_mean_something(own):
    """Test and dev parts hold hundreds of labelled lines, and every main label is among them."""
    for part, rows in (("test", 800), ("dev", 500)):
        found = [e for e in own if e.part == part and e.main]
        assert len(found) >= rows
        assert len({e.main for e in found}) == 7


def test_corpus_labels_are_in_range(own):
    """Every label of the corpus is one of the known ones, every number in its range."""
    for example in own:
        assert set(example.core or ()) <= {"joy", "love", "sadness", "anger", "fear", "surprise"}
        if example.dimensions:
            valence, arousal, intensity = example.dimensions
            assert -1 <= valence <= 1
            assert 0 <= arousal <= 1
            assert 0 <= intensity <= 1
