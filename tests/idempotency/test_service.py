"""Tickets on a real database of each kind, with a clock that is set by hand."""

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaiko_server.errors import ApiError, Code
from kaiko_server.idempotency import service
from kaiko_server.idempotency.service import KEPT_FOR, LEASE, Names, OutrunError, Replay, Ticket, claim, key_of
from kaiko_server.keys.format import make_key

pytestmark = pytest.mark.anyio
KEY = make_key("live")
NAMES = Names(KEY, "POST", b"/v2/emotions/c/analysis", b"one")


def ask(db, clock, names=NAMES, body=b"{}", model="m1"):
    return claim(db, names, body, model, clock())


async def refused(work):
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value.code


async def test_once_and_again(db, clock):
    """The first runs, a twin is told to wait, and after the end everybody is told the same bytes; another body is refused at all times."""
    ticket = await ask(db, clock)
    assert isinstance(ticket, Ticket)
    assert await refused(ask(db, clock)) is Code.IDEMPOTENCY_IN_PROGRESS
    assert await refused(ask(db, clock, body=b"[]")) is Code.IDEMPOTENCY_KEY_REUSED
    await service.end(db, ticket, clock(), 200, b'{"reply": 1}')
    assert await ask(db, clock) == Replay(200, b'{"reply": 1}')
    assert await refused(ask(db, clock, body=b"[]")) is Code.IDEMPOTENCY_KEY_REUSED


@pytest.mark.parametrize(
    "other", [Names(make_key("live"), "POST", NAMES.path, b"one"), Names(KEY, "PUT", NAMES.path, b"one"),
              Names(KEY, "POST", b"/v2/emotions/d/analysis", b"one"), Names(KEY, "POST", NAMES.path, b"two")],
)  # fmt: skip
async def test_other_names_are_other_tickets(db, clock, other):
    """API key, method, path and idempotency key each tell tickets apart."""
    await ask(db, clock)
    assert isinstance(await ask(db, clock, other), Ticket)


async def test_of_fifty_at_once_one_runs(db, clock):
    """Whoever comes at the same time, one alone gets the right to run."""
    found = await asyncio.gather(*(ask(db, clock) for _ in range(50)), return_exceptions=True)
    assert sum(isinstance(one, Ticket) for one in found) == 1
    assert sum(isinstance(one, OutrunError) for one in found) == 49


async def test_what_came_to_nothing_runs_again(db, clock):
    """A ticket that was let go is free; one that has ended is not let go."""
    await service.let_go(db, await ask(db, clock))
    ticket = await ask(db, clock)
    await service.end(db, ticket, clock(), 200, b"x")
    await service.let_go(db, ticket)
    assert await ask(db, clock) == Replay(200, b"x")


async def test_a_holder_whose_lease_has_ended_keeps_nothing(db, clock):
    """A server that was stopped for minutes has a successor: what it writes then is not kept, whoever is faster."""
    first = await ask(db, clock)
    clock.move(LEASE.total_seconds() - 1)
    assert await refused(ask(db, clock)) is Code.IDEMPOTENCY_IN_PROGRESS
    clock.move(1)
    second = await ask(db, clock)
    assert (second.fence, second.began_at) == (first.fence + 1, first.began_at)
    with pytest.raises(OutrunError):
        await service.end(db, first, clock(), 200, b"first")
    await service.let_go(db, first)
    await service.end(db, second, clock(), 200, b"second")
    with pytest.raises(OutrunError):
        await service.end(db, first, clock(), 200, b"first")
    assert await ask(db, clock) == Replay(200, b"second")


async def test_a_reply_that_is_computed_again(db, clock):
    """Without a sealed reply the request is run again as of when it was first made; by another model the key counts as new."""
    first = await ask(db, clock)
    await service.end(db, first, clock(), 200, None)
    clock.move(3600)
    again = await ask(db, clock)
    assert (again.replayed, again.began_at) == (True, first.began_at)
    anew = await ask(db, clock, model="m2")
    assert (anew.replayed, anew.began_at) == (False, clock())


async def test_a_day_later_all_is_forgotten(db, clock):
    """From 24 hours after the end on the key is new, swept or not; a sweep leaves no row of it."""
    await service.end(db, await ask(db, clock), clock(), 200, b"x")
    clock.move(KEPT_FOR.total_seconds() - 1)
    assert isinstance(await ask(db, clock), Replay)
    assert await service.sweep(db, clock()) == 0
    clock.move(1)
    assert isinstance(await ask(db, clock, body=b"other"), Ticket)
    clock.move(KEPT_FOR.total_seconds())
    assert await service.sweep(db, clock()) == 1
    assert await db.read(lambda c: c.fetch("SELECT * FROM tickets")) == []


