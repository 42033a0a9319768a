"""From the model's scores of danger to what the contract says of it (section 4.4): an aid for routing to a person, no diagnosis."""

from kaiko_server.engine.model import DANGERS, Scores

_NAMED = 0.2
"""From which probability on a kind of danger may give a crisis its name; a fire or a fall is danger, but of none of these kinds."""


def danger_of(scores: Scores, threshold: float) -> str | None:
    """Name the kind of danger that makes a text a crisis; None when it is none.

    It is a crisis by its meaning, never by its intensity: danger to anyone must be as likely as *threshold*, which was fitted on
    dev data, and be of one of the kinds that the contract covers.
    """
    kind = max(range(len(DANGERS)), key=scores.dangers.__getitem__)
    return DANGERS[kind] if scores.concern >= threshold and scores.dangers[kind] >= _NAMED else None
