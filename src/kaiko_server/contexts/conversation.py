"""What a reading owes to the messages before it: hostility that goes on, what a conversation asks for. Pure.

Of a conversation its last :data:`REMEMBERED` user messages are looked at, in the order in which they were said; one that comes late
is put where it belongs.
"""

from bisect import insort
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kaiko_server.engine.model import DANGERS, MODES
from kaiko_server.reading.mode import conversation_mode

REMEMBERED = 16
_HALVED = 0.5
"""What a message still says about what the conversation asks for, against the one after it."""
_ASKED = 4
"""Messages that have a say in that: older ones would count a sixteenth and less."""
_CRISIS_STAYS = 4
"""A crisis is not over with the next "ok thanks": so many user messages, that of the danger included, are answered as a crisis."""
_HOSTILE = 0.30
_ESCALATED = 3
"""From so many hostile messages in a row on a boundary is to be set, however low each of them is."""


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """What is remembered of one user message; ordered by time, then by arrival.

    Attributes
    ----------
    at
        Microseconds since 1970.
    number
        Of its arrival.
    hostility, concern
        0..1.
    danger
        Place in ``DANGERS``, or -1.
    mode
        Six probabilities.
    streak
        Hostile messages in a row up to this one, itself included; 0 when it is calm.
    """

    at: int
    number: int
    hostility: float
    concern: float
    danger: int
    mode: tuple[float, ...]
    streak: int = 0


def remember(conversation: Sequence[Said], said: Said) -> tuple[list[Said], Said]:
    """Put *said* into *conversation*, in its place; give the conversation and *said* with its streak.

    The streaks of those after it are told anew. What is older than all that is remembered changes nothing of them.
    """
    before = list(conversation)
    if len(before) == REMEMBERED and said < before[0]:
        return before, replace(said, streak=int(said.hostility >= _HOSTILE))
    insort(before, said)
    place = before.index(said)
    streak = before[place - 1].streak if place else 0
    for at in range(place, len(before)):
        streak = streak + 1 if before[at].hostility >= _HOSTILE else 0
        before[at] = replace(before[at], streak=streak)
    return before[-REMEMBERED:], before[place]


def hostility_state(alone: dict[str, object], conversation: Sequence[Said], said: Said, at: str) -> dict[str, object]:
    """Give the block ``hostilityState`` of *said*, from what it is *alone*; *at* is its time as ISO 8601."""
    earlier = [other for other in conversation if other < said]
    calmed = bool(earlier) and earlier[-1].streak > 0 and said.hostility < _HOSTILE
    block = {**alone, "escalationCount": said.streak, "deEscalationDetected": calmed}
    if said.streak:
        block["lastEscalation"] = at
    if said.streak >= _ESCALATED and block["recommendedResponse"] == "defensive":
        block["recommendedResponse"] = "boundary_setting"
    return block


def mode_of(conversation: Sequence[Said], category: str, intensity_level: str) -> dict[str, object]:
    """Give the block ``conversationMode`` of a *conversation* of one user message or more.

    *category* and *intensity_level* are those of the latest. What it asks for is weighed over its last messages, and danger lasts.
    """
    latest = list(reversed(conversation[-_ASKED:]))
    weights = [_HALVED**k for k in range(len(latest))]
    mode = tuple(sum(w * s.mode[k] for w, s in zip(weights, latest, strict=True)) / sum(weights) for k in range(len(MODES)))
    danger = next((s for s in reversed(conversation[-_CRISIS_STAYS:]) if s.danger >= 0), None)
    if danger is None:
        return conversation_mode(mode, conversation[-1].concern, None, category, intensity_level)
    return conversation_mode(mode, danger.concern, DANGERS[danger.danger], category, intensity_level)
