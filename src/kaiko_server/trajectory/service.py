"""The arc of one context: kept up to date with each message in the transaction that keeps the message.

What a request costs does not grow with the number of points: sums of windows are differences of running sums, whose boundaries move
forward by the hours that have passed; the newest points and a sample of older ones are kept in the context's own row.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from pydantic_core import from_json, to_json

from kaiko_server.reading import signature
from kaiko_server.store.db import Connection, Row, from_micros, to_micros
from kaiko_server.trajectory import maths, queries
from kaiko_server.trajectory.habits import NONE, Days, Habits, days_of, followed, habits_of, patterns, with_day
from kaiko_server.trajectory.maths import DAY, HOUR, NOTHING, WINDOWS, Neighbours, Point, Recovery, Sums, less, plus

ROLES: Final = ("user", "assistant", "system")
RECENT: Final = 64
"""Newest points that are looked at one by one."""
LANDMARKS: Final = 128
"""Older points that are remembered for their likeness to newer ones: each with the same chance, however many there were."""
_NEAREST: Final = 5
_MONTH: Final = WINDOWS["month"]
_PACKED: Final = np.dtype(
    [(name, "<i8") for name in Point._fields[:2]] + [(name, "<i2") for name in Point._fields[2:]] + [("vector", "<i1", 9)]
)
_NUMBERS: Final = list(Point._fields)
_VECTOR_UNIT: Final = 100
_SCORES: Final = ("intensity", "valence", "arousal", "wonderIndex")


@dataclass(slots=True)
class Arc:
    """What is kept of a context's arc in its own row."""

    context_id: str
    total: Sums = field(default_factory=NOTHING.copy)
    """Of all points there are."""
    before: dict[str, tuple[int, Sums]] = field(default_factory=dict)
    """Name of a boundary → the hour it lies at, and the sums of what was said before it."""
    first_at: int | None = None
    run: tuple[int, int] | None = None
    """When the run of negatives began that nothing positive has ended yet, and with which category."""
    habits: Habits = field(default_factory=NONE.copy)
    """Of the days from :attr:`habits_from` on."""
    habits_from: int = 0
    """Days since 1970."""
    days: dict[int, Days] = field(default_factory=dict)
    recount: bool = False
    """Whether habits and days are to be counted anew before they are told: a message came late."""
    points_from: int | None = None
    points_to: int | None = None
    """When the oldest and the newest point of any role was said."""
    passed: int = 0
    """Points that have left the newest: of these the landmarks are a sample."""
    recent: "np.ndarray" = field(default_factory=lambda: np.empty(0, _PACKED))
    landmarks: "np.ndarray" = field(default_factory=lambda: np.empty(0, _PACKED))

    @classmethod
    def of(cls, row: Row) -> "Arc":
        kept = from_json(row["ledger"])
        arc = cls(row["id"])
        if kept:
            arc.total, arc.first_at = kept["total"], kept["first_at"]
            arc.before = {name: (at, sums) for name, (at, sums) in kept["before"].items()}
            arc.run, arc.passed = kept["run"], kept["passed"]
            arc.habits, arc.habits_from = kept["habits"], kept["habits_from"]
            arc.days = {int(at): (first, last) for at, (first, last) in kept["days"].items()}
            arc.recount = kept.get("recount", False)
        arc.points_from, arc.points_to = row["points_from"], row["points_to"]
        if row["recent"] is not None:
            arc.recent = np.frombuffer(row["recent"], _PACKED).copy()
        if row["landmarks"] is not None:
            arc.landmarks = np.frombuffer(row["landmarks"], _PACKED).copy()
        return arc

    @property
    def columns(self) -> tuple[str, bytes, bytes]:
        """The columns ``ledger``, ``recent`` and ``landmarks`` of the context's row."""
        kept = {
            "total": self.total, "before": self.before, "first_at": self.first_at,
            "run": self.run, "passed": self.passed, "habits": self.habits, "habits_from": self.habits_from, "days": self.days,
            "recount": self.recount,
        }  # fmt: skip
        return to_json(kept).decode(), self.recent.tobytes(), self.landmarks.tobytes()

    @property
    def newest(self) -> Point | None:
        return _points(self.recent[-1:])[0] if len(self.recent) else None


def _joined(first: "np.ndarray", second: "np.ndarray") -> "np.ndarray":
    """Join two packed arrays; NumPy itself would look through the fields each time whether they are the same."""
    return np.frombuffer(first.tobytes() + second.tobytes(), _PACKED).copy()


