import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from kaiko_server.engine.batcher import Batcher, Session
from kaiko_server.engine.model import ModelOverloadedError, ModelUnavailableError
from tests.engine.sessions import FakeSession, GatedSession, RaisingSession, UnreadableSession

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def running(session: Session, *, queue_texts: int = 1000, batch_tokens: int = 160) -> AsyncIterator[Batcher]:
    """Ten short texts fit a batch, each counted as padded to 16 tokens."""
    batcher = Batcher(session, queue_texts=queue_texts, batch_tokens=batch_tokens)
    batcher.start()
    try:
        yield batcher
    finally:
        if isinstance(session, GatedSession):
            session.gate.set()
        await batcher.close()


async def occupied(batcher: Batcher, session: GatedSession) -> "asyncio.Task[object]":
    """Have the thread busy with a text of its own, so that what follows must wait."""
    first = asyncio.create_task(batcher.predict(["first"]))
    await asyncio.to_thread(session.started.wait)
    return first


async def submitted(*calls: "asyncio.Task[object]") -> None:
    """Let each task run up to where it waits for the model."""
    for _ in calls:
        await asyncio.sleep(0)


async def test_answers_in_order() -> None:
    """Each text of a call gets its own reading, in the order of the call, over several batches."""
    session = FakeSession()
    async with running(session) as batcher:
        scores = await batcher.predict([f"text {i}" for i in range(35)])
    assert len(scores) == 35
    assert session.ran == [f"text {i}" for i in range(35)]
    assert max(map(len, session.batches)) == 10


async def test_nothing_to_read() -> None:
    """A call without texts is answered without a batch."""
    session = FakeSession()
    async with running(session) as batcher:
        assert await batcher.predict([]) == []
    assert session.batches == []


async def test_waiting_calls_share_a_batch() -> None:
    """What arrived while the thread was busy runs together, as soon as it is free."""
    session = GatedSession()
    async with running(session) as batcher:
        first = await occupied(batcher, session)
        others = [asyncio.create_task(batcher.predict([f"text {i}"])) for i in range(6)]
        await submitted(*others)
        session.gate.set()
        await asyncio.gather(first, *others)
    assert session.batches == [["first"], [f"text {i}" for i in range(6)]]


async def test_large_call_does_not_starve_small_ones() -> None:
    """A call of a hundred texts that came first lets a single text into the very next batch."""
    session = GatedSession()
    async with running(session) as batcher:
        first = await occupied(batcher, session)
        large = asyncio.create_task(batcher.predict([f"large {i}" for i in range(100)]))
        small = [asyncio.create_task(batcher.predict([f"small {i}"])) for i in range(3)]
        await submitted(large, *small)
        session.gate.set()
        await asyncio.gather(first, large, *small)
    assert {"small 0", "small 1", "small 2"} <= set(session.batches[1])


async def test_a_call_by_itself_shares_no_batch() -> None:
    """Its rows are batched as if nobody else were there, whatever waits before and after it; the others wait a batch, not for all."""
    session = GatedSession()
    async with running(session) as batcher:
        first = await occupied(batcher, session)
        before = asyncio.create_task(batcher.predict(["before"]))
        alone = asyncio.create_task(batcher.by_itself().predict([f"alone {i}" for i in range(20)]))
        after = asyncio.create_task(batcher.predict(["after"]))
        await submitted(before, alone, after)
        session.gate.set()
        await asyncio.gather(first, before, alone, after)
    own = [batch for batch in session.batches if batch[0].startswith("alone")]
    assert [text for batch in own for text in batch] == [f"alone {i}" for i in range(20)]
    assert len({len(batch) for batch in own[:-1]}) == 1
    assert len(own) > 1
    assert session.batches.index(["after"]) < session.batches.index(own[-1])


