"""From the columns of the network's output to :class:`Scores`, and from many windows to one reading.

Why windows are combined in this way: docs/decisions/0006-long-text.md.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kaiko_server.engine.model import CORE, DANGERS, GO, MODES, Scores, Tokens

_CATEGORY_AT = len(CORE)
_GO_AT = _CATEGORY_AT + len(CORE) + 1
_VALENCE, _AROUSAL, _INTENSITY, _WONDER, _EMPATHIC_CONCERN, _PERSONAL_DISTRESS, _META, _PATTERN, _CONCERN = range(
    _GO_AT + len(GO), _GO_AT + len(GO) + 9
)
_DANGERS_AT = _CONCERN + 1
_HOSTILITY = _DANGERS_AT + len(DANGERS)
_MODE_AT = _HOSTILITY + 1
COLUMNS = _MODE_AT + len(MODES)
"""Numbers that the network gives for a row."""

_PEAK = 4.0
"""Exponent of the mean over windows: what fills a sixteenth of a text counts half, a weak maybe everywhere stays weak."""

_CALM_WEIGHT = 0.05
"""What a window without any intensity still says about valence, arousal and category, against 1 for the strongest."""

# GoEmotions' ``neutral`` is no emotion that one passage could raise, so it stands with the category.
_WEIGHED = np.array([*range(_CATEGORY_AT, _GO_AT), _GO_AT + GO.index("neutral"), _VALENCE, _AROUSAL])
# What a text asks for is asked by all of it, the calm part included.
_SHARED = np.array(range(_MODE_AT, COLUMNS))
# One sentence of danger in a long letter is danger: nothing around it makes it less.
_LOUDEST = np.array(range(_CONCERN, _HOSTILITY))
_HEARD = np.array([i for i in range(COLUMNS) if i not in {*_WEIGHED.tolist(), *_SHARED.tolist(), *_LOUDEST.tolist()}])


def combine(outputs: NDArray[np.float32], tokens: Sequence[int]) -> NDArray[np.float64]:
    """Make one row of the rows of a text's windows; the order of the windows does not matter.

    Parameters
    ----------
    outputs
        (windows, :data:`COLUMNS`), at least one window.
    tokens
        How many tokens each window holds, above 0.
    """
    rows = outputs.astype(np.float64)
    if len(rows) == 1:
        return rows.ravel()
    share = np.asarray(tokens, np.float64) / sum(tokens)
    weight = share * (_CALM_WEIGHT + rows[:, _INTENSITY]) ** 2
    combined = np.empty(COLUMNS)
    combined[_WEIGHED] = weight @ rows[:, _WEIGHED] / weight.sum()
    combined[_SHARED] = share @ rows[:, _SHARED]
    # All four of one window: a fire in one and an idiom in another do not add up to a crisis.
    danger = rows[:, _CONCERN] * rows[:, _DANGERS_AT:_HOSTILITY].max(axis=1)
    combined[_LOUDEST] = max((value, *row) for value, row in zip(danger, rows[:, _LOUDEST], strict=True))[1:]
    combined[_HEARD] = (share @ rows[:, _HEARD] ** _PEAK) ** (1 / _PEAK)
    # Rounding may step over the smallest or the largest of the windows by its last digit.
    np.clip(combined, rows.min(axis=0), rows.max(axis=0), out=combined)
    return combined


class Output(NamedTuple):
    """What the network says of one window."""

    scores: NDArray[np.float32]
    """(:data:`COLUMNS`,)"""
    said: Tokens
    """Without the tokens that mark begin and end."""


def reading(outputs: Sequence[Output], tokens: Sequence[int]) -> Scores:
    """Make one reading of a text's windows; *tokens* says how many each holds."""
    said = tuple(output.said for output in outputs)
    if len(outputs) == 1:
        return scores_of(outputs[0].scores.tolist(), said, tokens=tokens[0])
    rows = np.stack([output.scores for output in outputs])
    return scores_of(combine(rows, tokens).tolist(), said, tokens=sum(tokens), loudest=rows[:, : len(CORE)].argmax(axis=0).tolist())


def scores_of(row: Sequence[float], said: tuple[Tokens, ...], *, tokens: int, loudest: Sequence[int] = (0,) * 6) -> Scores:
    """Name the numbers of one row; *loudest* says where each core emotion is strongest, when there are several windows."""
    return Scores(
        core=tuple(row[:_CATEGORY_AT]),
        category=tuple(row[_CATEGORY_AT:_GO_AT]),
        go=tuple(row[_GO_AT:_VALENCE]),
        valence=row[_VALENCE],
        arousal=row[_AROUSAL],
        intensity=row[_INTENSITY],
        wonder=row[_WONDER],
        empathic_concern=row[_EMPATHIC_CONCERN],
        personal_distress=row[_PERSONAL_DISTRESS],
        meta=row[_META],
        pattern=row[_PATTERN],
        concern=row[_CONCERN],
        dangers=tuple(row[_DANGERS_AT:_HOSTILITY]),
        hostility=row[_HOSTILITY],
        mode=tuple(row[_MODE_AT:COLUMNS]),
        said=said,
        loudest=tuple(loudest),
        tokens=tokens,
        windows=len(said),
    )