def _points(packed: "np.ndarray") -> list[Point]:
    return [Point(*row) for row in packed[_NUMBERS].tolist()]


def point_of(item: dict[str, object], at: int, number: int) -> Point:
    """Give the numbers of an emotion item."""
    category, complexity = maths.CATEGORIES.index(str(item["category"])), maths.COMPLEXITIES.index(str(item["complexity"]))
    intensity, valence, arousal, wonder = (round(float(item[name]) * maths.UNIT) for name in _SCORES)  # type: ignore[arg-type]
    return Point(at, number, category, complexity, intensity, valence, arousal, wonder, int(bool(item["isBreakthrough"])))


async def add(  # noqa: PLR0913, PLR0917 - a point and where it goes
    connection: Connection, arc: Arc, role: str, point: Point, vector: Sequence[float], oldest: int
) -> None:
    """Put *point* where it belongs in time; of those of other roles than ``user`` only the point itself is kept.

    Points said before *oldest* have expired: whether they are swept away yet or not, nothing is told from them any more.
    """
    arc.points_from = point.at if arc.points_from is None else min(arc.points_from, point.at)
    arc.points_to = point.at if arc.points_to is None else max(arc.points_to, point.at)
    if role != "user":
        await queries.add_point(connection, arc.context_id, ROLES.index(role), point, None, None, None)
        return
    newest = arc.newest
    late = newest is not None and point < newest
    if late:
        recovery = await _squeeze_in(connection, arc, point, oldest)
        before = await _between_neighbours(connection, arc, point)
    else:
        recovery = await _follow(connection, arc, point, oldest)
        before = newest
    follows = None if before is None or before.at < oldest else followed(before)
    await queries.add_point(connection, arc.context_id, 0, point, point.sign, recovery, follows)
    await _count(connection, arc, point.at, maths.sums_of(point, recovery), habits_of(point, follows, recovery))
    if late:
        await _open_run(connection, arc, oldest)
        arc.recount = True
    arc.first_at = point.at if arc.first_at is None else min(arc.first_at, point.at)
    _remember(arc, point, vector, oldest)


async def _follow(connection: Connection, arc: Arc, point: Point, oldest: int) -> Recovery | None:
    """Take up a point that is the newest; give the recovery that it ends."""
    recovery = None
    if arc.run is not None and arc.run[0] < oldest:
        await _open_run(connection, arc, oldest)
    if point.sign > 0 and arc.run is not None:
        recovery, arc.run = Recovery(point.at - arc.run[0], arc.run[1]), None
    if point.sign < 0 and arc.run is None:
        arc.run = (point.at, point.category)
    return recovery


async def _squeeze_in(connection: Connection, arc: Arc, point: Point, oldest: int) -> Recovery | None:
    """Take up a point that comes late: the recoveries around it are told anew; give its own."""
    around = await _around(connection, arc.context_id, point, oldest)
    own, changed = maths.recoveries(point, around)
    for number, recovery in changed.items():
        row = await queries.point(connection, arc.context_id, number)
        assert row is not None  # it was just found
        other, earlier = _of_row(row), _recovery(row)
        await queries.set_recovery(connection, arc.context_id, number, recovery)
        # What came before it is no part of this: it is counted, and taken away again, in the same way.
        change = less(habits_of(other, None, recovery), habits_of(other, None, earlier))
        await _count(connection, arc, other.at, less(maths.sums_of(other, recovery), maths.sums_of(other, earlier)), change)
    return own


async def _between_neighbours(connection: Connection, arc: Arc, point: Point) -> Point | None:
    """Let a late point come between what stood side by side; give the one before it."""
    row, next_row = await queries.beside(connection, arc.context_id, *point[:2])
    if next_row is not None:
        after, recovery, follows = _of_row(next_row), _recovery(next_row), followed(point)
        await queries.set_follows(connection, arc.context_id, after.number, follows)
        change = less(habits_of(after, follows, recovery), habits_of(after, next_row["follows"], recovery))
        await _count(connection, arc, after.at, NOTHING, change)
    return None if row is None else _of_row(row)


def _recovery(row: Row) -> Recovery | None:
    return None if row["recovery"] is None else Recovery(row["recovery"], row["recovered_from"])


_END: Final = (2**62, 0)


async def _before(connection: Connection, context_id: str, sign: int, place: tuple[int, int], oldest: int) -> Point | None:
    row = await queries.signed_before(connection, context_id, sign, *place)
    return None if row is None or row["said_at"] < oldest else _of_row(row)