async def test_full_queue_refuses_at_the_door() -> None:
    """A call for which there is no room is refused at once and whole; those inside are answered."""
    session = GatedSession()
    async with running(session, queue_texts=5) as batcher:
        first = await occupied(batcher, session)
        second = asyncio.create_task(batcher.predict(["a", "b", "c"]))
        await submitted(second)
        assert batcher.waiting == 4
        with pytest.raises(ModelOverloadedError):
            await batcher.predict(["d", "e"])
        third = asyncio.create_task(batcher.predict(["d"]))
        await submitted(third)
        session.gate.set()
        await asyncio.gather(first, second, third)
        assert batcher.waiting == 0
        assert len(await batcher.predict(["f"] * 5)) == 5
    assert "e" not in session.ran


async def test_a_request_that_was_let_in_reads_on_in_a_full_queue() -> None:
    """What a crisis or `explain` reads further is not refused where a new request is: its first readings would be lost."""
    session = GatedSession()
    async with running(session, queue_texts=1) as batcher:
        first = await occupied(batcher, session)
        with pytest.raises(ModelOverloadedError):
            await batcher.predict(["new"])
        more = asyncio.create_task(batcher.again(["a", "b"]))
        await submitted(more)
        session.gate.set()
        assert len(await more) == 2
        await first
    assert {"a", "b"} <= set(session.ran)


async def test_cancelled_call_is_dropped() -> None:
    """What a caller who has gone still had waiting never runs, and its room is free at once."""
    session = GatedSession()
    async with running(session, queue_texts=51) as batcher:
        first = await occupied(batcher, session)
        gone = asyncio.create_task(batcher.predict([f"gone {i}" for i in range(50)]))
        await submitted(gone)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        assert batcher.waiting == 1
        stays = asyncio.create_task(batcher.predict(["stays"]))
        await submitted(stays)
        session.gate.set()
        await asyncio.gather(first, stays)
    assert session.ran == ["first", "stays"]


async def test_caller_gone_while_its_batch_runs() -> None:
    """A caller who goes while its batch runs takes nothing from the others in it."""
    session = GatedSession()
    async with running(session) as batcher:
        first = await occupied(batcher, session)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        session.gate.set()
        assert len(await batcher.predict(["next"])) == 1


async def test_failed_batch_fails_its_members_alone() -> None:
    """An error of the session is told to every member of that batch; the next batch is answered."""
    session = RaisingSession(MemoryError("secret text"))
    async with running(session) as batcher:
        first = await occupied(batcher, session)
        members = [asyncio.create_task(batcher.predict([text])) for text in ("poison", "bystander")]
        await submitted(*members)
        session.gate.set()
        await first
        failures = await asyncio.gather(*members, return_exceptions=True)
        assert [type(f) for f in failures] == [ModelUnavailableError] * 2
        assert str(failures[0]) == "a batch failed: MemoryError"
        assert batcher.ready
        assert len(await batcher.predict(["after"])) == 1


async def test_failed_call_does_not_run_on() -> None:
    """When one batch of a call fails, its remaining texts are not run for nothing."""
    session = RaisingSession(ValueError())
    session.gate.set()
    async with running(session) as batcher:
        with pytest.raises(ModelUnavailableError):
            await batcher.predict(["poison", *(f"text {i}" for i in range(99))])
        await batcher.predict(["after"])
    assert len(session.ran) == 11


async def test_untokenizable_text_fails_its_own_call() -> None:
    """A text that the tokenizer chokes on fails the call it came with, nobody else's."""
    async with running(UnreadableSession()) as batcher:
        outcomes = await asyncio.gather(*(batcher.predict([text]) for text in ("a", "poison", "b")), return_exceptions=True)
        assert [isinstance(o, ModelUnavailableError) for o in outcomes] == [False, True, False]
        assert batcher.ready


async def test_dead_thread_fails_all_and_hangs_nobody() -> None:
    """When the thread dies, who was running or waiting is failed, readiness says so, and later calls fail at once."""
    session = RaisingSession(SystemExit())
    async with running(session) as batcher:
        first = await occupied(batcher, session)
        running_then = asyncio.create_task(batcher.predict(["poison", *"abcdefghij"]))
        waiting = asyncio.create_task(batcher.predict(["k"] * 40))
        await submitted(running_then, waiting)
        session.gate.set()
        await first
        outcomes = await asyncio.gather(running_then, waiting, return_exceptions=True)
        assert [str(o) for o in outcomes] == ["the model's thread has ended: SystemExit"] * 2
        assert not batcher.ready
        assert batcher.waiting == 0
        with pytest.raises(ModelUnavailableError):
            await batcher.predict(["later"])


