"""Hostility, conversation mode, beliefs and danger: the contract's sections 4.3, 4.4, 4.5 and 4.7 over scores that a model may give."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.engine.layout import Layout
from kaiko_server.engine.model import ALARM, BELIEFS, MODES
from kaiko_server.reading import hostility
from kaiko_server.reading.beliefs import beliefs, clauses
from kaiko_server.reading.guidance import GUIDANCE, STRATEGIES
from kaiko_server.reading.mode import conversation_mode
from kaiko_server.reading.safety import sentences_of_danger
from tests.reading.test_item import SCORES

AT = "2026-03-31T12:00:00Z"


@pytest.mark.parametrize(
    ("score", "level", "response"),
    [(0.29, "none", "normal"), (0.30, "low", "defensive"), (0.55, "medium", "boundary_setting"), (0.80, "high", "crisis")],
)
def test_levels_of_hostility(score, level, response):
    """The cut points of the contract, and one answer to each."""
    block = hostility.state(score, at=AT)
    assert (block["level"], block["recommendedResponse"]) == (level, response)
    assert block["escalationCount"] == int(level != "none")
    assert ("lastEscalation" in block) == (level != "none")


@given(SCORES, st.sampled_from([None, "self_harm", "violence", "victim"]))
def test_crisis_personality_exactly_in_a_crisis(scores, danger):
    """`crisisDetected`, the crisis mode and the crisis personality come together or not at all, and every block is whole."""
    block = conversation_mode(scores.mode, scores.concern, danger, "sadness", "high")
    assert (
        block["crisisDetected"]
        == (danger is not None)
        == (block["mode"] == "crisis_intervention")
        == (block["personalityMode"] == "crisis")
    )
    assert block["mode"] in STRATEGIES
    assert block["personalityMode"] in GUIDANCE
    assert all(block["responseGuidance"].values())
    assert all(block["responseStrategy"].values())
    assert 0 <= block["confidence"] <= 1
    assert 0 <= block["personalityConfidence"] <= 1


def test_every_mode_has_its_strategy():
    """None of the contract's modes is without an answer."""
    assert set(STRATEGIES) == {*MODES, "crisis_intervention"}


@given(st.text(max_size=300))
def test_clauses_joined_are_the_text(text):
    """Nothing is lost where a text is cut."""
    assert "".join(clauses(text)) == text


def test_clauses_end_where_conjunctions_begin():
    """Sentences, and what a conjunction begins, stand apart; "rock and roll" does not."""
    assert clauses("I'm bad at maths, so my sister does the till. I like rock and roll because it's loud!") == [
        "I'm bad at maths, ",
        "so my sister does the till. ",
        "I like rock and roll ",
        "because it's loud!",
    ]


def laid(text, windows=None):
    """Lay one token a word."""
    places = [word.start() for word in re.finditer(r"\S+", text)]
    return Layout(text, places, windows or [(0, len(places))])


def tagged(text, kind, believed):
    """Say of the first *believed* words that they are a belief of *kind*, and of the others that they are none."""
    tags = np.zeros((len(text.split()), ALARM + 1), np.float32)
    tags[:believed, BELIEFS.index(kind)] = 0.9
    tags[:believed, len(BELIEFS)] = 0.1
    tags[believed:, len(BELIEFS)] = 1
    return tags


def test_a_clause_counts_once():
    """A clause is one belief, however many words of it are part of one, and is told without what introduces it."""
    text = "I believe honesty pays, even in the used car trade. The shop opens at nine."
    block = beliefs(laid(text), [tagged(text, "explicit", 4)])
    assert block["totalBeliefs"] == 1
    assert block["beliefsByType"] == {"explicit": 1}
    assert block["beliefs"] == [{"type": "explicit", "content": "honesty pays", "confidence": 0.9, "rawMatch": "I believe honesty pays"}]
    assert block["summary"] == "1 belief: 1 explicit."


@pytest.mark.parametrize(
    ("text", "count"),
    [("The shop opens at nine.", 0), ("Am I good at this?!", 5), ("I open the shop at nine every single day", 2), ("", 0), ("\n\n", 0)],
)
def test_no_belief_no_block(text, count):
    """Facts, questions, a few words that look like a belief, and nothing at all give no block."""
    assert beliefs(laid(text), [tagged(text, "capability", count)]) is None


def test_windows_that_overlap_tell_a_belief_once():
    """What two windows share, also when one holds only half of the clause, is one belief."""
    text = "I'm terrible with numbers and names."
    tags = tagged(text, "capability", 6)
    assert beliefs(laid(text, [(0, 4), (2, 6)]), [tags[:4], tags[2:]])["totalBeliefs"] == 1


@given(SCORES, st.lists(st.floats(-4, 4, width=32), min_size=9, max_size=9), st.sampled_from([[(0, 9)], [(0, 6), (3, 9)]]))
def test_sentences_that_would_be_a_crisis_are_told(scores, alarms, windows):
    """Those whose words alone reach the threshold are the evidence, in order; where none does, the one that comes nearest."""
    text = "One two three. Four five six. Seven eight nine."
    said = np.zeros((9, ALARM + 1), np.float32)
    said[:, ALARM] = alarms
    spans = [(0, 14), (15, 29), (30, 47)]
    scores = replace(scores, said=tuple(said[first:last] for first, last in windows))
    told = sentences_of_danger(laid(text, windows), spans, scores, 0.5)
    means = [said[i : i + 3, ALARM].mean(dtype=float) for i in (0, 3, 6)]
    assert told == [span for span, mean in zip(spans, means, strict=True) if mean >= 0] or told == [spans[int(np.argmax(means))]]


def test_lines_are_clauses():
    """A line end parts two beliefs as a stop does."""
    text = "I am bad at maths\nI am a good cook"
    block = beliefs(laid(text), [tagged(text, "capability", 99)])
    assert [b["content"] for b in block["beliefs"]] == ["bad at maths", "a good cook"]


def test_white_space_without_end_costs_no_time():
    """Ten thousand spaces are cut as fast as they are read: the work grows with the text, not with its square."""
    assert clauses("I believe honesty pays" + " " * 10_000 + "x") == ["I believe honesty pays" + " " * 10_000 + "x"]
