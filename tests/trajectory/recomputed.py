"""The sums that a context should hold, told from its points on disk."""

from itertools import pairwise

from pydantic_core import from_json

from kaiko_server.trajectory import maths
from kaiko_server.trajectory.habits import NONE, followed, habits_of
from kaiko_server.trajectory.maths import DAY, HOUR, NOTHING, Point
from tests.trajectory.test_maths import slow_recoveries


async def check_sums(db):
    """Every context's running sums, hours, days and habits are those of its points; give how many points there are."""
    contexts = await db.read(lambda c: c.fetch("SELECT id, ledger FROM contexts"))
    total = 0
    for context in contexts:
        rows = await db.read(
            lambda c, of=context["id"]: c.fetch("SELECT * FROM points WHERE context_id = $1 AND role = 0 ORDER BY said_at, number", of)
        )
        points = [Point(row["said_at"], *(row[name] for name in Point._fields[1:])) for row in rows]
        total += len(points)
        known, sums, tallies, habits = slow_recoveries(points), NOTHING, {}, {}
        for before, point in pairwise([None, *points]):
            own, day = maths.sums_of(point, known.get(point.number)), (24, point.at // DAY * DAY)
            sums = maths.plus(sums, own)
            for key in ((1, point.at // HOUR * HOUR), day):
                tallies[key] = maths.plus(tallies.get(key, NOTHING), own)
            habits[day] = maths.plus(habits.get(day, NONE), habits_of(point, before and followed(before), known.get(point.number)))
        kept = await db.read(lambda c, of=context["id"]: c.fetch("SELECT * FROM tallies WHERE context_id = $1", of))
        assert from_json(context["ledger"])["total"] == sums
        assert {(row["size"], row["begins"]): from_json(row["sums"]) for row in kept} == tallies
        assert {(24, row["begins"]): from_json(row["habits"]) for row in kept if row["size"] == 24} == habits
    return total
