"""The audit, on a real database of each kind."""

import asyncio
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaiko_server.audit import service
from kaiko_server.audit.service import KEPT_FOR, Actor, ChainError, Line
from kaiko_server.keys.service import create_key, revoke_key

pytestmark = pytest.mark.anyio
ANNA = Actor("cli:anna", "192.0.2.7", "req-1")


def write(db, clock, subject="key_1", **detail):
    return db.write(lambda c: service.record(c, ANNA, "key.create", subject, clock(), **detail))


async def all_lines(db):
    return [line async for line in service.lines(db)]


async def test_what_was_done_is_told(db, clock, pepper):
    """Making and revoking a key leave a line each; revoking again, which changes nothing, leaves none."""
    made = await create_key(db, pepper, project="p", environment="live", name="n", clock=clock, by=ANNA)
    for _ in range(2):
        await revoke_key(db, made.id, clock, ANNA)
    first, second = await all_lines(db)
    detail = {"name": "n", "project": "p", "environment": "live", "scopes": ["analysis", "contexts", "chat"]}
    assert first == Line(1, clock.now, "cli:anna", "key.create", made.id, "192.0.2.7", "req-1", detail)
    assert (second.action, second.subject) == ("key.revoke", made.id)
    assert await service.verify(db) == (2, (await service.verify(db))[1])
    assert made.key not in str([first, second])


async def test_what_was_not_kept_leaves_no_line(db, clock):
    """A line lives and dies with the transaction of what it tells of."""

    async def fails(connection):
        await service.record(connection, ANNA, "key.create", "key_1", clock())
        message = "after it"
        raise ValueError(message)

    with pytest.raises(ValueError, match="after it"):
        await db.write(fails)
    assert await all_lines(db) == []
    assert (await service.verify(db))[0] == 0


async def test_many_at_once_are_one_chain(db, clock):
    """Whoever writes at the same time, each line follows one other, and none is lost."""
    await asyncio.gather(*(write(db, clock, f"key_{n}") for n in range(40)))
    assert [line.number for line in await all_lines(db)] == list(range(1, 41))
    assert (await service.verify(db))[0] == 40


TAMPERING = st.sampled_from(
    [
        "UPDATE audit SET at = at + 1 WHERE number = {n}", "UPDATE audit SET actor = 'cli:other' WHERE number = {n}",
        "UPDATE audit SET subject = 'key_x' WHERE number = {n}", "UPDATE audit SET detail = '{{}}' WHERE number = {n}",
        "UPDATE audit SET address = NULL WHERE number = {n}", "UPDATE audit SET request_id = 'req-2' WHERE number = {n}",
        "UPDATE audit SET action = 'key.revoke' WHERE number = {n}", "DELETE FROM audit WHERE number = {n}",
        "DELETE FROM audit WHERE number >= {n}", "DELETE FROM audit WHERE number <= {n}",
        "UPDATE audit SET hash = (SELECT hash FROM audit a WHERE a.number <> {n} ORDER BY a.number LIMIT 1) WHERE number = {n}",
    ]
)  # fmt: skip


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(2, 6), place=st.integers(1, 6), how=TAMPERING)
async def test_no_change_goes_unseen(db, clock, count, place, how):
    """Whatever is changed or taken away, at whichever place, the chain tells."""
    for table in ("audit", "audit_ends"):
        await db.write(lambda c, of=table: c.execute(f"DELETE FROM {of}"))
    for n in range(count):
        await write(db, clock, f"key_{n}", number=n)
    assert (await service.verify(db))[0] == count
    number = (place - 1) % count + 1
    await db.write(lambda c: c.execute(how.format(n=number)))
    with pytest.raises(ChainError):
        await service.verify(db)


async def test_a_chain_written_anew_has_another_head(db, clock):
    """Who rewrites all of it makes a chain that holds; the hash that was kept elsewhere is in none of its lines."""
    await write(db, clock, "key_1")
    _, head = await service.verify(db)
    assert await service.has_hash(db, head)
    for table in ("audit", "audit_ends"):
        await db.write(lambda c, of=table: c.execute(f"DELETE FROM {of}"))
    await write(db, clock, "key_2")
    assert (await service.verify(db))[0] == 1
    assert not await service.has_hash(db, head)
    assert not await service.has_hash(db, "no hash")


async def test_old_lines_go_and_the_rest_holds(db, clock):
    """After 400 days a line is taken away; those after it still verify, and a later one still follows."""
    for _ in range(3):
        await write(db, clock)
        clock.move(timedelta(days=200).total_seconds())
    assert await service.sweep(db, clock()) == 1
    assert await service.sweep(db, clock()) == 0
    await write(db, clock)
    assert [line.number for line in await all_lines(db)] == [2, 3, 4]
    assert (await service.verify(db))[0] == 3
    clock.move(KEPT_FOR.total_seconds() * 2)
    await service.sweep(db, clock())
    assert (await service.verify(db))[0] == 0
