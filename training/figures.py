"""The measures of the report, over plain arrays; each with a bootstrap interval."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ROUNDS = 1000


def interval(measure: Callable[[NDArray[np.int64]], float], rows: int, seed: int = 7) -> dict[str, float]:
    """Give *measure* over all rows and its 95 % bootstrap interval; *measure* takes the indices of the rows drawn."""
    chance = np.random.default_rng(seed)
    drawn = [measure(chance.integers(0, rows, rows)) for _ in range(ROUNDS)]
    low, high = np.nanpercentile(drawn, [2.5, 97.5])
    return {"value": float(measure(np.arange(rows))), "low": float(low), "high": float(high), "rows": rows}


def f1(truth: Array, said: Array) -> Array:
    """F1 of each column of two arrays of zeros and ones."""
    hits = (truth * said).sum(0)
    total = truth.sum(0) + said.sum(0)
    found: Array = np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)
    return found


def micro_f1(truth: Array, said: Array) -> float:
    return float(2 * (truth * said).sum() / max(1.0, (truth.sum() + said.sum())))


def average_precision(truth: Array, score: Array) -> float:
    """Area under precision against recall, by steps."""
    order = np.argsort(-score, kind="stable")
    hits = truth[order]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum() / max(1.0, hits.sum()))


def best_thresholds(truth: Array, score: Array) -> Array:
    """For each column the threshold with the best F1; half-way to the next score, so that it is no single row's."""
    out = np.full(truth.shape[1], 0.5)
    for k in range(truth.shape[1]):
        order = np.argsort(-score[:, k], kind="stable")
        hits, sorted_ = np.cumsum(truth[order, k]), score[order, k]
        said = np.arange(1, len(order) + 1)
        value = 2 * hits / (said + truth[:, k].sum())
        smooth = np.convolve(value, np.ones(5) / 5, mode="same") if truth[:, k].sum() > 20 else value
        i = int(np.argmax(smooth))
        out[k] = (sorted_[i] + sorted_[min(i + 1, len(order) - 1)]) / 2
    clipped: Array = np.clip(out, 0.02, 0.98)
    return clipped


def crossfitted(truth: Array, score: Array, folds: int = 10, seed: int = 3) -> Array:
    """Say yes or no for every row with thresholds fitted on the other folds only."""
    fold = np.random.default_rng(seed).integers(0, folds, len(truth))
    said = np.zeros_like(truth)
    for f in range(folds):
        said[fold == f] = score[fold == f] >= best_thresholds(truth[fold != f], score[fold != f])
    return said


def pearson(a: Array, b: Array) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def expected_calibration_error(probability: Array, right: Array, bins: int = 15) -> float:
    """Mean gap between what was claimed and what was so, over bins of equal width (Guo et al. 2017)."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    gaps = [abs(probability[index == b].mean() - right[index == b].mean()) * (index == b).mean() for b in range(bins) if (index == b).any()]
    return float(sum(gaps))


def accuracy(truth: Sequence[int], said: Sequence[int]) -> dict[str, float]:
    same = np.asarray(truth) == np.asarray(said)
    return interval(lambda rows: float(same[rows].mean()), len(same))
