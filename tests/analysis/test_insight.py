"""Safety, hostility, mode and beliefs with the real model: the contract's sections 4.3 to 4.7, and what keyword systems get wrong."""

import pytest

DANGER = (
    "i'd be better off dead",
    "I\u2019d be better off dead.",
    "I don't want to be here any more.",
    "I've written the letters. By Sunday it won't matter any more.",
)
NO_DANGER = (
    "Never give up!",
    "whatever",
    "The budget crisis is a disgrace!",
    "I feel terrible",
    "this homework is killing me",
    "This traffic is killing me.",
    "In the novel, the hero says he wants to die, and the critics loved it.",
)


def item(server, text):
    return server.analyse(text)["emotions"]["user"]


@pytest.mark.parametrize("text", DANGER)
def test_danger_is_noticed(server, text):
    """A crisis by its meaning: the item says which and where, and the conversation turns to it."""
    reply = server.analyse(text)
    found = reply["emotions"]["user"]
    assert found["safety"]["kind"] == "self_harm"
    assert found["safety"]["evidence"]
    assert all(0 <= e["start"] < e["end"] <= len(text) for e in found["safety"]["evidence"])
    mode = reply["conversationMode"]
    assert (mode["mode"], mode["crisisDetected"], mode["personalityMode"]) == ("crisis_intervention", True, "crisis")


@pytest.mark.parametrize("text", NO_DANGER)
def test_words_of_danger_are_not_danger(server, text):
    """No keyword decides: idioms, fiction, politics and misery are no crises."""
    reply = server.analyse(text)
    assert "safety" not in reply["emotions"]["user"]
    assert reply["conversationMode"]["crisisDetected"] is False


def test_the_sentence_of_danger_is_pointed_at(server):
    """Of several sentences the one that tells the danger is the evidence."""
    text = "The oven is on. I want to die, I have wanted to for weeks and nobody knows."
    evidence = item(server, text)["safety"]["evidence"]
    assert [text[e["start"] : e["end"]] for e in evidence] == ["I want to die, I have wanted to for weeks and nobody knows."]


def test_hostility_is_aimed_at_somebody(server):
    """An insult is hostile; fury at a thing, self-blame and reported speech are not."""
    at = "2026-03-31T14:00:00+02:00"
    message = {"content": "You are the most useless, pathetic little man I have ever had to deal with.", "timestamp": at}
    asked = {"model": "emotion-v2", "messages": [message]}
    insult = server.request("POST", "/v2/emotions/analysis", asked).json["emotions"]["user"]["hostilityState"]
    assert insult["level"] in {"medium", "high"}
    assert insult["escalationCount"] == 1
    assert insult["lastEscalation"] == "2026-03-31T12:00:00Z"
    for text in (
        "This stupid printer has jammed again!",
        "I'm such an idiot, I forgot her birthday.",
        "He called me a liar in front of them.",
    ):
        calm = item(server, text)["hostilityState"]
        assert (calm["level"], calm["recommendedResponse"], calm["escalationCount"]) == ("none", "normal", 0)
        assert "lastEscalation" not in calm


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("Translate this email into Dutch, please, and keep it short.", "task_execution"),
        ("What is the boiling point of ethanol?", "information_retrieval"),
        ("Can you help me make a plan to run ten kilometres by June?", "goal_strategy"),
        ("I just need somebody to listen, my mother died last week.", "emotional_support"),
        ("Why do empires that grow fast so often fall apart from within? Let's weigh the explanations.", "analytical_deep_dive"),
        ("haha good morning! how was your weekend?", "conversational"),
    ],
)
def test_modes(server, text, mode):
    """Each of the six is recognised in a plain example."""
    block = server.analyse(text)["conversationMode"]
    assert block["mode"] == mode
    assert block["confidence"] > 1 / 6


def test_the_mode_is_of_the_latest_user_message(server):
    """An assistant's message has no mode, and a later message of the user's replaces an earlier one."""
    only = {"model": "emotion-v2", "messages": [{"role": "assistant", "content": "How can I help?"}]}
    assert "conversationMode" not in server.request("POST", "/v2/emotions/analysis", only).json
    two = ["I want to die.", "What is the boiling point of ethanol?"]
    asked = {"model": "emotion-v2", "messages": [{"content": text} for text in two]}
    reply = server.request("POST", "/v2/emotions/analysis", asked).json
    assert reply["conversationMode"]["mode"] == "information_retrieval"
    assert "safety" in reply["messages"][0]["emotions"]


def test_beliefs(server):
    """A belief is told with its type and without its introduction; questions, weather and quotations are none."""
    block = server.analyse("I believe honesty always pays in the end.")["beliefs"]
    assert (block["totalBeliefs"], block["beliefsByType"]) == (1, {"explicit": 1})
    assert block["beliefs"][0]["content"] == "honesty always pays in the end"
    assert server.analyse("I'm terrible with numbers, so my sister does the till.")["beliefs"]["beliefs"][0]["type"] == "capability"
    for text in ("Do you believe in luck?", "It rained all day in Leeds.", "She says that people never change."):
        assert "beliefs" not in server.analyse(text)
