import hashlib
import logging
import math
import random
from dataclasses import astuple
from pathlib import Path

import numpy as np
import pytest

from kaiko_server.engine import onnx
from kaiko_server.engine.batcher import Batcher
from kaiko_server.engine.model import CORE, GO, ModelUnavailableError, Scores
from kaiko_server.engine.onnx import OnnxSession
from kaiko_server.engine.scores import COLUMNS

WEIGHTS = Path(onnx.__file__).with_name("weights")
STORY = "We packed the car before sunrise and drove to the lake. The water was cold. My sister laughed at me the whole way home! "
LONG = (STORY * 100)[:10_000]
MESSAGES = (
    "hello",
    "I got the job! I can't stop smiling.",
    "The meeting is at 3 pm in room 204.",
    "My dog died last night and the house is so quiet.",
    "ok",
    "why would you DO that???",
    "lol 😂😂",
    "I'm not happy about this at all.",
    STORY,
    "thank you, truly, for everything you did for us this year",
    "I keep checking the door. Every noise makes me jump.",
    STORY * 3,
    "wow, I did not see that coming",
)


def numbers(scores: Scores) -> list[float]:
    """Give all that the network said, counts aside."""
    return [*scores.core, *scores.category, *scores.go, *astuple(scores)[3:11]]


def units(scores: Scores) -> list[float]:
    """Every single number of 0..1."""
    names = ("arousal", "intensity", "wonder", "empathic_concern", "personal_distress", "meta", "pattern", "concern", "hostility")
    return [getattr(scores, name) for name in names]


def assert_in_range(scores: Scores) -> None:
    assert (len(scores.core), len(scores.category), len(scores.go)) == (len(CORE), len(CORE) + 1, len(GO))
    assert -1 <= scores.valence <= 1
    assert all(0 <= value <= 1 for value in [*scores.core, *scores.category, *scores.go, *scores.dangers, *scores.mode, *units(scores)])
    assert math.isclose(sum(scores.category), 1, abs_tol=1e-4)


def test_version_is_that_of_the_weights(session: OnnxSession) -> None:
    """The version names the very file that is loaded, and each label has its threshold."""
    digest = hashlib.sha256((WEIGHTS / "model.onnx").read_bytes()).hexdigest()
    assert session.version == f"emotion-v2+{digest[:8]}"
    assert len(session.thresholds.go) == len(GO)
    assert all(0 < threshold < 1 for threshold in (*session.thresholds.go, session.thresholds.crisis))


def test_missing_weights(tmp_path: Path) -> None:
    """A folder without weights is an OSError, which ``doctor`` can explain."""
    with pytest.raises(OSError, match=r"model\.json"):
        OnnxSession.load(tmp_path, threads=1)


def test_every_number_is_in_its_range(session: OnnxSession) -> None:
    """Messages of all lengths give numbers within the ranges that Scores promises."""
    for scores in session.predict(MESSAGES):
        assert_in_range(scores)
        assert scores.windows == 1 or scores.tokens > 128


def test_nothing_to_predict(session: OnnxSession) -> None:
    """No texts, no scores, no error."""
    assert session.predict([]) == []


def test_same_text_same_scores(session: OnnxSession) -> None:
    """The same text alone reads the same to the last digit, from one time to the next."""
    assert session.predict([MESSAGES[3]]) == session.predict([MESSAGES[3]])


def test_order_is_kept(session: OnnxSession) -> None:
    """Sorting by length inside does not show: each text gets its own reading."""
    alone = [session.predict([text])[0] for text in MESSAGES]
    together = session.predict(MESSAGES)
    assert [s.tokens for s in together] == [s.tokens for s in alone]


def test_company_does_not_matter(session: OnnxSession) -> None:
    """What else is in the batch moves no number by more than 0.02."""
    chooser = random.Random(1)
    alone = {text: numbers(session.predict([text])[0]) for text in MESSAGES}
    for _ in range(5):
        batch = chooser.choices(MESSAGES, k=24)
        for text, scores in zip(batch, session.predict(batch), strict=True):
            np.testing.assert_allclose(numbers(scores), alone[text], atol=0.02)