async def _after(connection: Connection, context_id: str, sign: int, place: tuple[int, int]) -> Point | None:
    row = await queries.signed_after(connection, context_id, sign, *place)
    return None if row is None else _of_row(row)


async def _run(connection: Connection, context_id: str, place: tuple[int, int], oldest: int) -> tuple[Point | None, Point | None]:
    """Give the nearest signed point before *place* and, where it is negative, the one that its run of negatives begins with."""
    bad, good = [await _before(connection, context_id, sign, place, oldest) for sign in (-1, 1)]
    nearest = max((p for p in (bad, good) if p is not None), default=None)
    if nearest is None or nearest.sign > 0:
        return nearest, None
    return nearest, await _after(connection, context_id, -1, (oldest, 0) if good is None else good[:2])


async def _around(connection: Connection, context_id: str, point: Point, oldest: int) -> Neighbours:
    before, run = await _run(connection, context_id, point[:2], oldest)
    worse, better = await _after(connection, context_id, -1, point[:2]), await _after(connection, context_id, 1, point[:2])
    after = min((p for p in (worse, better) if p is not None), default=None)
    return Neighbours(before, after, run, better if after is not None and after.sign < 0 else None)


async def _open_run(connection: Connection, arc: Arc, oldest: int) -> None:
    """See anew whether the arc ends in a run of negatives."""
    _, run = await _run(connection, arc.context_id, _END, oldest)
    arc.run = None if run is None else (run.at, run.category)


