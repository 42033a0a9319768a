"""Any sequence of messages, late ones, expiries, sweeps and erasures, against a telling from the points that are left."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from kaiko_server.contexts import service as contexts_service
from kaiko_server.settings import Settings
from kaiko_server.store.db import to_micros
from kaiko_server.trajectory import maths, service
from kaiko_server.trajectory.habits import NONE, days_of, followed, habits_of, patterns
from kaiko_server.trajectory.maths import DAY, HOUR, NOTHING, WINDOWS, Point
from tests.trajectory.test_maths import slow_recoveries
from tests.trajectory.test_service import Kept

pytestmark = pytest.mark.anyio
START = to_micros(datetime(2026, 6, 1, 12, 30, tzinfo=UTC))
SCORES = st.tuples(
    st.integers(0, 6), st.integers(0, 3), st.sampled_from([500, 4_000, 8_000]), st.sampled_from([-7_000, -2_000, 0, 800, 6_000]),
    st.sampled_from([1_000, 9_000]), st.sampled_from([0, 5_000]), st.integers(0, 1),
)  # fmt: skip
BAD, GOOD, OTHER = (2, 0, 8_000, -7_000, 1_000, 0, 0), (0, 0, 8_000, 6_000, 1_000, 0, 0), (3, 0, 500, -2_000, 1_000, 0, 0)
DAY_KEPT = timedelta(days=1)


def steps(keep_days):
    """Sequences of steps over times that are of the order of what is kept, so that many points expire beside others."""
    minutes = st.one_of(st.integers(0, 300), st.integers(0, keep_days * 1440))
    step = st.one_of(
        st.tuples(st.just("say"), st.integers(0, 600), SCORES),
        st.tuples(st.just("say"), minutes, SCORES),
        st.tuples(st.just("say late"), minutes, SCORES),
        st.tuples(st.just("wait"), minutes),
        st.sampled_from([("sweep",), ("sweep",), ("sweep",), ("erase",)]),
    )
    return st.tuples(st.just(timedelta(days=keep_days)), st.lists(step, min_size=6, max_size=30))


class Told:
    """What should be known, kept in the plainest way: points in a list, and of each what it ended and followed when it came about."""

    def __init__(self):
        self.points, self.ends, self.follows = [], {}, {}

    def add(self, point, oldest):
        """Walk through all that has not expired, without and with the point; what differs has changed."""
        alive = [p for p in self.points if p.at >= oldest]
        before, after = slow_recoveries(alive), slow_recoveries([*alive, point])
        for number in {p.number for p in alive} | {point.number}:
            if number == point.number or before.get(number) != after.get(number):
                self.ends[number] = after.get(number)
        self.points = sorted([*self.points, point])
        for first, second in pairwise([None, *self.points]):
            if second is point:
                self.follows[point.number] = None if first is None or first.at < oldest else followed(first)
            elif first is point:
                self.follows[second.number] = followed(first)

    def summed(self, some):
        total = NOTHING
        for p in some:
            total = maths.plus(total, maths.sums_of(p, self.ends[p.number]))
        return total

    def arc(self, window, oldest):
        """Baseline, trend and growth, by their definitions."""
        kept = [p for p in self.points if p.at >= oldest]
        newest = kept[-1]
        begins = max((newest.at - WINDOWS[window]) // HOUR * HOUR, oldest)
        inside = [p for p in kept if p.at >= begins]
        middle = (inside[0].at + newest.at) // 2
        halves = [p for p in inside if p.at < middle], [p for p in inside if p.at >= middle]
        recent, historical = (max((newest.at - k * WINDOWS["month"]) // HOUR * HOUR, oldest) for k in (1, 2))
        months = [p for p in kept if p.at >= recent], [p for p in kept if historical <= p.at < recent]
        return {
            "baseline": maths.baseline(window, self.summed(inside[:-1])),
            "trend": maths.trend(*map(self.summed, halves), WINDOWS[window]),
            "momentum": maths.momentum([p for p in inside if p.at > newest.at - DAY]),
            "growth": maths.growth(*map(self.summed, months)),
            "patterns": self.patterns(oldest),
        }

    def counted(self, some):
        total = NONE
        for p in some:
            total = maths.plus(total, habits_of(p, self.follows[p.number], self.ends[p.number]))
        return total

    def patterns(self, oldest):
        whole = [p for p in self.points if p.at >= -(-oldest // DAY) * DAY]
        by_day = {day: self.counted(p for p in whole if p.at // DAY == day) for day in {p.at // DAY for p in whole}}
        total = self.counted(whole)
        return [block["patternId"] for block, _, _ in patterns(total, days_of(by_day), self.points[-1].at // DAY)]


class Life(Kept):
    """A context in the database and what should be known of it, through time."""

    def __init__(self, db, place):
        super().__init__(db, place)
        self.now, self.number, self.told, self.keep = START, 0, Told(), timedelta(days=90)

    @property
    def moment(self):
        return datetime.fromtimestamp(self.now / 1e6, UTC)

    @property
    def oldest(self):
        return service.kept_from(self.moment, self.keep)

    async def step(self, kind, *more):
        if kind == "wait":
            self.now += more[0] * 60_000_000
        elif kind == "sweep":
            await contexts_service.sweep(self.db, lambda: self.moment, Settings(context_points_days=self.keep.days))
            self.told.points = [p for p in self.told.points if p.at >= self.oldest]
            if not self.told.points:  # the state is long gone: now all is
                self.told = Told()
        elif kind == "erase":
            await contexts_service.delete(self.db, self.place, self.moment)
            self.told = Told()
        else:
            minutes, scores = more
            self.now += minutes * 60_000_000 if kind == "say" else 0
            self.number += 1
            point = Point(self.now - (minutes * 60_000_000 if kind == "say late" else 0), self.number, *scores)
            if point.at >= self.oldest:
                await self.add(point, oldest=self.oldest)
                self.told.add(point, self.oldest)

    async def check(self):
        """What is told is what should be; what is on disk adds up."""
        await self.with_arc(self.check_rows)
        alive = [p for p in self.told.points if p.at >= self.oldest]
        for window in WINDOWS:
            told = await self.tell(window, self.oldest)
            if not alive:
                assert told == {}
                return
            shown = {name: told["trajectory"].get(name) for name in ("baseline", "trend", "momentum")}
            growth = told.get("growth")
            shown["growth"] = growth and {k: v for k, v in growth.items() if k != "comparisonWindow"}
            shown["patterns"] = [p["patternId"] for p in told["patterns"]["detected"]]
            assert shown == self.told.arc(window, self.oldest)

    async def check_rows(self, connection, arc):
        """The running sums, and those of hours and days, are those of the points that no sweep has taken."""
        assert arc.total == self.told.summed(self.told.points)
        rows = await connection.fetch("SELECT size, begins, sums, habits FROM tallies WHERE context_id = $1", arc.context_id)
        kept = {(row["size"], row["begins"]): (from_json(row["sums"]), row["habits"] and from_json(row["habits"])) for row in rows}
        hours = {p.at // HOUR * HOUR for p in self.told.points}
        days = {p.at // DAY * DAY for p in self.told.points}
        assert set(kept) == {(1, hour) for hour in hours} | {(24, day) for day in days}
        for (size, begins), (sums, habits) in kept.items():
            inside = [p for p in self.told.points if begins <= p.at < begins + size * HOUR]
            assert sums == self.told.summed(inside)
            if size == 24 and begins >= self.oldest:  # a day that has partly expired counts no more
                assert habits == self.told.counted(inside)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lived=st.one_of(steps(1), steps(2), steps(90)))
@example(lived=(DAY_KEPT, [("say", 0, BAD), ("wait", 1600), ("say", 0, BAD), ("say", 10, GOOD)]))
@example(lived=(DAY_KEPT, [("say", 0, BAD), ("wait", 1600), ("say", 60, GOOD), ("say late", 30, GOOD)]))
@example(lived=(DAY_KEPT, [("say", 0, GOOD), ("say", 100, BAD), ("say late", 50, OTHER), ("say late", 25, GOOD)]))
async def test_any_sequence_tells_what_is_left(db, clock, lived):
    """After every step, every number that is told is the one that the points which are left tell by its definition, to the last digit."""
    life = await Life.make(db, clock)
    life.keep, walked = lived
    for step in walked:
        await life.step(*step)
        await life.check()
    await contexts_service.delete(db, life.place, life.moment)


async def test_rows_of_a_swept_context(db, clock):
    """When all has expired and is swept, nothing of it is left on disk."""
    life = await Life.make(db, clock)
    for step in (("say", 5, (0, 0, 500, -7_000, 0, 0, 0)), ("say", 5, (1, 1, 500, 7_000, 0, 0, 0)), ("wait", 91 * 1440), ("sweep",)):
        await life.step(*step)
    for table in ("contexts", "points", "tallies"):
        assert await db.read(lambda c, of=table: c.fetch(f"SELECT * FROM {of}")) == []
