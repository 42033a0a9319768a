"""The arc that is kept up to date, against one that is told from all points: on a real database of each kind."""

import random
import secrets
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from kaiko_server.contexts import queries as contexts
from kaiko_server.contexts.service import Place
from kaiko_server.projects.service import ensure_project
from kaiko_server.store.db import from_micros, to_micros
from kaiko_server.store.migrations import history
from kaiko_server.trajectory import maths, service
from kaiko_server.trajectory.habits import NONE, days_of, followed, habits_of, patterns
from kaiko_server.trajectory.maths import DAY, HOUR, NOTHING, WINDOWS, Point
from tests.trajectory.test_maths import slow_recoveries

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 6, 1, 12, 30, tzinfo=UTC)
OLDEST = service.kept_from(NOW, timedelta(days=90))


def life(seed, count, days):
    """Points of a life of so many days, in bursts, in the order in which they were said."""
    chance = random.Random(seed)
    moments = sorted(to_micros(NOW) - round(chance.random() ** 2 * days * DAY) - chance.randrange(3) * HOUR for _ in range(count))
    return [
        Point(
            at, n, chance.randrange(7), chance.randrange(4), chance.randrange(10_001), chance.choice((-7000, -400, 0, 800, 6000)),
            chance.randrange(10_001), chance.randrange(10_001), chance.randrange(2),
        )
        for n, at in enumerate(moments, 1)
    ]  # fmt: skip


def late(points, seed, share):
    """The same points as they arrive: some of them late."""
    chance = random.Random(seed)
    return sorted(points, key=lambda p: p.number + (chance.randrange(1, 40) if chance.random() < share else 0))