def test_long_text_is_read_to_its_end(session: OnnxSession) -> None:
    """10,000 characters are read in windows of at most 128 tokens that together hold every token."""
    windows = session.encode([LONG])[0]
    assert len(windows) > 10
    assert max(map(len, windows)) <= 128
    (scores,) = session.predict([LONG])
    assert scores.windows == len(windows)
    assert scores.tokens == sum(map(len, windows))
    assert_in_range(scores)
    changed = session.encode([LONG[:-20] + " I hate them all."])[0]
    assert changed[0] == windows[0]
    assert changed[-1] != windows[-1]


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10_000,
        "ab" * 5_000,
        "😭🎉" * 5_000,
        "累了" * 5_000,
        "วันนี้ฉันเศร้ามาก" * 500,
        "!?" * 5_000,
        "x\n" * 5_000,
        "#sohappy" * 1_250,
        "\ufdfa" * 500,
    ],
    ids=["one-letter", "one-word", "emoji", "han", "thai", "marks", "lines", "hashtags", "ligatures"],
)
def test_strange_long_text(session: OnnxSession, text: str) -> None:
    """Long text without sentences or words is divided all the same, and is not one unknown word."""
    windows = session.encode([text])[0]
    assert all(2 < len(window) <= 128 for window in windows)
    assert sum(map(len, windows)) > 50 or text.startswith("aaa")
    assert_in_range(session.predict([text[:2000]])[0])


@pytest.mark.parametrize("text", ["😭", "🥳🥳🥳", "👨‍👩‍👧", "🏳️‍🌈", "<3"])
def test_only_emoji(session: OnnxSession, text: str) -> None:
    """Emoji reach the network as words, none as the unknown token."""
    (window,) = session.encode([text])[0]
    assert len(window) > 2
    assert session._tokenizer.token_to_id("[UNK]") not in window
    assert_in_range(session.predict([text])[0])


@pytest.mark.parametrize("text", ["أنا سعيد جدا اليوم", "אני מאוד שמח היום", "\u202eabc\u202c", "\u200f"])
def test_right_to_left(session: OnnxSession, text: str) -> None:
    """Right-to-left script and its invisible marks are read like any other."""
    assert_in_range(session.predict([text])[0])


def test_not_a_number_is_an_error(session: OnnxSession) -> None:
    """A network that gives NaN gives no reading at all."""

    class Broken:
        def run(self, _names: object, feed: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [np.full((len(feed["ids"]), COLUMNS), np.nan, np.float32), np.zeros((*feed["ids"].shape, 7), np.float32)]

    broken = OnnxSession(Broken(), session._tokenizer, {**CARD, "go_thresholds": session.thresholds.go, "crisis_threshold": 0.5})
    with pytest.raises(ArithmeticError):
        broken.predict(["text"])


CARD = {"version": "broken", "max_tokens": 128, "normaliser_pieces": 100}


@pytest.mark.anyio
async def test_batcher_over_the_real_model(session: OnnxSession, caplog: pytest.LogCaptureFixture) -> None:
    """Behind the batcher the model says what it says alone; a lone surrogate fails its own call and nothing else."""
    caplog.set_level(logging.DEBUG)
    batcher = Batcher(session, queue_texts=1000, batch_tokens=512)
    batcher.start()
    try:
        scores = await batcher.predict([*MESSAGES, LONG])
        for one, alone in zip(scores, session.predict([*MESSAGES, LONG]), strict=True):
            np.testing.assert_allclose(numbers(one), numbers(alone), atol=0.02)
            assert (one.tokens, one.windows) == (alone.tokens, alone.windows)
        with pytest.raises(ModelUnavailableError, match="TypeError"):
            await batcher.predict(["fine", "secret \ud800"])
        assert batcher.ready
        assert len(await batcher.predict(["after"])) == 1
    finally:
        await batcher.close()
    assert "secret" not in caplog.text
