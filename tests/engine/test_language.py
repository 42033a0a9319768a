import json
from pathlib import Path

import pytest

from kaiko_server.engine.text import Language, detect_language
from tests.engine.sentences import SENTENCES

CORPUS = Path(__file__).parents[2] / "training" / "data" / "corpus"


def test_the_corpus_is_supported() -> None:
    """Of the project's own English messages, slang, emoji and borrowed words included, 99.5 % are told to be readable."""
    texts = [json.loads(line)["text"] for path in CORPUS.glob("*.jsonl") for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(texts) > 10_000
    assert sum(detect_language(text).supported for text in texts) / len(texts) > 0.995


@pytest.mark.parametrize("tag", SENTENCES)
def test_other_languages(tag: str) -> None:
    """Everyday sentences in other languages are told apart from English, and nearly all from each other."""
    found = [detect_language(sentence) for sentence in SENTENCES[tag]]
    assert sum(language.tag == tag for language in found) >= 9
    assert not any(language.supported for language in found)


@pytest.mark.parametrize(
    "text",
    [
        "lol ok", "hello", "yay", "omg noooo 😭😭", "brb", "idk man im just tired", "I can\u2019t stay. I\u2019m sorry.",
        "te amo babe, see you tonight", "la la la i can't hear you", "no me gusta that movie but you should see it",
        "Her café résumé was a bit naïve", "Zürich was lovely, we had fondue and the weather was great", "😂 dead",
    ],
)  # fmt: skip
def test_english_chat_is_english(text: str) -> None:
    """Short, misspelt and mixed messages are English unless something speaks against it."""
    assert detect_language(text) == Language("en", supported=True)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("أنا سعيد جدا اليوم", "ar"), ("من امروز خیلی خوشحالم، چرا؟", "fa"), ("میں آج بہت خوش ہوں", "ur"), ("Мне очень грустно", "ru"),
        ("Я дуже щаслива, що ти є", "uk"), ("मैं बहुत दुखी हूँ", "hi"), ("我今天很难过", "zh"), ("今日はとても悲しい", "ja"), ("累", "zh"),
        ("오늘 너무 슬퍼", "ko"), ("אני מאוד שמח היום", "he"), ("Είμαι πολύ χαρούμενος", "el"), ("วันนี้ฉันเศร้ามาก", "th"),
        ("yaar aaj bahut bura lag raha hai", "hi-Latn"), ("我今天很难过 lol", "zh"),
    ],
)  # fmt: skip
def test_scripts_decide(text: str, tag: str) -> None:
    """A script that English is not written in decides by itself, and is not supported."""
    assert detect_language(text) == Language(tag, supported=False)


@pytest.mark.parametrize("text", ["😭😭😭", "12345", "?!", "<3", "( ; ω ; )", "https://example.com/a"])
def test_no_language_is_supported(text: str) -> None:
    """What holds no word has no language, and the model reads it."""
    assert detect_language(text) == Language("und", supported=True)


def test_unlisted_language_is_not_called_english() -> None:
    """A longer text in a Latin-script language that is not listed is undetermined and not supported."""
    text = "Ma olen väga kurb, sest mu koer suri eile õhtul ja ma ei tea, mida teha."
    assert not detect_language(text).supported
    assert detect_language("Habari yako rafiki yangu, nimefurahi sana kukuona tena baada ya miaka mingi") == Language(
        "und", supported=False
    )


def test_a_word_of_another_script_does_not_turn_english() -> None:
    """An English message that quotes a foreign word stays English."""
    assert detect_language("She always said спасибо when I brought her tea").tag == "en"
