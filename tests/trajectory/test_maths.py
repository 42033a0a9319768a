"""The arithmetic of an arc, against a slow and obvious telling of it."""

import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.trajectory import maths
from kaiko_server.trajectory.maths import DAY, HOUR, NOTHING, UNIT, Neighbours, Point, Recovery

POINT = st.builds(
    Point,
    at=st.integers(0, 40 * DAY),
    number=st.integers(1, 10**6),
    category=st.integers(0, 6),
    complexity=st.integers(0, 3),
    intensity=st.integers(0, UNIT),
    valence=st.integers(-UNIT, UNIT),
    arousal=st.integers(0, UNIT),
    wonder=st.integers(0, UNIT),
    breakthrough=st.integers(0, 1),
)
POINTS = st.lists(POINT, max_size=30, unique_by=lambda p: p.number)


def summed(points):
    total = NOTHING
    for p in points:
        total = maths.plus(total, maths.sums_of(p, None))
    return total


def slow_recoveries(points):
    """Tell them by walking through all points in order."""
    found, began = {}, None
    for p in sorted(points):
        if p.sign < 0 and began is None:
            began = p
        elif p.sign > 0 and began is not None:
            found[p.number], began = Recovery(p.at - began.at, began.category), None
    return found


@given(POINTS)
def test_baseline_is_that_of_the_points(points):
    """Means, deviation, shares and counts are those of the points themselves, to 1e-4 as they are told."""
    told = maths.baseline("month", summed(points))
    assert told["dataPointCount"] == len(points)
    if not points:
        assert told["emotionalVolatility"] == told["averageIntensity"] == 0
        return
    intensities = [p.intensity / UNIT for p in points]
    assert told["averageIntensity"] == pytest.approx(statistics.fmean(intensities), abs=6e-5)
    assert told["emotionalVolatility"] == pytest.approx(statistics.pstdev(intensities), abs=6e-5)
    assert told["baselineValence"] == pytest.approx(statistics.fmean(p.valence / UNIT for p in points), abs=6e-5)
    assert math.isclose(sum(told["dominantEmotions"].values()), 1, abs_tol=1e-3)
    assert told["breakthroughCount"] == sum(p.breakthrough for p in points)
    ranks = [p.complexity for p in points]
    assert ranks.count(maths.COMPLEXITIES.index(told["averageComplexity"])) == max(ranks.count(k) for k in range(4))


@given(POINTS, POINTS)
def test_what_was_added_can_be_taken_away(some, others):
    """Sums of all less sums of some are the sums of the others, to the last digit."""
    assert maths.less(summed([*some, *others]), summed(some)) == summed(others)


@given(POINTS)
def test_recoveries_are_the_same_in_any_order_of_arrival(points):
    """Put into place one by one, in any order, points end with the recoveries that a walk through all of them finds."""
    there, known = [], {}
    for point in points:
        signed = sorted(p for p in there if p.sign)
        before = [p for p in signed if p < point]
        after = [p for p in signed if p > point]
        run = None
        if before and before[-1].sign < 0:
            goods = [p for p in before if p.sign > 0]
            run = next(p for p in before if not goods or p > goods[-1])
        end = next((p for p in after if p.sign > 0), None) if after and after[0].sign < 0 else None
        own, changed = maths.recoveries(point, Neighbours(before[-1] if before else None, after[0] if after else None, run, end))
        there.append(point)
        known |= {point.number: own} | changed
        assert {n: r for n, r in known.items() if r is not None} == slow_recoveries(there)


@given(st.lists(POINT, min_size=2, max_size=30, unique_by=lambda p: p.at))
def test_momentum_is_the_slope_of_the_nearest_line(points):
    """Least squares, per hour; checked against the standard library."""
    points = sorted(points)
    told = maths.momentum(points)
    slope = statistics.linear_regression([Fraction(p.at, HOUR) for p in points], [Fraction(p.intensity, UNIT) for p in points]).slope
    assert told["momentum"] == pytest.approx(float(slope), rel=1e-4, abs=1e-4)
    assert told["currentIntensity"] == points[-1].intensity / UNIT


def test_no_momentum_of_one_point():
    """A line has two ends; points of one moment have no slope."""
    p = Point(0, 1, 0, 0, 5000, 0, 0, 0, 0)
    assert maths.momentum([p]) is None
    assert maths.momentum([p, p._replace(number=2, intensity=9000)])["trajectory"] == "stable"


def month(intensities, valences, gap, category):
    """Points of one month: these intensities and valences, so far apart."""
    return [Point(k * gap, k + 1, category(k), 1, i, v, 5000, 3000, 0) for k, (i, v) in enumerate(zip(intensities, valences, strict=True))]


def sums_with_recoveries(points):
    known, total = slow_recoveries(points), NOTHING
    for p in points:
        total = maths.plus(total, maths.sums_of(p, known.get(p.number)))
    return total


def test_calming_down_and_faster_recovery_is_growth():
    """A month of smaller swings and faster recoveries scores above 0 against the one before, and its mirror image below."""
    wild = sums_with_recoveries(month([2000, 9000] * 10, [-8000, -6000, 3000, 4000] * 5, 12 * HOUR, lambda k: (2, 3)[k % 2]))
    calm = sums_with_recoveries(month([4000, 5000] * 10, [-5000, 4000] * 10, 2 * HOUR, lambda k: (0, 1, 2, 5)[k % 4]))
    better, worse = maths.growth(calm, wild), maths.growth(wild, calm)
    assert better["overallGrowthScore"] > 30 > -30 > worse["overallGrowthScore"]
    grown = {d["dimension"]: d["isGrowing"] for d in better["dimensions"]}
    assert grown["regulation"]
    assert grown["resilience"]
    assert better["dimensionsGrowing"] == sum(grown.values())
    assert -100 <= worse["overallGrowthScore"] <= 100


def test_too_few_points_are_not_compared():
    """Each month needs five; a dimension without anything to compare is left out."""
    five = month([4000] * 5, [1000] * 5, HOUR, lambda _: 0)
    assert maths.growth(summed(five), summed(five[:4])) is None
    assert "resilience" not in {d["dimension"] for d in maths.growth(summed(five), summed(five))["dimensions"]}


@pytest.mark.parametrize(
    ("valence", "wonder", "direction"), [(2000, 0, "improving"), (-2000, 0, "declining"), (500, 0, "stable"), (0, 2000, "improving")]
)
def test_trend_needs_a_change(valence, wonder, direction):
    """Valence and wonder together must change by more than .1."""
    before = summed([Point(0, 1, 0, 0, 5000, 0, 0, 0, 1)])
    after = summed([Point(1, 2, 0, 0, 5000, valence, 0, wonder, 0)])
    told = maths.trend(before, after, 30 * DAY)
    assert told["direction"] == direction
    assert told["breakthroughRate"] == pytest.approx(7 / 30, abs=1e-4)
    assert maths.trend(NOTHING, after, 30 * DAY)["direction"] == "stable"


def test_breakthroughs():
    """A spike, an explosion of wonder, a level: each is told; nothing as long as there is no baseline."""
    calm = Point(0, 1, 6, 0, 1000, 0, 0, 0, 0)
    before = summed([calm])
    assert maths.breakthrough(calm, NOTHING) is None
    assert maths.breakthrough(calm, before) == {"detected": False}
    assert maths.breakthrough(calm._replace(intensity=4500), before)["type"] == "intensity_spike"
    assert maths.breakthrough(calm._replace(wonder=9000), before)["type"] == "wonder_explosion"
    assert maths.breakthrough(calm._replace(breakthrough=1), before)["type"] == "discovery_level"
