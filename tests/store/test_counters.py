"""The promises of counters, in memory and in a real Valkey alike."""

import asyncio
import secrets
from collections import deque

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kaiko_server.settings import SettingsError
from kaiko_server.store.counters import LEASE, MINUTE, Ask, CarefulCounters, CountersError, Limit, Limits, MemoryCounters
from kaiko_server.store.valkey import ValkeyCounters
from tests.valkey import free_port

pytestmark = pytest.mark.anyio
START = 1_790_000_000_000_000


@pytest.fixture(params=["memory", "valkey"])
async def counters(request, valkey, anyio_backend):  # noqa: ARG001 - makes this an anyio fixture
    """Counters of each kind, with the time that the test says it is."""
    made = MemoryCounters() if request.param == "memory" else ValkeyCounters(valkey.url, own_time=False)
    yield made
    await made.close()


def ask(who, limits, now, ticket=None, **more):
    return Ask(who, limits, ticket or secrets.token_hex(6), now, "2026-11", **more)


def someone():
    return f"key_{secrets.token_hex(6)}"


async def test_exactly_as_many_as_may(counters):
    """Of any number at once as many pass as the limit says; the headers' numbers count down to 0."""
    who = someone()
    found = await asyncio.gather(*(counters.enter(ask(who, Limits(per_minute=20), START)) for _ in range(50)))
    assert [s.refused for s in found].count(None) == 20
    assert {s.refused for s in found} == {None, Limit.MINUTE}
    assert sorted(s.minute_left for s in found if s.refused is None) == list(range(20))
    assert {s.minute_resets for s in found} == {START + MINUTE}


async def test_the_window_slides(counters):
    """A request counts for sixty seconds to the microsecond, and no minute of the clock begins anew."""
    who, limits = someone(), Limits(per_minute=2)
    assert (await counters.enter(ask(who, limits, START))).refused is None
    assert (await counters.enter(ask(who, limits, START + 40_000_000))).refused is None
    assert (await counters.enter(ask(who, limits, START + MINUTE - 1))).refused is Limit.MINUTE
    assert (await counters.enter(ask(who, limits, START + MINUTE))).refused is None
    assert (await counters.enter(ask(who, limits, START + MINUTE + 1))).refused is Limit.MINUTE
    assert (await counters.enter(ask(who, limits, START + MINUTE + 40_000_000))).refused is None


async def test_what_is_refused_counts_nowhere(counters):
    """A request that one limit refuses takes nothing of the others."""
    who, limits = someone(), Limits(per_minute=3, concurrent=1)
    first = ask(who, limits, START)
    assert (await counters.enter(first)).refused is None
    for _ in range(5):
        assert (await counters.enter(ask(who, limits, START))).refused is Limit.CONCURRENT
    await counters.leave(first, 0)
    assert (await counters.enter(ask(who, limits, START))).minute_left == 1


async def test_leaving_twice_is_leaving_once(counters):
    """Whoever leaves again frees nobody else's place; whoever asks again with one ticket is counted once."""
    who, limits = someone(), Limits(concurrent=2, per_minute=10)
    first, second = ask(who, limits, START), ask(who, limits, START)
    await counters.enter(first)
    assert (await counters.enter(second)).concurrent_left == 0
    await counters.leave(first, 0)
    await counters.leave(first, 0)
    assert (await counters.enter(ask(who, limits, START))).concurrent_left == 0
    assert (await counters.enter(ask(who, limits, START))).refused is Limit.CONCURRENT


async def test_who_never_leaves_is_let_go(counters):
    """The place of a request whose server died is free when its lease ends."""
    who, limits = someone(), Limits(concurrent=1)
    await counters.enter(ask(who, limits, START))
    assert (await counters.enter(ask(who, limits, START + LEASE - 1))).refused is Limit.CONCURRENT
    assert (await counters.enter(ask(who, limits, START + LEASE))).refused is None


async def test_tokens_of_a_month(counters):
    """Tokens are reserved, settled to what was used, and begin with what the database knows; another month begins anew."""
    who, limits = someone(), Limits(tokens_per_month=100)
    first = ask(who, limits, START, used=40, reserve=30)
    assert (await counters.enter(first)).tokens_left == 30
    await counters.leave(first, 5)
    second = ask(who, limits, START, used=0, reserve=60)
    assert (await counters.enter(second)).tokens_left == 0
    assert (await counters.enter(ask(who, limits, START))).refused is Limit.TOKENS
    await counters.leave(second, 54)
    assert (await counters.enter(ask(who, limits, START))).tokens_left == 1
    december = Ask(who, limits, "d", START, "2026-12", used=7)
    assert (await counters.enter(december)).tokens_left == 93


async def test_failed_keys_of_an_address(counters):
    """As many failures as may are let through in any minute; then the address waits until the oldest is a minute old."""
    address = f"2001:db8::{secrets.token_hex(2)}"
    assert [await counters.fail(address, 3, START + k) for k in range(3)] == [0, 0, 0]
    assert await counters.fail(address, 3, START + 10) == MINUTE - 10
    assert await counters.fail("192.0.2.1" + address, 3, START) == 0
    assert await counters.fail(address, 3, START + MINUTE) == 0


