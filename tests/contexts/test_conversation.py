"""What a message owes to those before it, over any conversation: checked against a slow and obvious telling."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.contexts.conversation import REMEMBERED, Said, hostility_state, mode_of, remember
from kaiko_server.engine.model import DANGERS, MODES
from kaiko_server.reading import hostility

ASKS = st.sampled_from(range(6)).map(lambda k: tuple(0.9 if i == k else 0.02 for i in range(6)))
SAID = st.builds(
    Said,
    at=st.integers(0, 30),
    number=st.just(0),
    hostility=st.sampled_from((0.0, 0.29, 0.3, 0.6, 0.9)),
    concern=st.just(0.1),
    danger=st.just(-1),
    mode=ASKS,
)


def numbered(messages):
    return [replace(m, number=n) for n, m in enumerate(messages, 1)]


@given(st.lists(SAID, max_size=40))
def test_order_of_arrival_does_not_matter(messages):
    """As long as all are remembered, streaks are those of the messages in the order in which they were said."""
    conversation = []
    for message in numbered(messages)[:REMEMBERED]:
        conversation, _ = remember(conversation, message)
    streak, told = 0, []
    for message in sorted(numbered(messages)[:REMEMBERED]):
        streak = streak + 1 if message.hostility >= 0.3 else 0
        told.append((message.number, streak))
    assert [(s.number, s.streak) for s in conversation] == told


@given(st.lists(SAID, max_size=60))
def test_what_is_remembered_is_bounded(messages):
    """Of a long conversation the last are remembered; in order, streaks go on however long they are."""
    conversation, streak = [], 0
    for message in numbered(replace(m, at=k) for k, m in enumerate(messages)):
        conversation, said = remember(conversation, message)
        streak = streak + 1 if message.hostility >= 0.3 else 0
        assert said.streak == streak
        assert len(conversation) <= REMEMBERED


def spoken(*scores):
    """A conversation of these hostility scores, and the blocks of its messages."""
    conversation, blocks = [], []
    for k, score in enumerate(scores):
        said = Said(k, k, score, 0.0, -1, (1.0, 0, 0, 0, 0, 0))
        conversation, said = remember(conversation, said)
        blocks.append(hostility_state(hostility.state(score, at=None), conversation, said, f"t{k}"))
    return blocks


def test_hostility_escalates_and_calms():
    """Counts go up with each hostile message; the first calm one is a de-escalation and asks for nothing more."""
    blocks = spoken(0.35, 0.6, 0.4, 0.1, 0.1)
    assert [b["escalationCount"] for b in blocks] == [1, 2, 3, 0, 0]
    assert [b["deEscalationDetected"] for b in blocks] == [False, False, False, True, False]
    assert [b["recommendedResponse"] for b in blocks] == ["defensive", "boundary_setting", "boundary_setting", "normal", "normal"]
    assert [b.get("lastEscalation") for b in blocks] == ["t0", "t1", "t2", None, None]


def conversation_of(*modes, danger=()):
    return [
        Said(k, k, 0.0, 0.9 if k in danger else 0.0, 0 if k in danger else -1, tuple(float(m == name) for name in MODES))
        for k, m in enumerate(modes)
    ]


def test_the_mode_is_that_of_the_conversation():
    """One "thanks!" in the middle of a task does not end the task; two messages that want something else do."""
    task, chat = "task_execution", "conversational"
    assert mode_of(conversation_of(task), "neutral", "minimal")["mode"] == task
    assert mode_of(conversation_of(task, task, task, chat), "neutral", "minimal")["confidence"] < 1
    assert mode_of(conversation_of(task, task, chat, chat), "neutral", "minimal")["mode"] == chat


def test_a_crisis_lasts():
    """After a message of danger the next three are answered as a crisis too, the fourth no more."""
    chat = "conversational"
    for later in range(4):
        block = mode_of(conversation_of(*[chat] * (1 + later), danger=(0,)), "neutral", "minimal")
        assert (block["mode"], block["personalityMode"], block["crisisDetected"]) == ("crisis_intervention", "crisis", True)
    assert not mode_of(conversation_of(*[chat] * 5, danger=(0,)), "neutral", "minimal")["crisisDetected"]
    assert DANGERS[0] == "self_harm"
