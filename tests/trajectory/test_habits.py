"""What recurs: each type of pattern on lives made to show it, and on lives that must not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaiko_server.trajectory import habits, maths
from kaiko_server.trajectory.habits import NONE, followed, habits_of
from kaiko_server.trajectory.maths import CATEGORIES, DAY, HOUR, Point
from tests.trajectory.test_maths import slow_recoveries


def lived(*moments):
    """Points of (hour, emotion, intensity, valence)."""
    return [
        Point(round(hour * HOUR), n, CATEGORIES.index(emotion), 0, round(intensity * 10_000), round(valence * 10_000), 0, 0, 0)
        for n, (hour, emotion, intensity, valence) in enumerate(moments, 1)
    ]


def told_of(points):
    """The blocks of these points, by type."""
    known, total, by_day = slow_recoveries(points), NONE, {}
    for before, point in pairwise([None, *points]):
        counted = habits_of(point, before and followed(before), known.get(point.number))
        total = maths.plus(total, counted)
        by_day[point.at // DAY] = maths.plus(by_day.get(point.at // DAY, NONE), counted)
    found = habits.patterns(total, habits.days_of(by_day), points[-1].at // DAY) if points else []
    by_type = {}
    for block, days, active in found:
        by_type.setdefault(block["patternType"], []).append(block | {"days": days, "active": active})
    return by_type


def test_one_thing_after_another():
    """Anger is followed by sadness three times of four: told with its conditional probability, and the days it came."""
    life = lived(*((24 * k + h, e, 0.5, 0) for k in range(4) for h, e in ((9, "anger"), (10, "sadness" if k else "joy"), (11, "neutral"))))
    found = {p["patternId"]: p for p in told_of(life)["sequential"]}
    anger = found["sequential:anger-then-sadness"]
    assert (anger["emotionalSequence"], anger["frequency"], anger["confidence"]) == (["anger", "sadness"], 3, 0.75)
    assert (anger["days"], anger["active"]) == ((1, 3), True)


def test_to_and_fro():
    """What goes to and fro is one cycle, not two sequences; a step from an emotion to itself is none."""
    life = lived(*((k, ("fear", "joy")[k % 2], 0.5, 0) for k in range(8)), *((9 + k, "love", 0.5, 0) for k in range(6)))
    found = told_of(life)
    assert [p["emotionalSequence"] for p in found["cyclical"]] == [["joy", "fear", "joy"]]
    assert "sequential" not in found


def test_a_trigger_is_more_than_a_habit():
    """Strong anger ends in fear, mild anger does not: told as a trigger; where strong and mild do the same it is none."""
    strong = [(3 * k + h, e, i, 0) for k in range(4) for h, e, i in ((0, "anger", 0.9), (1, "fear", 0.5), (2, "neutral", 0.1))]
    mild = [(50 + 3 * k + h, e, i, 0) for k in range(6) for h, e, i in ((0, "anger", 0.4), (1, "joy", 0.5), (2, "neutral", 0.1))]
    found = {p["patternId"]: p for p in told_of(lived(*strong, *mild))["trigger_based"]}
    assert found["trigger_based:fear-after-strong-anger"]["trigger"] == "strong anger"
    assert "trigger_based:fear-after-strong-anger" not in {p["patternId"] for p in told_of(lived(*strong)).get("trigger_based", [])}


def test_recovery():
    """What begins with sadness ends in love after two hours, each time."""
    life = lived(*((24 * k + h, e, 0.5, v) for k in range(3) for h, e, v in ((8, "sadness", -0.6), (9, "fear", -0.5), (10, "love", 0.6))))
    (found,) = told_of(life)["recovery"]
    assert (found["emotionalSequence"], found["typicalDuration"], found["frequency"]) == (["sadness", "love"], 120.0, 3)


def test_times_of_day():
    """Fear comes at night and hardly else; neutral hours are no pattern."""
    life = lived(*((24 * k + h, e, 0.5, 0) for k in range(5) for h, e in ((2, "fear"), (8, "neutral"), (14, "joy"), (20, "joy"))))
    names = {p["name"] for p in told_of(life)["temporal"]}
    assert "Fear in the night" in names
    assert not any("eutral" in name for name in names)


def test_twice_is_no_pattern():
    """Below three occurrences nothing is told."""
    assert told_of(lived(*((k, ("fear", "joy")[k % 2], 0.5, (-0.5, 0.5)[k % 2]) for k in range(4)))) == {}
    assert told_of([]) == {}


@given(st.integers(2, 6))
def test_confidence_does_not_shrink(times):
    """The same life lived several times over gives the same confidence, with a higher count."""
    week = [
        (h, e, 0.5, 0)
        for h, e in ((9, "anger"), (10, "sadness"), (11, "anger"), (12, "joy"), (13, "anger"), (14, "sadness"), (15, "neutral"))
    ]
    once = told_of(lived(*((168 * k + h, *rest) for k in range(3) for h, *rest in week)))
    longer = told_of(lived(*((168 * k + h, *rest) for k in range(3 * times) for h, *rest in week)))
    for kind, blocks in once.items():
        for block in blocks:
            (same,) = [b for b in longer[kind] if b["patternId"] == block["patternId"]]
            assert same["confidence"] == pytest.approx(block["confidence"], abs=0.06)
            assert same["frequency"] > block["frequency"]