async def test_close_fails_what_waits() -> None:
    """Closing lets the running batch end, fails what waits, and can be done twice."""
    session = GatedSession()
    async with running(session) as batcher:
        first = await occupied(batcher, session)
        waiting = asyncio.create_task(batcher.predict([f"text {i}" for i in range(30)]))
        await submitted(waiting)
        closing = asyncio.create_task(batcher.close())
        await submitted(closing)
        assert not batcher.ready
        session.gate.set()
        await closing
        assert len(await first) == 1
        with pytest.raises(ModelUnavailableError):
            await waiting


async def test_not_started() -> None:
    """A batcher that was never started is not ready, refuses, and closes without a fuss."""
    batcher = Batcher(FakeSession(), queue_texts=10, batch_tokens=160)
    assert not batcher.ready
    with pytest.raises(ModelUnavailableError):
        await batcher.predict(["text"])
    await batcher.close()


async def test_timing_adds_up() -> None:
    """Queue time and inference time are told for each call, neither below 0."""
    async with running(FakeSession()) as batcher:
        scores, timing = await batcher.predict_timed(["a", "b"])
    assert len(scores) == 2
    assert timing.queue_s >= 0
    assert timing.inference_s > 0


async def test_two_threads_run_at_once() -> None:
    """With two threads a second batch begins while the first is held up, and everybody gets their own reading."""
    session = GatedSession()
    batcher = Batcher(session, queue_texts=1000, batch_tokens=160, threads=2)
    batcher.start()
    first = await occupied(batcher, session)
    session.started.clear()
    second = asyncio.create_task(batcher.predict(["second"]))
    await asyncio.to_thread(session.started.wait)
    assert session.ran == ["first", "second"]
    session.gate.set()
    assert [len(await first), len(await second)] == [1, 1]
    await batcher.close()


async def test_many_calls_over_several_threads() -> None:
    """A hundred calls of several texts each, spread over four threads: every text is run once, every call answered."""
    session = FakeSession()
    batcher = Batcher(session, queue_texts=1000, batch_tokens=32, threads=4)
    batcher.start()
    answers = await asyncio.gather(*(batcher.predict([f"{n} {k}" for k in range(7)]) for n in range(100)))
    await batcher.close()
    assert [len(scores) for scores in answers] == [7] * 100
    assert sorted(session.ran) == sorted(f"{n} {k}" for n in range(100) for k in range(7))
    assert batcher.waiting == 0


async def test_one_dead_thread_ends_the_others() -> None:
    """Half dead is told to be dead: when one of two threads ends, nobody waits for ever and readiness says so."""
    session = RaisingSession(SystemExit())
    batcher = Batcher(session, queue_texts=1000, batch_tokens=160, threads=2)
    batcher.start()
    session.gate.set()
    with pytest.raises(ModelUnavailableError):
        await batcher.predict(["poison"])
    assert not batcher.ready
    with pytest.raises(ModelUnavailableError):
        await batcher.predict(["later"])
    await batcher.close()


async def test_closing_lets_every_running_batch_end() -> None:
    """Closing with two batches under way: both are answered, though one thread has nothing more to do."""
    session = GatedSession()
    batcher = Batcher(session, queue_texts=1000, batch_tokens=16, threads=3)
    batcher.start()
    first = await occupied(batcher, session)
    session.started.clear()
    second = asyncio.create_task(batcher.predict(["second"]))
    await asyncio.to_thread(session.started.wait)
    closing = asyncio.create_task(batcher.close())
    await asyncio.sleep(0)
    session.gate.set()
    assert [len(await first), len(await second)] == [1, 1]
    await closing
