"""The arithmetic of an arc, pure: points add up to sums, sums to what is told of them.

All of it is whole numbers (scores in ten-thousandths, times in microseconds), so that what was added can be taken away again
exactly, in any order: the sums of a window are those up to its end less those up to its beginning, however many points lie between.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from kaiko_server.engine.model import CORE

CATEGORIES: Final = (*CORE, "neutral")
COMPLEXITIES: Final = ("simple", "layered", "paradoxical", "transcendent")
UNIT: Final = 10_000
"""What a score of 1 is kept as."""
HOUR: Final = 3_600_000_000
DAY: Final = 24 * HOUR
WINDOWS: Final = {"week": 7 * DAY, "month": 30 * DAY, "quarter": 90 * DAY}
SIGNED: Final = 1_000
"""Valence nearer to 0 than this is neither negative nor positive."""
_SOFT: Final = frozenset({"love", "sadness", "fear"})
_FELT: Final = 3_500
"""From this intensity on an emotion is openly felt."""


class Point(NamedTuple):
    """One message of a user, in numbers.

    Attributes
    ----------
    at
        When it was said, in microseconds since 1970.
    number
        Of its arrival in the context; orders what was said at one time.
    category, complexity
        Places in :data:`CATEGORIES` and :data:`COMPLEXITIES`.
    intensity, valence, arousal, wonder
        In ten-thousandths.
    breakthrough
        0 or 1.
    """

    at: int
    number: int
    category: int
    complexity: int
    intensity: int
    valence: int
    arousal: int
    wonder: int
    breakthrough: int

    @property
    def sign(self) -> int:
        """-1, 0 or 1."""
        return (self.valence >= SIGNED) - (self.valence <= -SIGNED)


class Recovery(NamedTuple):
    """What a positive point ends: a run of negatives.

    Attributes
    ----------
    took
        Microseconds from the run's first point to the one that ends it.
    began_with
        The first point's category.
    """

    took: int
    began_with: int


_N, _I, _II, _V, _A, _W, _BREAKS, _RANK, _SOFTLY, _RECOVERIES, _RECOVERY = range(11)
_CATEGORY_AT: Final = _RECOVERY + 1
_COMPLEXITY_AT: Final = _CATEGORY_AT + len(CATEGORIES)
Sums = list[int]
"""Count, sums of intensity, its square, valence, arousal and wonder, breakthroughs, ranks of complexity, soft emotions openly felt,
recoveries and their microseconds; then how often each category, and each complexity."""
NOTHING: Final[Sums] = [0] * (_COMPLEXITY_AT + len(COMPLEXITIES))


def sums_of(point: Point, recovery: Recovery | None) -> Sums:
    """Give the sums of one point; *recovery* is what it ends, if it ends something bad."""
    found = NOTHING.copy()
    found[_N] = 1
    found[_I], found[_II] = point.intensity, point.intensity**2
    found[_V], found[_A], found[_W] = point.valence, point.arousal, point.wonder
    found[_BREAKS], found[_RANK] = point.breakthrough, point.complexity + 1
    found[_SOFTLY] = int(CATEGORIES[point.category] in _SOFT and point.intensity >= _FELT)
    if recovery is not None:
        found[_RECOVERIES], found[_RECOVERY] = 1, recovery.took
    found[_CATEGORY_AT + point.category] = 1
    found[_COMPLEXITY_AT + point.complexity] = 1
    return found


def plus(a: Sequence[int], b: Sequence[int]) -> Sums:
    return [x + y for x, y in zip(a, b, strict=True)]


def less(a: Sequence[int], b: Sequence[int]) -> Sums:
    return [x - y for x, y in zip(a, b, strict=True)]


def count_of(sums: Sequence[int]) -> int:
    return sums[_N]


def _mean(sums: Sequence[int], what: int) -> float:
    return sums[what] / sums[_N] / UNIT if sums[_N] else 0.0


def _deviation(sums: Sequence[int]) -> float:
    """Population standard deviation of the intensity; the difference of squares is exact, so that it is never below 0."""
    n = sums[_N]
    return math.sqrt(n * sums[_II] - sums[_I] ** 2) / n / UNIT if n else 0.0


def _categories(sums: Sequence[int]) -> dict[str, int]:
    return dict(zip(CATEGORIES, sums[_CATEGORY_AT:_COMPLEXITY_AT], strict=True))


def baseline(window: str, sums: Sequence[int]) -> dict[str, object]:
    """Give the block of a *window* (contract, section 4.1)."""
    n = sums[_N]
    shares = (
        sorted(((count / n, name) for name, count in _categories(sums).items() if count), key=lambda pair: (-pair[0], pair[1])) if n else []
    )
    complexities = sums[_COMPLEXITY_AT:]
    return {
        "window": window,
        "dataPointCount": n,
        "dominantEmotions": {name: round(share, 4) for share, name in shares},
        "averageIntensity": round(_mean(sums, _I), 4),
        "baselineValence": round(_mean(sums, _V), 4),
        "baselineArousal": round(_mean(sums, _A), 4),
        "emotionalVolatility": round(_deviation(sums), 4),
        "averageComplexity": COMPLEXITIES[max(range(len(complexities)), key=complexities.__getitem__)],
        "averageWonderIndex": round(_mean(sums, _W), 4),
        "breakthroughCount": sums[_BREAKS],
    }


_TURNED: Final = 0.1
"""By how much valence and wonder together must have changed to be called a direction."""
_WEEK: Final = 7 * DAY


def trend(first: Sequence[int], second: Sequence[int], length: int) -> dict[str, object]:
    """Give the block of a window of *length* microseconds, from the sums of its *first* half and its *second*."""
    halves = bool(first[_N] and second[_N])
    valence, intensity, wonder = (_mean(second, k) - _mean(first, k) if halves else 0.0 for k in (_V, _I, _W))
    turned = valence + wonder
    return {
        "direction": "improving" if turned > _TURNED else "declining" if turned < -_TURNED else "stable",
        "valenceTrend": round(valence, 4),
        "intensityTrend": round(intensity, 4),
        "wonderTrend": round(wonder, 4),
        "breakthroughRate": round((first[_BREAKS] + second[_BREAKS]) * _WEEK / length, 4),
    }


def halves(points: Sequence[Point], middle: int) -> tuple[Sums, Sums]:
    """Give the sums that :func:`trend` needs, and no others, of the *points* before *middle* and of the rest."""
    both = NOTHING.copy(), NOTHING.copy()
    for p in points:
        sums = both[p.at >= middle]
        sums[_N] += 1
        sums[_I] += p.intensity
        sums[_V] += p.valence
        sums[_W] += p.wonder
        sums[_BREAKS] += p.breakthrough
    return both


_SPIKE: Final = 3_500
_EXPLOSION: Final = 9_000


def breakthrough(point: Point, before: Sequence[int]) -> dict[str, object] | None:
    """Say whether *point* breaks out of what was *before*; None as long as nothing was."""
    n = before[_N]
    if not n:
        return None
    rise = (point.intensity - before[_I] / n) / UNIT
    if point.breakthrough:
        return {"detected": True, "type": "discovery_level", "significance": round((point.intensity + point.wonder) / 2 / UNIT, 4)}
    if point.wonder >= _EXPLOSION:
        return {"detected": True, "type": "wonder_explosion", "significance": round(point.wonder / UNIT, 4)}
    if rise >= _SPIKE / UNIT:
        return {"detected": True, "type": "intensity_spike", "significance": round(min(1.0, rise), 4)}
    return {"detected": False}


_STEADY: Final = 0.05
"""Change of intensity an hour that is no movement."""
_MOMENTUM_HOURS: Final = 24


def momentum(points: Sequence[Point]) -> dict[str, object] | None:
    """Give the block over the *points* of the last day, in order; None for fewer than two.

    ``momentum`` is the slope of the straight line that lies nearest to the intensities (least squares), an hour.
    """
    if len(points) < 2:  # noqa: PLR2004 - a line has two ends
        return None
    latest, n = points[-1], len(points)
    hours = [(p.at - latest.at) / HOUR for p in points]
    mean_hour, mean = math.fsum(hours) / n, sum(p.intensity for p in points) / n
    spread = math.fsum((h - mean_hour) ** 2 for h in hours)
    slope = math.fsum((h - mean_hour) * (p.intensity - mean) for h, p in zip(hours, points, strict=True)) / spread / UNIT if spread else 0.0
    wonder = sum(p.wonder for p in points) / n / UNIT
    volatility = math.sqrt(math.fsum((p.intensity - mean) ** 2 for p in points) / n) / UNIT
    return {
        "currentEmotion": CATEGORIES[latest.category],
        "currentIntensity": latest.intensity / UNIT,
        "currentWonder": latest.wonder / UNIT,
        "trajectory": "escalating" if slope > _STEADY else "de-escalating" if slope < -_STEADY else "stable",
        "momentum": round(slope, 4),
        "averageIntensity": round(mean / UNIT, 4),
        "averageWonder": round(wonder, 4),
        "averageValence": round(sum(p.valence for p in points) / n / UNIT, 4),
        "emotionalVolatility": round(volatility, 4),
        "discoveryPotential": "high" if wonder >= 0.6 else "medium" if wonder >= 0.3 else "low",  # noqa: PLR2004 - thirds, rounded
        "windowHours": _MOMENTUM_HOURS,
        "dataPointCount": n,
    }


class _Dimension(NamedTuple):
    threshold: float
    """Change in percent from which on it grows."""
    better: int
    """1 where more is better, -1 where less is."""
    rises: str
    falls: str


_DIMENSIONS: Final[Mapping[str, _Dimension]] = {
    "regulation": _Dimension(-20, -1, "intensity swings more widely", "intensity swings less widely"),
    "awareness": _Dimension(15, 1, "feelings are told with more shades", "feelings are told with fewer shades"),
    "vulnerability": _Dimension(25, 1, "soft feelings are shown more often", "soft feelings are shown less often"),
    "resilience": _Dimension(-20, -1, "it takes longer to feel better after bad moments", "bad moments pass faster"),
    "complexity": _Dimension(15, 1, "a wider range of emotions", "a narrower range of emotions"),
}
ENOUGH: Final = 5
"""Points that each of two months must hold before they are compared."""


def _measure(sums: Sequence[int]) -> dict[str, float | None]:
    n = sums[_N]
    shares = [count / n for count in _categories(sums).values() if count]
    return {
        "regulation": _deviation(sums),
        "awareness": sums[_RANK] / n,
        "vulnerability": sums[_SOFTLY] / n,
        # No recovery seen tells nothing of how long one takes.
        "resilience": sums[_RECOVERY] / sums[_RECOVERIES] / 60e6 if sums[_RECOVERIES] else None,
        "complexity": -sum(share * math.log2(share) for share in shares),
    }


def growth(recent: Sequence[int], historical: Sequence[int]) -> dict[str, object] | None:
    """Compare two months (contract, section 4.2), without their dates; None where one holds too few points."""
    if min(recent[_N], historical[_N]) < ENOUGH:
        return None
    now, then = _measure(recent), _measure(historical)
    told, improvements = [], []
    for name, dimension in _DIMENSIONS.items():
        new, old = now[name], then[name]
        if new is None or old is None or old == 0:  # from nothing there is no percentage
            continue
        change = (new - old) / old * 100
        improvement = max(-100.0, min(100.0, change * dimension.better))
        growing = change * dimension.better >= abs(dimension.threshold)
        improvements.append(improvement)
        told.append(
            {
                "dimension": name,
                "percentageChange": round(change, 2),
                "recentValue": round(new, 4),
                "historicalValue": round(old, 4),
                "threshold": dimension.threshold,
                "isGrowing": growing,
                "description": f"{(dimension.rises if change > 0 else dimension.falls).capitalize()} ({change:+.0f} %)."
                if round(change)
                else "Unchanged.",
            }
        )
    score = sum(improvements) / len(improvements) if improvements else 0.0
    grown = sum(bool(d["isGrowing"]) for d in told)
    declined = sum(
        improvement <= -abs(_DIMENSIONS[str(d["dimension"])].threshold) for d, improvement in zip(told, improvements, strict=True)
    )
    return {
        "dimensions": told,
        "overallGrowthScore": round(score, 2),
        "dimensionsGrowing": grown,
        "dimensionsDecline": declined,
        "summary": f"{grown} of {len(told)} dimensions grow and {declined} decline; score {score:+.0f} of 100.",
    }


@dataclass(frozen=True, slots=True)
class Neighbours:
    """What stands around a place in time, of the points whose valence has a sign.

    Attributes
    ----------
    before, after
        The nearest signed point on each side.
    run
        Of a negative *before*: where the run of negatives that it belongs to begins.
    end
        Of a negative *after*: the positive that ends its run.
    """

    before: Point | None
    after: Point | None
    run: Point | None
    end: Point | None


def recoveries(point: Point, around: Neighbours) -> tuple[Recovery | None, dict[int, Recovery | None]]:
    """Say what *point* does to recoveries when it is put between its neighbours.

    A recovery is the time from the first negative of a run of negatives to the positive that ends it.

    Returns
    -------
    The recovery that *point* itself ends, or None; and those that other points, by their number, end now.
    """
    before, after, end = around.before, around.after, around.end
    in_bad = before is not None and before.sign < 0
    changed: dict[int, Recovery | None] = {}
    if point.sign == 0 or in_bad == (point.sign < 0):  # it goes on with what there is
        return None, changed
    if point.sign < 0:  # a run begins here and not where it began
        ends = after if after is not None and after.sign > 0 else end
        if ends is not None:
            changed[ends.number] = Recovery(ends.at - point.at, point.category)
        return None, changed
    assert around.run is not None  # *before* is negative
    if after is not None and after.sign > 0:
        changed[after.number] = None
    elif after is not None and end is not None:
        changed[end.number] = Recovery(end.at - after.at, after.category)
    return Recovery(point.at - around.run.at, around.run.category), changed
