"""The measures of the report, over plain arrays; each with a bootstrap interval."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ROUNDS = 1000
PULL = 1e-3


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


def platt(logit: Array, truth: Array, rounds: int = 50) -> tuple[float, float]:
    """Fit scale and shift of one label's logits by Newton's method, a little drawn to 1 and 0 (Platt 1999)."""
    scale, shift = 0.0, 0.0  # from where Newton's method does not overshoot
    for _ in range(rounds):
        said = 1 / (1 + np.exp(-np.clip(scale * logit + shift, -50, 50)))
        gap, weight = said - truth, said * (1 - said)
        slope = np.array([gap @ logit + PULL * (scale - 1), gap.sum() + PULL * shift])
        cross = weight @ logit
        curve = np.array([[weight @ logit**2 + PULL, cross], [cross, weight.sum() + PULL]])
        step = np.linalg.solve(curve, slope)
        scale, shift = scale - float(step[0]), shift - float(step[1])
    return scale, shift


def best_thresholds(truth: Array, score: Array) -> Array:
    """For each column the threshold with the best F1 to be expected: half of that F1, over calibrated scores (Lipton et al. 2014).

    The threshold with the best F1 on the rows themselves would be a few rows' whim for a label that only a dozen of them have.
    """
    out = np.empty(truth.shape[1])
    for k in range(truth.shape[1]):
        known = np.clip(score[:, k], 1e-6, 1 - 1e-6)
        logit = np.log(known / (1 - known))
        scale, shift = platt(logit, truth[:, k])
        likely = np.sort(1 / (1 + np.exp(-np.clip(scale * logit + shift, -50, 50))))[::-1]
        expected = 2 * np.cumsum(likely) / (np.arange(1, len(likely) + 1) + likely.sum())
        half = expected.max() / 2
        cut = (np.log(half / (1 - half)) - shift) / max(scale, 1e-2)  # scores that say nothing have no slope
        out[k] = 1 / (1 + np.exp(-np.clip(cut, -20, 20)))
    return out


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


def reliability(probability: Array, right: Array, bins: int = 10) -> list[dict[str, float]]:
    """For each bin of equal width that holds any: what was claimed and what was so, in the mean, and the number of rows."""
    index = np.minimum((probability * bins).astype(int), bins - 1)
    return [
        {"claimed": float(probability[index == b].mean()), "so": float(right[index == b].mean()), "rows": int((index == b).sum())}
        for b in range(bins)
        if (index == b).any()
    ]


def mean_calibration_error(probability: Array, truth: Array) -> float:
    """Mean over the columns (labels) of each one's expected calibration error."""
    return float(np.mean([expected_calibration_error(p, t) for p, t in zip(probability.T, truth.T, strict=True)]))


def accuracy(truth: Sequence[int], said: Sequence[int]) -> dict[str, float]:
    same = np.asarray(truth) == np.asarray(said)
    return interval(lambda rows: float(same[rows].mean()), len(same))
