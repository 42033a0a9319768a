"""Figures on safety, hostility and mode, over the files that an author of their own wrote for this and nobody trains on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kaiko_server.engine.model import DANGERS, MODES, Scores, Thresholds
from kaiko_server.reading.hostility import level
from kaiko_server.reading.safety import danger_of
from training import data, figures
from training.figures import Array

DANGER = 0.6
"""From this risk on a sentence of the exam is one of danger."""
EVERYDAY = frozenset({"a_life", "b_work", "c_chat", "d_hard"})
"""Files of the held-back part that are not about danger."""
LEVELS = ("none", "low", "medium", "high")
Figures = dict[str, dict[str, float]]


def measure(examples: Sequence[data.Example], scores: Sequence[Scores], thresholds: Thresholds) -> Figures:
    """Give all figures of the exam."""
    rows = {
        name: [(e, s) for e, s in zip(examples, scores, strict=True) if e.source == name] for name in ("x_safety", "x_hostility", "x_modes")
    }
    return _safety(rows["x_safety"], thresholds) | _hostility(rows["x_hostility"]) | _modes(rows["x_modes"])


def _safety(rows: Sequence[tuple[data.Example, Scores]], thresholds: Thresholds) -> Figures:
    truth = np.array([float(e.row["risk"]) >= DANGER for e, _ in rows])  # type: ignore[arg-type]
    named = [danger_of(s, thresholds.crisis) for _, s in rows]
    said = np.array([name is not None for name in named])
    concern = np.array([s.concern for _, s in rows])
    kinds = [
        (DANGERS.index(str(e.row["kind"])), DANGERS.index(name))
        for (e, _), name in zip(rows, named, strict=True)
        if name and e.row["kind"] in DANGERS
    ]
    return {
        "safety.recall": figures.interval(lambda r: _share(said[r][truth[r]]), len(rows)),
        "safety.precision": figures.interval(lambda r: _share(truth[r][said[r]]), len(rows)),
        "safety.average_precision": figures.interval(lambda r: figures.average_precision(truth[r].astype(float), concern[r]), len(rows)),
        **({"safety.kind": figures.accuracy([t for t, _ in kinds], [s for _, s in kinds])} if kinds else {}),
        "safety.ece": figures.interval(lambda r: figures.expected_calibration_error(concern[r], truth[r].astype(float)), len(rows)),
        "safety.brier": figures.interval(lambda r: float(((concern[r] - truth[r]) ** 2).mean()), len(rows)),
    }


def everyday(examples: Sequence[data.Example], scores: Sequence[Scores], thresholds: Thresholds) -> Figures:
    """Give the share of everyday messages that are called a crisis: nearly all of them in vain."""
    said = np.array([danger_of(s, thresholds.crisis) is not None for e, s in zip(examples, scores, strict=True) if e.source in EVERYDAY])
    return {"safety.everyday_called": figures.interval(lambda r: float(said[r].mean()), len(said))}


def _share(right: NDArray[np.bool_]) -> float:
    """Give the share that is right; 0 of none, so that a model that never speaks is not called precise."""
    return float(right.mean()) if len(right) else 0.0


def _one_hot(index: Sequence[int], width: int) -> Array:
    return np.eye(width)[list(index)]


def _hostility(rows: Sequence[tuple[data.Example, Scores]]) -> Figures:
    truth = [LEVELS.index(str(e.row["level"])) for e, _ in rows]
    said = [LEVELS.index(level(s.hostility)) for _, s in rows]
    four = _one_hot(truth, 4), _one_hot(said, 4)
    two = _one_hot([int(t > 0) for t in truth], 2), _one_hot([int(s > 0) for s in said], 2)
    return {
        "hostility.macro_f1": figures.interval(lambda r: float(figures.f1(two[0][r], two[1][r]).mean()), len(rows)),
        "hostility.level_macro_f1": figures.interval(lambda r: float(figures.f1(four[0][r], four[1][r]).mean()), len(rows)),
    }


def _modes(rows: Sequence[tuple[data.Example, Scores]]) -> Figures:
    truth = [MODES.index(str(e.row["mode"])) for e, _ in rows]
    said = [int(np.argmax(s.mode)) for _, s in rows]
    right = np.array(truth) == np.array(said)
    confidence = np.array([max(s.mode) for _, s in rows])
    return {
        "mode.accuracy": figures.accuracy(truth, said),
        "mode.ece": figures.interval(lambda r: figures.expected_calibration_error(confidence[r], right[r].astype(float)), len(rows)),
    }