async def _count_days(connection: Connection, arc: Arc, first_day: int) -> None:
    """Count what recurs anew, over the days from *first_day* on."""
    rows = await queries.tallies(connection, arc.context_id, 24, first_day * DAY, 2**62)
    by_day = {row["begins"] // DAY: from_json(row["habits"]) for row in rows}
    total = NONE
    for habits in by_day.values():
        total = plus(total, habits)
    arc.habits, arc.habits_from, arc.days, arc.recount = list(total), first_day, days_of(by_day), False


async def forget(connection: Connection, arc: Arc, oldest: int, at_most: int) -> bool:
    """Remove what was said before the hour *oldest*, from the sums as well; whole hours, until *at_most* points are gone.

    Returns
    -------
    Whether that was all.
    """
    days: dict[int, Sums] = {}
    until = oldest
    if (cut := await queries.cutoff(connection, arc.context_id, oldest, at_most)) is not None:
        assert arc.points_from is not None  # there are some
        until = min(oldest, max(cut["said_at"] // HOUR * HOUR, arc.points_from // HOUR * HOUR + HOUR))
    for row in await queries.tallies(connection, arc.context_id, 1, -(2**62), until):
        sums, begins = from_json(row["sums"]), row["begins"]
        days[begins // DAY * DAY] = plus(days.get(begins // DAY * DAY, NOTHING), sums)
        arc.total = less(arc.total, sums)
        arc.before = {name: (hour, less(all_, sums) if begins < hour else all_) for name, (hour, all_) in arc.before.items()}
    for day, sums in days.items():
        row_ = await queries.tally(connection, arc.context_id, 24, day)
        assert row_ is not None  # every hour lies in a day
        left = less(from_json(row_["sums"]), sums)
        if maths.count_of(left):
            await queries.set_tally(connection, arc.context_id, 24, day, to_json(left).decode(), row_["habits"])
        else:
            await queries.remove_tally(connection, arc.context_id, 24, day)
    await queries.remove_before(connection, arc.context_id, until)
    arc.recent, arc.landmarks = (points[points["at"] >= oldest] for points in (arc.recent, arc.landmarks))
    first = await queries.oldest(connection, arc.context_id)
    arc.points_from = None if first is None else first["said_at"]
    arc.points_to = None if first is None else arc.points_to
    await _open_run(connection, arc, oldest)
    arc.recount = True
    return until == oldest


async def _count(connection: Connection, arc: Arc, at: int, change: Sums, recurring: Habits) -> None:
    """Add *change* and what is *recurring*, at the time *at*, to the hour, the day, and the running sums."""
    hour, day = at // HOUR * HOUR, at // DAY * DAY
    row = await queries.tally(connection, arc.context_id, 1, hour)
    await queries.set_tally(connection, arc.context_id, 1, hour, _added(None if row is None else row["sums"], change), None)
    row = await queries.tally(connection, arc.context_id, 24, day)
    sums, habits = _added(None if row is None else row["sums"], change), _added(None if row is None else row["habits"], recurring)
    await queries.set_tally(connection, arc.context_id, 24, day, sums, habits)
    arc.total = plus(arc.total, change)
    arc.before = {name: (hour, plus(sums, change) if at < hour else sums) for name, (hour, sums) in arc.before.items()}
    if at // DAY >= arc.habits_from:
        arc.habits = plus(arc.habits, recurring)
        arc.days = with_day(arc.days, recurring, at // DAY)


def _added(kept: str | None, change: Sums) -> str:
    return to_json(change if kept is None else plus(from_json(kept), change)).decode()


def _remember(arc: Arc, point: Point, vector: Sequence[float], oldest: int) -> None:
    """Put *point* among the newest; what leaves them may become a landmark (reservoir sampling: each with the same chance)."""
    row = np.zeros(1, _PACKED)
    for name in Point._fields:
        row[name] = getattr(point, name)
    row["vector"] = np.rint(np.asarray(vector) * _VECTOR_UNIT).astype(np.int8)
    newest = arc.newest
    if newest is None or point > newest:
        arc.recent = _joined(arc.recent, row)
    else:
        places = zip(arc.recent["at"].tolist(), arc.recent["number"].tolist(), strict=True)
        arc.recent = np.insert(arc.recent, sum(other < (point.at, point.number) for other in places), row)
    # As a sweep would: what the sample holds must not depend on when one came by.
    arc.recent, arc.landmarks = (points[points["at"] >= oldest] for points in (arc.recent, arc.landmarks))
    if len(arc.recent) <= RECENT:
        return
    leaving, arc.recent = arc.recent[:1], arc.recent[1:]
    arc.passed += 1
    if len(arc.landmarks) < LANDMARKS:
        arc.landmarks = _joined(arc.landmarks, leaving)
    # Drawn from the point's own number, so that a transaction that is run again draws the same.
    elif (drawn := random.Random(f"{arc.context_id}:{point.number}").randrange(arc.passed)) < LANDMARKS:  # noqa: S311 - a sample
        arc.landmarks[drawn] = leaving[0]


async def _between(connection: Connection, context_id: str, begins: int, ends: int) -> Sums:
    """Add up what was said in a stretch of whole hours: whole days where it holds any, and the hours around them."""
    first_day, last_day = -(-begins // DAY) * DAY, ends // DAY * DAY
    parts = [(24, first_day, last_day), (1, begins, first_day), (1, last_day, ends)] if first_day < last_day else [(1, begins, ends)]
    found = NOTHING
    for size, start, end in parts:
        for row in await queries.tallies(connection, context_id, size, start, end) if start < end else ():
            found = plus(found, from_json(row["sums"]))
    return found


async def _move(connection: Connection, arc: Arc, name: str, hour: int) -> Sums:
    """Move the boundary *name* to *hour* and give the sums of what was said before it."""
    if name not in arc.before:
        start = arc.first_at // HOUR * HOUR if arc.first_at is not None else hour
        arc.before[name] = (min(start, hour), NOTHING)
    at, sums = arc.before[name]
    if at < hour:
        sums = plus(sums, await _between(connection, arc.context_id, at, hour))
    elif at > hour:
        sums = less(sums, await _between(connection, arc.context_id, hour, at))
    arc.before[name] = (hour, sums)
    return sums


def kept_from(now: datetime, keep: timedelta) -> int:
    """Give the hour from which on points are kept; those of an hour go together, early rather than late."""
    return -(-to_micros(now - keep) // HOUR) * HOUR


async def tell(connection: Connection, arc: Arc, window: str, oldest: int) -> dict[str, object]:
    """Give the blocks ``trajectory`` and, where there is enough, ``growth``, as of the newest point; none without a point.

    Parameters
    ----------
    connection
        Within the transaction that holds the context.
    arc
        Its arc; boundaries of its sums are moved.
    window
        One of ``WINDOWS``.
    oldest
        Points said before it have expired, whether they are swept away yet or not.
    """
    newest = arc.newest
    if newest is None or newest.at < oldest or arc.first_at is None:
        return {}
    row = await queries.point(connection, arc.context_id, newest.number)
    own = maths.sums_of(newest, None if row is None else _recovery(row))
    length = WINDOWS[window]
    begins = max((newest.at - length) // HOUR * HOUR, oldest)
    earlier = less(arc.total, own)
    before = less(earlier, await _move(connection, arc, f"{window} begins", begins))
    points = [p for p in _points(arc.recent) if p.at >= begins]
    trajectory: dict[str, object] = {
        "baseline": maths.baseline(window, before),
        "trend": await _trend(connection, arc, window, begins, points),
        "similarMoments": _similar(arc, oldest),
    }
    if (broken := maths.breakthrough(newest, before)) is not None:
        trajectory["breakthrough"] = broken
    last_day = [p for p in points if p.at > newest.at - DAY]
    if (momentum := maths.momentum(last_day)) is not None:
        trajectory["momentum"] = momentum
    growth = await _growth(connection, arc, newest, oldest)
    blocks: dict[str, object] = {"trajectory": trajectory, "patterns": await _patterns(connection, arc, newest, oldest)}
    return blocks if growth is None else blocks | {"growth": growth}


async def _patterns(connection: Connection, arc: Arc, newest: Point, oldest: int) -> dict[str, object]:
    """Tell what recurs, over whole days: one that has partly expired counts no more."""
    first_day = -(-oldest // DAY)
    if arc.recount:
        await _count_days(connection, arc, max(arc.habits_from, first_day))
    elif arc.habits_from < first_day:
        if arc.first_at is not None and arc.first_at < first_day * DAY:
            await _count_days(connection, arc, first_day)
        arc.habits_from = first_day
    found = patterns(arc.habits, arc.days, newest.at // DAY)
    told = [
        block | {"firstDetected": _iso(from_micros(first * DAY)), "lastOccurrence": _iso(from_micros(last * DAY))}
        for block, (first, last), _ in found
    ]
    active = [str(block["patternId"]) for block, _, active in found if active]
    summary = (
        f"{len(told)} {'pattern' if len(told) == 1 else 'patterns'}, {len(active)} active in the last week." if told else "No pattern yet."
    )
    return {"detected": told, "activePatterns": active, "patternSummary": summary}


async def _trend(connection: Connection, arc: Arc, window: str, begins: int, points: Sequence[Point]) -> dict[str, object]:
    """Compare the halves of the time from the window's first point to its last; to the hour, where it holds more than the newest points."""
    newest = points[-1]
    inside = less(arc.total, arc.before[f"{window} begins"][1])
    if maths.count_of(inside) == len(points):
        first, second = maths.halves(points, (points[0].at + newest.at) // 2)
    else:
        row = await queries.first_of_user(connection, arc.context_id, begins)
        middle = ((newest.at if row is None else row["said_at"]) + newest.at) // 2
        until = await _move(connection, arc, f"{window} middle", max(middle // HOUR * HOUR, begins))
        first = less(until, arc.before[f"{window} begins"][1])
        second = less(arc.total, until)
    return maths.trend(first, second, WINDOWS[window])


async def _growth(connection: Connection, arc: Arc, newest: Point, oldest: int) -> dict[str, object] | None:
    recent, historical = (max((newest.at - k * _MONTH) // HOUR * HOUR, oldest) for k in (1, 2))
    from_recent = await _move(connection, arc, "growth recent", recent)
    from_historical = await _move(connection, arc, "growth historical", historical)
    now, then = less(arc.total, from_recent), less(from_recent, from_historical)
    told = maths.growth(now, then)
    if told is None:
        return None
    edges = [_iso(from_micros(at)) for at in (historical, recent, newest.at)]
    windows = {
        "recent": {"start": edges[1], "end": edges[2], "dataPoints": maths.count_of(now)},
        "historical": {"start": edges[0], "end": edges[1], "dataPoints": maths.count_of(then)},
    }
    return {"comparisonWindow": windows} | told


def _similar(arc: Arc, oldest: int) -> dict[str, object]:
    """Find the nearest of the newest points and of the landmarks, by the cosine of their vectors."""
    others = _joined(arc.landmarks, arc.recent[:-1])
    others = others[others["at"] >= oldest]
    if not len(others):
        return {"moments": [], "patterns": [], "insights": []}
    here = arc.recent[-1]["vector"].astype(float)
    there = others["vector"].astype(float)
    lengths = np.linalg.norm(there, axis=1) * (np.linalg.norm(here) or 1.0)
    likeness = there @ here / np.where(lengths > 0, lengths, 1.0)
    likeness = np.clip(likeness.round(4), -1.0, 1.0)
    nearest = np.lexsort((-others["at"], -likeness))[:_NEAREST]
    moments = []
    for p, alike in zip(_points(others[nearest]), likeness[nearest].tolist(), strict=True):
        category, complexity = maths.CATEGORIES[p.category], maths.COMPLEXITIES[p.complexity]
        moments.append(
            {
                "memoryId": f"p{p.number}",
                "similarity": alike,
                "emotion": category,
                "intensity": p.intensity / maths.UNIT,
                "timestamp": _iso(from_micros(p.at)),
                "tags": signature.tags(
                    category, p.valence / maths.UNIT, p.arousal / maths.UNIT, complexity, breakthrough=bool(p.breakthrough)
                ),
            }
        )
    names = [str(m["emotion"]) for m in moments]
    common = max(sorted(set(names)), key=names.count)
    times = names.count(common)
    insights = [f"{times} of the {len(names)} nearest earlier moments were {common}."] if times > 1 else []
    return {"moments": moments, "patterns": [], "insights": insights}


async def forget_all(connection: Connection, arc: Arc) -> Arc:
    """Remove every point, and give an arc without any."""
    await queries.remove_all(connection, arc.context_id)
    return Arc(arc.context_id)


async def points(  # noqa: PLR0913 - of what, and which page
    connection: Connection, context_id: str, *, begins: int, ends: int, after: tuple[int, int], limit: int
) -> list[dict[str, object]]:
    """Give the points of a stretch of time as they go over the wire, oldest first, with the place of each as its cursor."""
    rows = await queries.list_points(connection, context_id, begins, ends, after, limit)
    return [_shown(row) for row in rows]


async def points_by_number(connection: Connection, arc: Arc, oldest: int, after: int, limit: int) -> list[tuple[int, dict[str, object]]]:
    """Give points that have not expired, with their numbers, in the order in which they came; with the vector where that is kept."""
    rows = await queries.list_by_number(connection, arc.context_id, oldest, after, limit)
    packed = _joined(arc.landmarks, arc.recent)
    vectors = dict(zip(packed["number"].tolist(), (packed["vector"] / _VECTOR_UNIT).tolist(), strict=True))
    found = []
    for row in rows:
        shown = {k: v for k, v in _shown(row).items() if k != "cursor"}
        number = row["number"]
        found.append((number, shown | {"emotionalVector": vectors[number]} if number in vectors else shown))
    return found


def _shown(row: Row) -> dict[str, object]:
    point = _of_row(row)
    return {
        "pointId": f"p{point.number}",
        "timestamp": _iso(from_micros(point.at)),
        "role": ROLES[row["role"]],
        "category": maths.CATEGORIES[point.category],
        "complexity": maths.COMPLEXITIES[point.complexity],
        "intensity": point.intensity / maths.UNIT,
        "valence": point.valence / maths.UNIT,
        "arousal": point.arousal / maths.UNIT,
        "wonderIndex": point.wonder / maths.UNIT,
        "isBreakthrough": bool(point.breakthrough),
        "cursor": f"{point.at}.{point.number}",
    }


async def buckets(  # noqa: PLR0913 - of what, and which page
    connection: Connection, context_id: str, size: str, *, begins: int, ends: int, oldest: int, limit: int
) -> list[dict[str, object]]:
    """Give what a user's points of each hour or day (*size*) add up to, oldest first; those without any are left out.

    Each is whole: that in which *begins* lies, and that in which *ends* lies. What was said before *oldest* has expired.
    """
    hours = {"hour": 1, "day": 24}[size]
    begins, day = begins // (hours * HOUR) * hours * HOUR, oldest // DAY * DAY
    found = []
    if hours == DAY // HOUR and begins <= day < oldest:
        # The sums of a day that has partly expired still hold all of it, until the sweeper comes.
        left = await _between(connection, context_id, oldest, day + DAY)
        if maths.count_of(left) and day < ends:
            found.append(_bucket(day, left))
        begins = day + DAY
    begins = max(begins, oldest)
    rows = await queries.tallies(connection, context_id, hours, begins, ends, limit)
    return [*found, *(_bucket(row["begins"], from_json(row["sums"])) for row in rows)][:limit]


def _bucket(begins: int, sums: Sums) -> dict[str, object]:
    told = maths.baseline("", sums)
    told.pop("window")
    return {"start": _iso(from_micros(begins))} | told


def _of_row(row: Row) -> Point:
    return Point(row["said_at"], *(row[name] for name in Point._fields[1:]))


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
