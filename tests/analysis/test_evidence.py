"""`params.explain`, and what it costs."""

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaiko_server.analysis.evidence import ROWS, explain
from kaiko_server.engine.batcher import Batcher
from kaiko_server.engine.model import CORE
from kaiko_server.engine.onnx import OnnxSession

TEXTS = (
    "I'm absolutely furious with the landlord.",
    "cafe\u0301 closed, I cried 😭😭 all the way home to my family 👨‍👩‍👧",
    "We lost everything in the fire.",
)


@pytest.fixture(scope="module")
def session():
    """The shipped weights."""
    return OnnxSession.load(threads=1)


@pytest.fixture
async def model(session):
    """The model as the server has it."""
    batcher = Batcher(session, queue_texts=1000, batch_tokens=512)
    batcher.start()
    yield batcher
    await batcher.close()


def asked(server, text, **params):
    return server.analyse(text, params=params)["emotions"]["user"]


def test_evidence_is_given_when_asked_for(server):
    """Items carry `evidence` with `explain` alone, the params are echoed, and no other number changes."""
    plain, explained = asked(server, TEXTS[0]), asked(server, TEXTS[0], explain=True)
    named = explained.pop("evidence")
    assert "evidence" not in plain
    assert explained == plain
    assert TEXTS[0][named[0]["start"] : named[0]["end"]] == "furious"
    assert {e["label"] for e in named} == {"anger"}
    assert server.analyse(TEXTS[0], params={"explain": True})["params"] == {"explain": True}


def test_a_neutral_text_rests_on_no_word(server):
    """Where nothing is felt, nothing drove it."""
    assert asked(server, "The meeting is at 3 pm in room 204.", explain=True)["evidence"] == []


@pytest.mark.parametrize("text", TEXTS)
def test_offsets_are_code_points_of_whole_words(server, text):
    """Emoji and combining marks are never cut, and weights fall from the first to the last."""
    named = asked(server, text, explain=True)["evidence"]
    assert named
    for e in named:
        word = text[e["start"] : e["end"]]
        assert word == word.strip()
        assert re.search(rf"(?<!\w){re.escape(word)}(?!\w|\u0301|\u200d)", text)
        assert 0 < e["weight"] <= 1
    weights = [e["weight"] for e in named]
    assert weights == sorted(weights, reverse=True)


@pytest.mark.anyio
async def test_a_long_text_names_words_of_its_strongest_passage(model):
    """In pages of facts the one sentence that feels is found, and its offsets are those of the whole text."""
    facts = "The committee met on Tuesday and approved the minutes of the meeting before. "
    text = facts * 30 + "I am so terribly afraid of losing my daughter. " + facts * 30
    scores = (await model.predict([text]))[0]
    assert scores.windows > 3
    fear = replace(scores, category=tuple(float(label == "fear") for label in (*CORE, "neutral")))
    named = await explain(model, text, fear)
    assert any(text[e["start"] : e["end"]].startswith("afraid") for e in named)


@pytest.mark.parametrize(
    "text", ["我很害怕。" * 400, "😭😡" * 2500, "word😭word😭" * 800, "ab" * 4500, "https://example.org/" + "a/" * 300 + " sad. " * 300]
)
def test_passages_of_texts_without_spaces_stay_short(session, text):
    """A passage is about a window long whatever the script: twelve readings of it are not twelve readings of the whole text."""
    layout = session.layout(text)
    assert len(layout.windows) > 1
    lengths = [sum(map(len, session.encode([text[slice(*layout.passage(k))]])[0])) for k in range(len(layout.windows))]
    assert max(lengths) <= 3 * 128


def test_passages_begin_and_end_between_words(session):
    """Sentences of English are cut between words, and one that ends a window is not followed by the next one's first word."""
    text = "The committee met on Tuesday, and then it rained all afternoon in the harbour. " * 60
    layout = session.layout(text)
    for k in range(len(layout.windows)):
        start, end = layout.passage(k)
        assert start == 0 or text[start - 1] == " "
        assert end == len(text) or text[end - 1] == " "
        assert text[start:end].startswith("The committee")
        assert text[start:end].rstrip().endswith("harbour.")


class Counting:
    """A model that reads nothing and remembers how many texts it was given."""

    def __init__(self, session):
        self.session, self.rows = session, 0

    async def layout(self, text):
        return self.session.layout(text)

    async def again(self, texts):
        self.rows += len(texts)
        return self.session.predict(texts)


@pytest.mark.anyio
@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["furious", "happy", "the", "dog", "of", "wall", "😭", "late", "never", "again"]), min_size=1, max_size=90))
async def test_the_cost_is_bounded(session, words):
    """Never more than twelve rows more, however many words there are."""
    text = " ".join(words)
    counting = Counting(session)
    angry = replace(session.predict([text])[0], category=(0, 0, 0, 1, 0, 0, 0))
    named = await explain(counting, text, angry)
    assert counting.rows <= ROWS
    assert all(0 <= e["start"] < e["end"] <= len(text) for e in named)
