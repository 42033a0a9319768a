"""The first thing anyone tries: real sentences, read over HTTP by the shipped model."""

import pytest


def read(server, text):
    return server.analyse(text)["emotions"]["user"]


def test_a_plain_fact_is_neutral(server):
    """A fact without a feeling is neutral, and its intensity low."""
    item = read(server, "The meeting is at 3 pm in room 204.")
    assert item["category"] == "neutral"
    assert item["intensity"] < 0.2
    assert item["intensityLevel"] == "minimal"


def test_good_news_is_joy(server):
    """Good news is joy, pleasant, and not faint."""
    item = read(server, "I got the job! I can't stop smiling.")
    assert item["category"] == "joy"
    assert item["valence"] > 0.4
    assert item["intensity"] > 0.5


def test_negated_joy_is_not_joy(server):
    """Being "not happy" is not read as being happy, with a straight apostrophe or a curly one."""
    for text in ("I'm not happy about this at all.", "I\u2019m not happy about this at all."):
        item = read(server, text)
        assert item["category"] != "joy"
        assert item["valence"] < 0


@pytest.mark.parametrize(
    ("text", "categories", "sign"),
    [
        ("We lost everything in the fire.", {"sadness", "fear"}, -1),
        ("thank you so much for staying with me at the hospital, it meant the world", {"love"}, 1),
        ("You lied to me again and I am furious.", {"anger"}, -1),
        ("I'm terrified of what the scan will show tomorrow.", {"fear"}, -1),
        ("my dog died last night and the house is so quiet", {"sadness"}, -1),
        ("omg I passed!!! 🎉🎉", {"joy", "surprise"}, 1),
    ],
)
def test_everyday_messages(server, text, categories, sign):
    """Plain everyday messages are read as anyone would read them."""
    item = read(server, text)
    assert item["category"] in categories
    assert item["valence"] * sign > 0


def test_emoji_mean_what_they_mean(server):
    """A text of emoji alone is read: hearts are pleasant, anger is not."""
    assert read(server, "❤️❤️🥰")["valence"] > 0.2
    assert read(server, "😡🤬😡")["valence"] < -0.2


def test_the_same_text_has_the_same_reading(server):
    """Alone, beside others, or in a batch: a text's reading is its own; at most a last digit is rounded the other way."""
    text = "I keep checking the door. Every noise makes me jump."
    alone = read(server, text)
    others = [
        server.analyse("ok", text, "word " * 300)["messages"][1]["emotions"],
        server.analyse("ok", text, "word " * 300, path="/v2/emotions/batch-analysis")["emotions"][1],
    ]
    for other in others:
        told, first = flat(other), flat(alone)
        assert told.keys() == first.keys()
        for name, value in first.items():
            assert told[name] == (pytest.approx(value, abs=2e-4) if isinstance(value, float) else value), name


def flat(value, name=""):
    """Every single value of an item under the path to it."""
    if not isinstance(value, dict | list):
        return {name: value}
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    return {place: v for key, part in pairs for place, v in flat(part, f"{name}.{key}").items()}
