"""From the columns of the network's output to :class:`Scores`, and from many windows to one reading.

Why windows are combined in this way: docs/decisions/0006-long-text.md.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaiko_server.engine.model import CORE, GO, Scores

_CATEGORY_AT = len(CORE)
_GO_AT = _CATEGORY_AT + len(CORE) + 1
_VALENCE, _AROUSAL, _INTENSITY, _WONDER, _EMPATHIC_CONCERN, _PERSONAL_DISTRESS, _META, _PATTERN = range(
    _GO_AT + len(GO), _GO_AT + len(GO) + 8
)
COLUMNS = _PATTERN + 1
"""Numbers that the network gives for a row."""

_PEAK = 4.0
"""Exponent of the mean over windows: what fills a sixteenth of a text counts half, a weak maybe everywhere stays weak."""

_CALM_WEIGHT = 0.05
"""What a window without any intensity still says about valence, arousal and category, against 1 for the strongest."""

# GoEmotions' ``neutral`` is no emotion that one passage could raise, so it stands with the category.
_WEIGHED = np.array([*range(_CATEGORY_AT, _GO_AT), _GO_AT + GO.index("neutral"), _VALENCE, _AROUSAL])
_HEARD = np.array([i for i in range(COLUMNS) if i not in set(_WEIGHED.tolist())])


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
    combined[_HEARD] = (share @ rows[:, _HEARD] ** _PEAK) ** (1 / _PEAK)
    # Rounding may step over the smallest or the largest of the windows by its last digit.
    np.clip(combined, rows.min(axis=0), rows.max(axis=0), out=combined)
    return combined


def scores_of(row: Sequence[float], *, tokens: int, windows: int) -> Scores:
    """Name the numbers of one row."""
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
        tokens=tokens,
        windows=windows,
    )
