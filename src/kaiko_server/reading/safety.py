"""From the model's scores of danger to what the contract says of it (section 4.4): an aid for routing to a person, no diagnosis."""

import math
from bisect import bisect_right
from collections.abc import Sequence

from kaiko_server.engine.layout import Layout
from kaiko_server.engine.model import ALARM, DANGERS, Scores

_NAMED = 0.2
"""From which probability on a kind of danger may give a crisis its name; a fire or a fall is danger, but of none of these kinds."""


def danger_of(scores: Scores, threshold: float) -> str | None:
    """Name the kind of danger that makes a text a crisis; None when it is none.

    It is a crisis by its meaning, never by its intensity: danger to anyone must be as likely as *threshold*, which was fitted on
    dev data, and be of one of the kinds that the contract covers.
    """
    kind = max(range(len(DANGERS)), key=scores.dangers.__getitem__)
    return DANGERS[kind] if scores.concern >= threshold and scores.dangers[kind] >= _NAMED else None


def sentences_of_danger(
    layout: Layout, sentences: Sequence[tuple[int, int]], scores: Scores, threshold: float
) -> Sequence[tuple[int, int]]:
    """Give those *sentences* of a crisis whose words alone would make one, or else the one whose words come nearest.

    Parameters
    ----------
    layout
        Where the text's tokens are.
    sentences
        Where its sentences begin and end, in order; at least one.
    scores
        What was read of it: they say how much each token had part in the danger, so that nothing is read again.
    threshold
        As for :func:`danger_of`.
    """
    starts = [start for start, _ in sentences]
    heard: list[list[float]] = [[] for _ in sentences]
    for (first, last), window in zip(layout.windows, scores.said, strict=False):
        for place, alarm in zip(layout.places[first:last], window[:, ALARM].tolist(), strict=False):
            heard[max(0, bisect_right(starts, place) - 1)].append(alarm)
    odds = [sum(alarms) / len(alarms) if alarms else -math.inf for alarms in heard]
    told = [sentence for sentence, alarm in zip(sentences, odds, strict=True) if alarm >= math.log(threshold / (1 - threshold))]
    return told or [sentences[max(range(len(sentences)), key=odds.__getitem__)]]