async def test_nobody_opens_what_is_sealed(db, clock, pepper):
    """A dump of the database with the server's pepper in hand opens no reply and names no request: the attack, made."""
    text, idempotency_key = b'{"category": "zanzibar sadness"}', b"order-7781"
    names = Names(KEY, "POST", b"/v2/emotions/klara/analysis", idempotency_key)
    await service.end(db, await ask(db, clock, names, b"zanzibar body"), clock(), 200, text)
    (row,) = await db.read(lambda c: c.fetch("SELECT * FROM tickets"))
    dump = b"".join(bytes(row[column]) for column in ("id", "body", "reply"))
    for word in (b"zanzibar", b"sadness", b"klara", b"7781", KEY.encode()):
        assert word not in dump
    # Who holds all of the server's secrets and guesses everything but the API key still finds no row and opens nothing.
    for guess in (pepper.decode(), make_key("live"), ""):
        thief = Names(guess, names.method, names.path, names.key)
        assert thief.id != bytes(row["id"])
        assert thief.digest(b"zanzibar body") != bytes(row["body"])
        with pytest.raises(service.InvalidTag):
            thief.open(200, bytes(row["reply"]))
    # Who holds the API key and not the idempotency key neither.
    with pytest.raises(service.InvalidTag):
        Names(KEY, names.method, names.path, b"order-7782").open(200, bytes(row["reply"]))
    with pytest.raises(service.InvalidTag):
        names.open(201, bytes(row["reply"]))
    assert names.open(200, bytes(row["reply"])) == text


async def test_a_row_that_somebody_changed(db, clock):
    """It is not told: 500 rather than another's words, and the effect is not had twice."""
    await service.end(db, await ask(db, clock), clock(), 200, b"mine")
    await db.write(lambda c: c.execute("UPDATE tickets SET reply = $1", b"x" * 40))
    assert await refused(ask(db, clock)) is Code.INTERNAL


@pytest.mark.parametrize(
    ("sent", "key"),
    [
        ([], None), ([b"abc"], b"abc"), ([b'"abc"'], b"abc"), ([b"a b"], b"a b"), ([b'"a\\"b\\\\"'], b'a"b\\'),
        ([b"x" * 255], b"x" * 255), ([b'"' + b"x" * 255 + b'"'], b"x" * 255),
        ([b"x" * 256], "bad"), ([b""], "bad"), ([b'""'], "bad"), ([b"caf\xc3\xa9"], "bad"), ([b"a\tb"], "bad"), ([b"a", b"b"], "bad"),
    ],
)  # fmt: skip
def test_what_a_key_may_be(sent, key):
    """Bare or in quotes it is the same key; 1 to 255 printable ASCII characters; two that differ are none."""
    headers = [(b"idempotency-key", value) for value in sent]
    if key == "bad":
        with pytest.raises(ApiError) as caught:
            key_of(headers)
        assert caught.value.code is Code.INVALID_IDEMPOTENCY_KEY
    else:
        assert key_of(headers) == key


async def told(work):
    """What a claim gives, or the code of its refusal."""
    try:
        return await work
    except ApiError as error:
        return error.code


STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["claim", "end", "let go"]), st.integers(0, 1), st.integers(0, 1)),
        st.tuples(st.just("wait"), st.sampled_from([1, LEASE.total_seconds(), KEPT_FOR.total_seconds()]), st.just(0)),
    ),
    max_size=25,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(steps=STEPS)
async def test_any_sequence_has_one_effect(db, clock, steps):
    """Whatever claims, ends, gives up and waits in whatever order: while a key is remembered its request has one effect, and one reply."""
    await db.write(lambda c: c.execute("DELETE FROM tickets"))
    held, effect, at = [], None, clock()
    for kind, which, body in steps:
        if kind == "wait":
            clock.move(which)
        elif kind == "claim":
            found = await told(ask(db, clock, body=b"%d" % body))
            if found in {Code.IDEMPOTENCY_IN_PROGRESS, Code.IDEMPOTENCY_KEY_REUSED}:
                continue
            if isinstance(found, Ticket):
                if effect is not None:
                    assert clock() - at >= KEPT_FOR  # nothing runs again before it is forgotten
                    effect = None
                held.append(found)
            else:
                assert found.body == effect
        elif held:
            ticket = held[which % len(held)]
            if kind == "let go":
                await service.let_go(db, ticket)
                continue
            reply = b"%d %d" % (ticket.fence, len(held))
            try:
                await service.end(db, ticket, clock(), 200, reply)
            except OutrunError:
                continue
            assert effect is None or clock() - at >= KEPT_FOR
            effect, at = reply, clock()


async def test_an_effect_and_its_end_are_one(db, clock):
    """What a holder without a ticket did in its transaction is not kept: here, another row."""
    first = await ask(db, clock)
    clock.move(LEASE.total_seconds())
    await ask(db, clock)

    async def effect(connection):
        await connection.execute("INSERT INTO projects (id, name, created_at) VALUES ('x', 'x', 0)")
        await first.end(connection, clock(), 200, b"x")

    with pytest.raises(OutrunError):
        await db.write(effect)
    assert await db.read(lambda c: c.fetch("SELECT * FROM projects")) == []
