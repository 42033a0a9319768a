"""What recurs in an arc, pure: how often one emotion follows another, at which part of the day it comes, what ends something bad.

Counts are whole numbers of whole days (UTC), so that what expires can be taken away again. Confidence is a conditional probability, so
that it does not shrink as the history grows (contract, section 4.6).
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from kaiko_server.trajectory.maths import CATEGORIES, DAY, HOUR, Point, Recovery

_KINDS: Final = len(CATEGORIES)
_PAIRS: Final = _KINDS * _KINDS
PARTS: Final = ("night", "morning", "afternoon", "evening")
"""Of the day in UTC, six hours each."""
_STRONG: Final = 7_500
_FOLLOWS, _FOLLOWS_STRONG, _ENDS = 0, _PAIRS, 2 * _PAIRS
_TOOK: Final = 3 * _PAIRS
_PART_AT: Final = _TOOK + _KINDS
Habits = list[int]
"""How often each emotion follows each; the same after a strong one; how often each ends a run of negatives that began with each; the
microseconds which that took, by what it began with; how often each came in each part of the day."""
NONE: Final[Habits] = [0] * (_PART_AT + len(PARTS) * _KINDS)


def pair(first: int, second: int) -> int:
    return first * _KINDS + second


def followed(before: Point) -> int:
    """Give what the point after *before* keeps of it: twice its category, and 1 more where it was strong."""
    return 2 * before.category + int(before.intensity >= _STRONG)


def habits_of(point: Point, follows: int | None, recovery: Recovery | None) -> Habits:
    """Give what one point counts: *follows* is what it keeps of the one before it, *recovery* what it ends."""
    found = NONE.copy()
    if follows is not None:
        category, strong = divmod(follows, 2)
        found[_FOLLOWS + pair(category, point.category)] = 1
        found[_FOLLOWS_STRONG + pair(category, point.category)] = strong
    if recovery is not None:
        found[_ENDS + pair(recovery.began_with, point.category)] = 1
        found[_TOOK + recovery.began_with] = recovery.took
    found[_PART_AT + point.at % DAY // (6 * HOUR) * _KINDS + point.category] = 1
    return found


_OFTEN: Final = 3
_LIKELY: Final = 0.4
_TRIGGERED: Final = 0.5
_MORE: Final = 0.15
_LIFT: Final = 1.5
_TOLD: Final = 12
_ACTIVE: Final = 7
"""Days."""
_NEUTRAL: Final = CATEGORIES.index("neutral")


class _Found(NamedTuple):
    kind: str
    sequence: tuple[int, ...]
    counted: int
    """Where in the habits it is counted."""
    times: int
    confidence: float
    name: str
    description: str
    trigger: str | None = None
    minutes: float | None = None

    @property
    def key(self) -> str:
        return f"{self.kind}:{self.name.replace(' ', '-').replace(',', '')}"


def _rows(habits: Sequence[int], at: int) -> list[Sequence[int]]:
    return [habits[at + k * _KINDS : at + (k + 1) * _KINDS] for k in range(_KINDS)]


def _sequences(habits: Sequence[int]) -> Iterator[_Found]:
    """Tell what follows what, and what goes to and fro."""
    rows = _rows(habits, _FOLLOWS)
    often = [(a, b, count, sum(row)) for a, row in enumerate(rows) for b, count in enumerate(row) if count >= _OFTEN and a != b]
    likely = {(a, b): count / total for a, b, count, total in often if count >= _LIKELY * total}
    for (a, b), confidence in likely.items():
        first, second = CATEGORIES[a], CATEGORIES[b]
        if (b, a) not in likely:
            text = f"After {first} comes {second}, {confidence:.0%} of the time."
            yield _Found("sequential", (a, b), _FOLLOWS + pair(a, b), rows[a][b], confidence, f"{first}, then {second}", text)
        elif a < b:
            both, count = min(confidence, likely[b, a]), min(rows[a][b], rows[b][a])
            text = f"It goes to and fro between {first} and {second}."
            yield _Found("cyclical", (a, b, a), _FOLLOWS + pair(a, b), count, both, f"{first} and {second} in turns", text)
    for a, row in enumerate(_rows(habits, _FOLLOWS_STRONG)):
        for b, count in enumerate(row):
            if count < _OFTEN or a == b:
                continue
            usual = rows[a][b] / sum(rows[a])
            if count >= max(_TRIGGERED, usual + _MORE) * sum(row):
                first, second = CATEGORIES[a], CATEGORIES[b]
                text = f"Strong {first} is followed by {second}, {count / sum(row):.0%} of the time; {first} as a whole {usual:.0%}."
                at = _FOLLOWS_STRONG + pair(a, b)
                yield _Found(
                    "trigger_based", (a, b), at, count, count / sum(row), f"{second} after strong {first}", text, f"strong {first}"
                )


def _recoveries(habits: Sequence[int]) -> Iterator[_Found]:
    for a, row in enumerate(_rows(habits, _ENDS)):
        for b, count in enumerate(row):
            if a != b and count >= _OFTEN and count >= _LIKELY * sum(row):
                minutes = habits[_TOOK + a] / sum(row) / 60e6
                first, second = CATEGORIES[a], CATEGORIES[b]
                text = f"What begins with {first} ends in {second}, {count / sum(row):.0%} of the time."
                at = _ENDS + pair(a, b)
                yield _Found("recovery", (a, b), at, count, count / sum(row), f"from {first} to {second}", text, None, minutes)


def _times(habits: Sequence[int]) -> Iterator[_Found]:
    parts = [habits[_PART_AT + p * _KINDS : _PART_AT + (p + 1) * _KINDS] for p in range(len(PARTS))]
    total = sum(map(sum, parts))
    for p, (name, row) in enumerate(zip(PARTS, parts, strict=True)):
        for a, count in enumerate(row):
            if count < _OFTEN or a == _NEUTRAL:
                continue
            overall = sum(part[a] for part in parts) / total
            if count >= max(_LIKELY, _LIFT * overall) * sum(row):
                text = f"{CATEGORIES[a].capitalize()} is {count / sum(row):.0%} of what comes in the {name} (UTC), {overall:.0%} of all."
                yield _Found("temporal", (a,), _PART_AT + p * _KINDS + a, count, count / sum(row), f"{CATEGORIES[a]} in the {name}", text)


Days = tuple[int, int]
"""The first and the last day on which something was counted, in days since 1970."""


def days_of(by_day: Mapping[int, Sequence[int]]) -> dict[int, Days]:
    """Say for each count on which days it first and last was above 0; *by_day* holds the habits of each day."""
    found: dict[int, Days] = {}
    for day in sorted(by_day):
        for at in _counted(by_day[day]):
            found[at] = (found.get(at, (day, day))[0], day)
    return found


def _counted(habits: Sequence[int]) -> list[int]:
    return [at for at, count in enumerate(habits) if count and not _TOOK <= at < _PART_AT]


def with_day(days: Mapping[int, Days], habits: Sequence[int], day: int) -> dict[int, Days]:
    """Give *days* with what a point of *day* counts."""
    return {**days, **{at: (min(days.get(at, (day, day))[0], day), max(days.get(at, (day, day))[1], day)) for at in _counted(habits)}}


def patterns(habits: Sequence[int], days: Mapping[int, Days], today: int) -> list[tuple[dict[str, object], Days, bool]]:
    """Give what recurs, likeliest first, a dozen at most: the block without its moments, its first and last day, and whether it is active.

    Parameters
    ----------
    habits
        Of all points there are.
    days
        See :func:`days_of`.
    today
        The day of the newest point: what came within a week of it is active.
    """
    found = [*_sequences(habits), *_recoveries(habits), *_times(habits)]
    found.sort(key=lambda f: (-f.confidence, -f.times, f.key))
    return [(_block(f), days[f.counted], today - days[f.counted][1] <= _ACTIVE) for f in found[:_TOLD]]


def _block(f: _Found) -> dict[str, object]:
    told: dict[str, object] = {
        "patternId": f.key,
        "patternType": f.kind,
        "name": f.name[0].upper() + f.name[1:],
        "description": f.description,
        "emotionalSequence": [CATEGORIES[k] for k in f.sequence],
        "frequency": f.times,
        "confidence": round(f.confidence, 4),
    }
    if f.trigger is not None:
        told["trigger"] = f.trigger
    if f.minutes is not None:
        told["typicalDuration"] = round(f.minutes, 1)
    return told
