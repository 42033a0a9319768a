"""What keys use, on a real database of each kind."""

import asyncio
from datetime import date

import pytest

from kaiko_server.keys.service import create_key, delete_keys, list_keys
from kaiko_server.store.db import UnavailableError
from kaiko_server.usage.service import Day, Meter, month_ends, usage_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def key(db, pepper, clock):
    return await create_key(db, pepper, project="p", environment="live", name="n", clock=clock)


async def days(db, key):
    return await usage_of(db, key.id, date(2026, 1, 1), date(2027, 1, 1))


async def test_counted_by_day_and_written_together(db, clock, key):
    """Requests, texts and tokens add up by day; nothing is written before a flush, and a second one writes nothing twice."""
    meter = Meter(db, clock)
    for _ in range(3):
        meter.add(key.id, 2, 10)
    assert await days(db, key) == []
    await meter.flush()
    await meter.flush()
    clock.move(86_400)
    meter.add(key.id, 1, 5)
    await meter.flush()
    assert await days(db, key) == [Day(date(2026, 6, 1), 3, 6, 30), Day(date(2026, 6, 2), 1, 1, 5)]
    assert (await list_keys(db))[0].last_used_at == clock.now


async def test_two_servers_add_up(db, clock, key):
    """What several count is counted together, whatever the order."""
    meters = [Meter(db, clock) for _ in range(4)]
    for meter in meters:
        meter.add(key.id, 1, 7)
    await asyncio.gather(*(meter.flush() for meter in meters))
    assert await days(db, key) == [Day(date(2026, 6, 1), 4, 4, 28)]


async def test_the_month_so_far(db, clock, key):
    """Tokens of this month, those not written yet among them; of the month before none."""
    meter = Meter(db, clock)
    meter.add(key.id, 1, 100)
    assert await meter.used_this_month(key.id) == 100
    await meter.flush()
    meter.add(key.id, 1, 20)
    assert await meter.used_this_month(key.id) == 120
    other = Meter(db, clock)
    assert await other.used_this_month(key.id) == 100
    clock.now = month_ends(clock.now)
    assert await meter.used_this_month(key.id) == 0


class Broken:
    """The real database, which cannot write now and then."""

    def __init__(self, db):
        self.db, self.works = db, False

    async def read(self, fn):
        return await self.db.read(fn)

    async def write(self, fn):
        if not self.works:
            raise UnavailableError
        return await self.db.write(fn)


async def test_what_could_not_be_written_is_written_later(db, clock, key):
    """A database that is gone for a while costs no count."""
    broken = Broken(db)
    meter = Meter(broken, clock)
    meter.add(key.id, 1, 5)
    with pytest.raises(UnavailableError):
        await meter.flush()
    meter.add(key.id, 1, 5)
    broken.works = True
    await meter.flush()
    assert await days(db, key) == [Day(date(2026, 6, 1), 2, 2, 10)]


async def test_a_key_that_is_gone(db, clock, key):
    """Its counts go with it; what a server still counts of it is dropped, and that of others is kept."""
    meter = Meter(db, clock)
    meter.add(key.id, 1, 5)
    await meter.flush()
    meter.add(key.id, 1, 5)
    await delete_keys(db, key.project_id, clock)
    await meter.flush()
    assert await db.read(lambda c: c.fetch("SELECT * FROM usage")) == []
