"""The measures of the report, against values worked out by hand."""

import numpy as np
import pytest

from training import figures


def test_f1_of_columns():
    """F1 is 2·hits over all yeses, and 0 for a label that nobody has."""
    truth = np.array([[1.0, 0, 0], [1, 1, 0], [0, 1, 0]])
    said = np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0]])
    assert figures.f1(truth, said) == pytest.approx([0.5, 1.0, 0.0])
    assert figures.micro_f1(truth, said) == pytest.approx(0.75)


def test_average_precision_is_that_of_the_ranking():
    """Hits at ranks 1 and 3 of 4 give (1/1 + 2/3) / 2."""
    assert figures.average_precision(np.array([1.0, 0, 1, 0]), np.array([0.9, 0.8, 0.7, 0.1])) == pytest.approx(5 / 6)


def test_thresholds_of_other_folds_only():
    """Cross-fitting never lets a row help to choose its own threshold: on noise it cannot beat the base rate by much."""
    chance = np.random.default_rng(0)
    truth = (chance.random((2000, 1)) < 0.3).astype(float)
    said = figures.crossfitted(truth, chance.random((2000, 1)))
    assert figures.f1(truth, said)[0] < 0.5


def test_best_threshold_separates_what_can_be_separated():
    """Where scores part the labels cleanly the threshold lies between them."""
    truth = np.array([[0.0]] * 50 + [[1.0]] * 10)
    score = np.array([[0.2]] * 50 + [[0.8]] * 10)
    assert 0.2 < figures.best_thresholds(truth, score)[0] < 0.8


def test_thresholds_are_those_of_the_best_expected_f1():
    """On calibrated scores no other threshold has a clearly better F1 on fresh rows."""
    chance = np.random.default_rng(1)
    score = chance.beta(0.4, 2, (40_000, 1))
    truth = (chance.random((40_000, 1)) < score).astype(float)
    threshold = figures.best_thresholds(truth[:20_000], score[:20_000])[0]
    fresh = {t: figures.f1(truth[20_000:], (score[20_000:] >= t).astype(float))[0] for t in [threshold, *np.linspace(0.05, 0.95, 19)]}
    assert fresh[threshold] >= max(fresh.values()) - 0.01


def test_platt_finds_the_scale_that_was_bent():
    """Logits that were doubled and shifted are brought back."""
    chance = np.random.default_rng(2)
    logit = chance.normal(0, 2, 20_000)
    truth = (chance.random(20_000) < 1 / (1 + np.exp(-logit))).astype(float)
    scale, shift = figures.platt(2 * logit + 1, truth)
    assert scale == pytest.approx(0.5, abs=0.03)
    assert shift == pytest.approx(-0.5, abs=0.06)


def test_calibration_error_of_an_honest_and_of_a_boastful_reader():
    """Claiming .75 and being right three times in four is honest; claiming 1 and being right half the time is .5 off."""
    assert figures.expected_calibration_error(np.full(4, 0.75), np.array([1.0, 1, 1, 0])) == pytest.approx(0)
    assert figures.expected_calibration_error(np.full(4, 1.0), np.array([1.0, 1, 0, 0])) == pytest.approx(0.5)


def test_interval_holds_the_value():
    """The bootstrap interval lies around the value and within what is possible."""
    found = figures.accuracy([1, 1, 0, 0] * 50, [1, 1, 0, 1] * 50)
    assert found["value"] == pytest.approx(0.75)
    assert 0.65 < found["low"] < found["value"] < found["high"] < 0.85


def test_reliability_says_what_was_claimed_and_what_was_so():
    """Each bin gives its mean claim, its share of hits and its rows; empty bins are left out."""
    bins = figures.reliability(np.array([0.05, 0.15, 0.16, 1.0]), np.array([0.0, 1, 0, 1]))
    assert [b["rows"] for b in bins] == [1, 2, 1]
    assert bins[1] == {"claimed": pytest.approx(0.155), "so": 0.5, "rows": 2}


def test_calibration_errors_are_each_labels_own():
    """A label that claims too much and one that claims too little do not cancel out."""
    claimed = np.array([[0.9, 0.1]] * 10)
    truth = np.array([[1.0, 0.0]] * 5 + [[0.0, 1.0]] * 5)
    assert figures.mean_calibration_error(claimed, truth) == pytest.approx(0.4)