def slow(points, window):
    """Tell baseline, trend and growth from all points at once, by their definitions."""
    known = slow_recoveries(points)
    kept = [p for p in points if p.at >= OLDEST]
    newest = kept[-1]

    def summed(some):
        total = NOTHING
        for p in some:
            total = maths.plus(total, maths.sums_of(p, known.get(p.number)))
        return total

    begins = max((newest.at - WINDOWS[window]) // HOUR * HOUR, OLDEST)
    inside = [p for p in kept if p.at >= begins]
    middle = (inside[0].at + newest.at) // 2
    if len(inside) > service.RECENT:
        middle = max(middle // HOUR * HOUR, begins)
    halves = [p for p in inside if p.at < middle], [p for p in inside if p.at >= middle]
    recent, historical = (max((newest.at - k * WINDOWS["month"]) // HOUR * HOUR, OLDEST) for k in (1, 2))
    growth = maths.growth(summed(p for p in kept if p.at >= recent), summed(p for p in kept if historical <= p.at < recent))
    return maths.baseline(window, summed(inside[:-1])), maths.trend(*map(summed, halves), WINDOWS[window]), growth


def slow_patterns(points):
    """Tell what recurs from all points at once: over the days that are kept whole."""
    known, by_day, total = slow_recoveries(points), {}, NONE
    for before, p in pairwise([None, *points]):
        if p.at >= -(-OLDEST // DAY) * DAY:
            counted = habits_of(p, before and followed(before), known.get(p.number))
            total = maths.plus(total, counted)
            by_day[p.at // DAY] = maths.plus(by_day.get(p.at // DAY, NONE), counted)
    return [block for block, _, _ in patterns(total, days_of(by_day), points[-1].at // DAY)], days_of(by_day)


class Kept:
    """A context's arc in the database."""

    def __init__(self, db, place):
        self.db, self.place = db, place

    @classmethod
    async def make(cls, db, clock):
        project = await ensure_project(db, "default", clock)
        return cls(db, Place(project.id, "live", secrets.token_bytes(8)))

    async def with_arc(self, work):
        """Do *work* with the arc in a transaction, and keep what it left."""

        async def fn(connection):
            place = {"project_id": self.place.project_id, "environment": self.place.environment, "name": self.place.name}
            row = await contexts.hold(connection, context_id=secrets.token_hex(8), **place, digest_key=bytes(32), now=0)
            arc = service.Arc.of(row)
            found = await work(connection, arc)
            await contexts.set_arc(connection, row["id"], arc.columns, (arc.points_from, arc.points_to), 0)
            return found

        return await self.db.write(fn)

    async def add(self, point, role="user", oldest=-(2**62)):
        await self.with_arc(lambda c, arc: service.add(c, arc, role, point, [1 / 3] * 9, oldest))

    async def tell(self, window="month", oldest=OLDEST):
        return await self.with_arc(lambda c, arc: service.tell(c, arc, window, oldest))


@pytest.mark.parametrize(
    ("seed", "count", "days", "share"), [(1, 30, 2, 0.5), (2, 90, 89, 0.3), (3, 150, 20, 0.2), (4, 120, 120, 0.0), (5, 40, 130, 0.4)]
)
async def test_the_arc_is_that_of_all_points(db, clock, seed, count, days, share):
    """Kept up to date message by message, late ones and expired ones among them, it is what all points together tell."""
    kept = await Kept.make(db, clock)
    points, there = life(seed, count, days), []
    for n, point in enumerate(late(points, seed, share)):
        await kept.add(point)
        there.append(point)
        if n % 13 == 0 or n == count - 1:
            if max(there).at < OLDEST:
                assert await kept.tell() == {}
                continue
            for window in WINDOWS:
                told = await kept.tell(window)
                baseline, trend, growth = slow(sorted(there), window)
                assert told["trajectory"]["baseline"] == baseline
                assert told["trajectory"]["trend"] == trend
                assert {k: v for k, v in told.get("growth", {}).items() if k != "comparisonWindow"} == (growth or {})
            detected, days = slow_patterns(sorted(there))
            shown = [{k: v for k, v in p.items() if k not in {"firstDetected", "lastOccurrence"}} for p in told["patterns"]["detected"]]
            assert shown == detected
            arc = await kept.with_arc(_arc)
            assert {at: days for at, days in arc.days.items() if arc.habits[at]} == days


async def test_forgetting_changes_nothing_that_is_told(db, clock):
    """What has expired counts no more before it is swept away; sweeping it leaves no point and no sum of it."""
    kept = await Kept.make(db, clock)
    points = life(7, 120, 150)
    for point in points:
        await kept.add(point)
    before = [await kept.tell(window) for window in WINDOWS]
    steps = 1
    while not await kept.with_arc(lambda c, arc: service.forget(c, arc, OLDEST, 10)):
        steps += 1
        assert [await kept.tell(window) for window in WINDOWS] == before
    assert steps > 1
    assert [await kept.tell(window) for window in WINDOWS] == before
    rows = await db.read(lambda c: c.fetch("SELECT said_at FROM points"))
    assert len(rows) == sum(p.at >= OLDEST for p in points)
    tallies = await db.read(lambda c: c.fetch("SELECT begins FROM tallies WHERE size = 1"))
    assert min(row["begins"] for row in tallies) >= OLDEST
    arc = await kept.with_arc(_arc)
    assert maths.count_of(arc.total) == len(rows)


async def _arc(_connection, arc):
    return arc


async def test_recoveries_on_disk_are_those_of_a_walk(db, clock):
    """Whatever the order of arrival, each point's recovery is the one that a walk through all points finds."""
    kept = await Kept.make(db, clock)
    points = life(11, 80, 5)
    for point in late(points, 11, 0.6):
        await kept.add(point)
    rows = await db.read(lambda c: c.fetch("SELECT number, recovery, recovered_from FROM points WHERE recovery IS NOT NULL"))
    assert {row["number"]: (row["recovery"], row["recovered_from"]) for row in rows} == slow_recoveries(points)


async def test_what_points_follow_is_what_the_migration_finds(db, clock):
    """A database from before that was kept gets the same: late points among them, and points of other roles left out."""
    kept = await Kept.make(db, clock)
    for point in late(life(12, 60, 9), 12, 0.4):
        await kept.add(point, ("user", "user", "assistant")[point.number % 3])
    select = "SELECT number, follows FROM points ORDER BY number"
    before = [tuple(row.values()) for row in await db.read(lambda c: c.fetch(select))]
    update = next(m.sql for m in history() if m.version == 4).partition("follows SMALLINT;")[2].strip().rstrip(";")
    await db.write(lambda c: c.execute("UPDATE points SET follows = NULL"))
    await db.write(lambda c: c.execute(update))
    assert [tuple(row.values()) for row in await db.read(lambda c: c.fetch(select))] == before


async def test_similar_moments(db, clock):
    """The nearest earlier points are told, never the point itself, five at most; the sample stays bounded."""
    kept = await Kept.make(db, clock)
    assert await kept.tell() == {}
    points = life(13, 220, 10)
    await kept.add(points[0])
    assert (await kept.tell())["trajectory"]["similarMoments"]["moments"] == []
    for point in points[1:]:
        await kept.add(point)
    moments = (await kept.tell())["trajectory"]["similarMoments"]["moments"]
    assert len(moments) == 5
    assert f"p{points[-1].number}" not in {m["memoryId"] for m in moments}
    arc = await kept.with_arc(_arc)
    assert (len(arc.recent), len(arc.landmarks), arc.passed) == (service.RECENT, service.LANDMARKS, 220 - service.RECENT)


async def test_other_roles_have_points_and_no_part_in_the_arc(db, clock):
    """What the assistant says is kept and does not move the user's baseline."""
    kept = await Kept.make(db, clock)
    points = life(17, 10, 1)
    for point in points[:5]:
        await kept.add(point)
    before = await kept.tell()
    for point in points[5:]:
        await kept.add(point, "assistant")
    assert await kept.tell() == before
    assert from_micros(points[0].at) < NOW


def sixty_days(calm_first):
    """A life of sixty days, four messages a day: a month of wide swings and slow recoveries, and one of small swings and fast ones."""
    points, start = [], to_micros(NOW) - 60 * DAY
    for day in range(60):
        calm = (day < 30) == calm_first
        hours = (8, 9, 10, 20) if calm else (8, 12, 20, 21)
        moods = ((0.45, -0.3), (0.55, 0.4), (0.5, 0.3), (0.5, 0.0)) if calm else ((0.95, -0.8), (0.1, -0.5), (0.9, 0.3), (0.1, 0.0))
        for hour, (intensity, valence) in zip(hours, moods, strict=True):
            category = (2, 0, 1, 6)[len(points) % 4] if calm else (3, 2, 0, 6)[len(points) % 4]
            at = start + day * DAY + hour * HOUR
            points.append(Point(at, len(points) + 1, category, int(calm), round(intensity * 1e4), round(valence * 1e4), 5000, 2000, 0))
    return points


@pytest.mark.parametrize(("calm_first", "sign"), [(False, 1), (True, -1)])
async def test_a_life_of_sixty_days(db, clock, calm_first, sign):
    """Calming down and recovering faster is growth; the mirror image is the opposite."""
    kept = await Kept.make(db, clock)
    for point in sixty_days(calm_first):
        await kept.add(point)
    growth = (await kept.tell())["growth"]
    assert growth["overallGrowthScore"] * sign > 20
    improved = {d["dimension"]: d["percentageChange"] for d in growth["dimensions"]}
    assert improved["regulation"] * sign < 0
    assert improved["resilience"] * sign < 0