class Model:
    """The limits told in the plainest way: every request that passed, and every one that has not left."""

    def __init__(self, limits):
        self.limits, self.passed, self.inside, self.tokens = limits, [], {}, 0

    def enter(self, asked):
        recent = [at for at in self.passed if at > asked.now - MINUTE]
        self.inside = {t: at for t, at in self.inside.items() if at + LEASE > asked.now}
        if self.limits.per_minute and len(recent) >= self.limits.per_minute:
            return Limit.MINUTE
        if self.limits.concurrent and len(self.inside) >= self.limits.concurrent:
            return Limit.CONCURRENT
        if self.limits.tokens_per_month and self.tokens >= self.limits.tokens_per_month:
            return Limit.TOKENS
        self.passed.append(asked.now)
        self.inside[asked.ticket] = asked.now
        self.tokens += asked.reserve
        return None

    def leave(self, asked, tokens):
        if self.inside.pop(asked.ticket, None) is not None:
            self.tokens += tokens - asked.reserve


LIMITS = st.builds(Limits, st.integers(0, 4), st.integers(0, 3), st.sampled_from([0, 50]))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(0, 20)), st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("wait"), st.sampled_from([1, 1_000_000, 20_000_000, MINUTE - 1, MINUTE, LEASE])),
    ), max_size=40,
)  # fmt: skip


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limits=LIMITS, steps=STEPS)
async def test_any_sequence_is_as_the_model_says(counters, limits, steps):
    """Whatever comes, leaves and waits in whatever order: exactly those pass that should."""
    who, model, now, waiting = someone(), Model(limits), START, deque()
    for kind, value in steps:
        if kind == "wait":
            now += value
        elif kind == "enter":
            asked = ask(who, limits, now, reserve=value if limits.tokens_per_month else 0)
            expected = model.enter(asked)
            assert (await counters.enter(asked)).refused is expected
            if expected is None:
                waiting.append(asked)
        elif waiting:
            asked = waiting.popleft()
            used = value if limits.tokens_per_month else 0
            model.inside = {t: at for t, at in model.inside.items() if at + LEASE > now}
            if asked.ticket in model.inside:  # what outlived its lease may be gone or not until somebody looks
                model.leave(asked, used)
                await counters.leave(asked, used)


async def test_memory_is_bounded():
    """Who has not been seen for a minute is forgotten when there are too many; who is inside is not."""
    counters = MemoryCounters(remembered=100)
    held = ask("held", Limits(concurrent=1), START)
    await counters.enter(held)
    for k in range(1000):
        one = ask(f"key_{k}", Limits(per_minute=5), START + k * MINUTE)
        await counters.enter(one)
        await counters.leave(one, 0)
    assert len(counters._known) < 200
    assert "held" in counters._known


async def test_lost_counters():
    """While shared counters are lost each process counts for itself, or refuses: as the operator says, and quotas apart."""
    told = []
    gone = ValkeyCounters(f"valkey://127.0.0.1:{free_port()}/0")
    open_ = CarefulCounters(gone, limits_closed=False, quotas_closed=True, tell=told.append)
    found = [await open_.enter(ask("a", Limits(per_minute=2), START + k)) for k in range(3)]
    assert [s.refused for s in found] == [None, None, Limit.MINUTE]
    assert told == [True]
    with pytest.raises(CountersError):
        await open_.enter(ask("a", Limits(tokens_per_month=5), START))
    assert [await open_.fail("192.0.2.7", 1, START + k) > 0 for k in range(2)] == [False, True]
    closed = CarefulCounters(gone, limits_closed=True, quotas_closed=True, tell=told.append)
    with pytest.raises(CountersError):
        await closed.enter(ask("a", Limits(per_minute=2), START))
    await gone.close()


async def test_counters_that_are_back(valkey):
    """They are asked again a second later, and the operator is told once that they are back; all leave where they came in."""
    told = []

    class Sometimes(MemoryCounters):
        there = False

        async def enter(self, asked):
            if not self.there:
                raise CountersError
            return await real.enter(asked)

    real = ValkeyCounters(valkey.url, own_time=False)
    shared, who = Sometimes(), someone()
    careful = CarefulCounters(shared, limits_closed=False, quotas_closed=True, tell=told.append)
    first = ask(who, Limits(concurrent=1), START)
    await careful.enter(first)
    shared.there = True
    assert (await careful.enter(ask(who, Limits(concurrent=1), START + 999_999))).refused is Limit.CONCURRENT
    assert (await careful.enter(ask(who, Limits(concurrent=1), START + 1_000_000))).refused is None
    await careful.leave(first, 0)
    assert told == [True, False]
    await real.close()


@pytest.mark.parametrize("url", ["http://x", "127.0.0.1:6379", "valkey://x:port/0"])
def test_an_address_that_is_none(url):
    """It is refused when the server starts, with the name of the setting."""
    with pytest.raises(SettingsError, match="KAIKO_VALKEY_URL"):
        ValkeyCounters(url)
