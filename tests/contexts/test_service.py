"""Contexts on a real database of each kind, with the real model and a clock that is set by hand."""

import asyncio
from datetime import timedelta

import pytest

from kaiko_server.analysis.schemas import AnalysisRequest
from kaiko_server.contexts import service
from kaiko_server.contexts.schemas import points_asked
from kaiko_server.contexts.service import Lives, Place
from kaiko_server.engine.batcher import Batcher
from kaiko_server.engine.onnx import OnnxSession
from kaiko_server.errors import ApiError, Code
from kaiko_server.projects.service import Retention, ensure_project, set_retention
from kaiko_server.settings import Settings

pytestmark = pytest.mark.anyio
LIVES = Lives(timedelta(hours=24), timedelta(days=90), strict=False)


@pytest.fixture(scope="module")
async def model(anyio_backend):  # noqa: ARG001 - makes this an anyio fixture
    """The shipped model."""
    batcher = Batcher(OnnxSession.load(threads=1), queue_texts=2000, batch_tokens=512)
    batcher.start()
    yield batcher
    await batcher.close()


class Talk:
    """One context, spoken to."""

    def __init__(self, db, model, clock, place):
        self.db, self.model, self.clock, self.place = db, model, clock, place

    async def say(self, *messages):
        asked = AnalysisRequest.model_validate({"model": "emotion-v2", "messages": list(messages)}, context={"now": self.clock()})
        found = await service.analyse(self.db, self.model, self.place, asked, now=self.clock(), lives=LIVES)
        return found.reply

    async def state(self):
        return await service.state_of(self.db, self.place, self.clock(), LIVES)

    async def message(self, name):
        return await service.message_of(self.db, self.place, name.encode(), self.clock(), LIVES)

    async def export(self, **page):
        return await service.export(self.db, self.place, self.clock(), LIVES, **({"after": 0, "limit": 1000} | page))


@pytest.fixture
async def talk(db, model, clock):
    project = await ensure_project(db, "default", clock)
    return Talk(db, model, clock, Place(project.id, "live", "käthe/1".encode()))


def text(value, **more):
    return {"content": value} | more


async def refusal(work):
    with pytest.raises(ApiError) as caught:
        await work
    return caught.value


async def test_memory_of_a_conversation(talk):
    """Messages are counted, the latest of each role is the state, and no text is in it."""
    first = await talk.say(text("I got the job! I can't stop smiling."), text("Congratulations!", role="assistant"))
    assert (first["context_id"], first["context_message_count"], first["metadata"]) == ("käthe/1", 2, {"context_id": "käthe/1"})
    second = await talk.say(text("Now I'm terrified of the first day."))
    assert second["context_message_count"] == 3
    state = await talk.state()
    assert (state["object"], state["context_message_count"]) == ("emotions.state", 3)
    assert state["emotions"]["user"]["category"] == "fear"
    assert state["emotions"]["assistant"]["category"] == "joy"
    assert not {"text", "coverage"} & {key for item in state["emotions"].values() for key in item}
    assert state["conversationMode"] == second["conversationMode"]


async def test_late_messages_go_where_they_belong(talk, clock):
    """A message that was said before the newest does not become the state, whatever the order of arrival."""
    now = clock()
    early, late = ((now - timedelta(minutes=m)).isoformat() for m in (50, 10))
    await talk.say(text("I'm so happy today!", timestamp=late))
    await talk.say(text("I'm furious with him.", timestamp=early))
    assert (await talk.state())["emotions"]["user"]["category"] == "joy"
    await talk.say(text("I miss her so much.", timestamp=now.isoformat()), text("ok", timestamp=early))
    assert (await talk.state())["emotions"]["user"]["category"] == "sadness"
    assert (await talk.state())["context_message_count"] == 4


async def test_the_same_message_again(talk):
    """Sent again, a message is told as it was first read and not counted; other content under its id is refused whole."""
    first = await talk.say(text("I got the job!", externalId="m1"))
    again = await talk.say(text("I got the job!", externalId="m1"))
    assert again["emotions"] == first["emotions"]
    assert again["context_message_count"] == 1
    error = await refusal(talk.say(text("something new"), text("I lost the job!", externalId="m1")))
    assert (error.code, error.param) == (Code.DUPLICATE_ID, "messages[1].externalId")
    assert (await refusal(talk.say(text("I got the job!", externalId="m1", role="assistant")))).code is Code.DUPLICATE_ID
    assert (await talk.state())["context_message_count"] == 1
    both = await talk.say(text("twice", externalId="m2"), text("twice", externalId="m2"))
    assert both["context_message_count"] == 2
    assert (await refusal(talk.say(text("a", externalId="m3"), text("b", externalId="m3")))).code is Code.DUPLICATE_ID


async def test_one_message(talk):
    """A message is found under its id, with the emotions of its role alone."""
    said = await talk.say(text("Thank you so much!", externalId="a/ö"), text("You're welcome.", role="assistant", externalId="b"))
    found = await talk.message("a/ö")
    assert found["metadata"] == {"context_id": "käthe/1", "message_id": "a/ö"}
    assert set(found["emotions"]) == {"user"}
    state = await talk.state()
    assert {name: found[name] for name in ("conversationMode", "trajectory", "patterns")} == {
        name: state[name] for name in ("conversationMode", "trajectory", "patterns")
    }
    assert found["emotions"]["user"]["valence"] == said["emotions"]["user"]["valence"]
    assert (await refusal(talk.message("c"))).code is Code.MESSAGE_NOT_FOUND


async def test_hostility_goes_on_over_requests(talk, clock):
    """Counts of hostile messages go on from request to request, and a calm message ends them."""
    counts = []
    for value in ("You are a worthless idiot.", "You're pathetic, you disgust me.", "The meeting is at 3 pm in room 204."):
        clock.move(60)
        counts.append((await talk.say(text(value)))["emotions"]["user"]["hostilityState"])
    assert [c["escalationCount"] for c in counts] == [1, 2, 0]
    assert counts[2]["deEscalationDetected"]
    assert counts[2]["recommendedResponse"] == "normal"
    assert counts[1]["lastEscalation"] == "2026-06-01T12:02:00Z"


async def test_a_crisis_stays_in_the_state(talk):
    """A message of danger is still what the conversation is about when "ok thanks" follows it."""
    await talk.say(text("I don't want to be alive anymore."))
    reply = await talk.say(text("ok thanks"))
    assert reply["conversationMode"]["crisisDetected"]
    assert "safety" not in reply["emotions"]["user"]


async def test_expiry(talk, clock):
    """From 24 hours after the last message on nothing is there, before anything was swept; then it begins anew."""
    await talk.say(text("hello", externalId="m1"))
    clock.move(23 * 3600)
    await talk.say(text("still here"))
    clock.move(24 * 3600 - 1)
    assert (await talk.state())["context_message_count"] == 2
    clock.move(1)
    for work in (talk.state(), talk.message("m1")):
        assert (await refusal(work)).code is Code.CONTEXT_NOT_FOUND
    held = await talk.export()
    assert (held["emotions"], held["messages"], held["conversation"], len(held["points"])) == ({}, [], [], 2)
    fresh = await talk.say(text("other words", externalId="m1"))
    assert fresh["context_message_count"] == 1
    assert len((await talk.export())["messages"]) == 1


async def rows(db, table):
    found = await db.read(lambda connection: connection.fetch(f"SELECT * FROM {table}"))
    return [dict(row) for row in found]


async def test_the_sweeper_removes_what_has_expired(talk, clock, db):
    """A state that has expired leaves no reading and no key of its digests; its points stay until they expire too."""
    await talk.say(text("hello", externalId="m1"))
    clock.move(12 * 3600)
    other = Talk(db, talk.model, clock, Place(talk.place.project_id, "live", b"other"))
    await other.say(text("hello", externalId="m1"))
    clock.move(12 * 3600)
    assert await service.sweep(db, clock, Settings()) == 1
    swept, alive = sorted(await rows(db, "contexts"), key=lambda row: row["name"])
    assert (swept["state"], swept["message_count"], bytes(swept["digest_key"])) == ("{}", 0, bytes(32))
    assert alive["message_count"] == 1
    assert len(await rows(db, "context_messages")) == 1
    assert len(await rows(db, "points")) == 2
    assert await service.sweep(db, clock, Settings()) == 0
    clock.move(90 * 24 * 3600)
    assert await service.sweep(db, clock, Settings()) == 2
    assert [await rows(db, table) for table in ("contexts", "context_messages", "points", "tallies")] == [[]] * 4


async def test_a_swept_state_stays_dead(talk, clock, db):
    """Whatever the clocks of two servers say, a message after a sweep begins a new state, with a digest key of its own."""
    await talk.say(text("hello", externalId="m1"))
    clock.move(24 * 3600)
    await service.sweep(db, clock, Settings())
    clock.move(-60)
    assert (await refusal(talk.state())).code is Code.CONTEXT_NOT_FOUND
    assert (await talk.say(text("hello", externalId="m2")))["context_message_count"] == 1
    (row,) = await rows(db, "contexts")
    assert bytes(row["digest_key"]) != bytes(32)
    longer = Lives(timedelta(days=3650), LIVES.points, strict=False)
    clock.move(48 * 3600)
    await service.sweep(db, clock, Settings())
    with pytest.raises(ApiError):
        await service.state_of(db, talk.place, clock(), longer)


async def test_messages_of_a_state_that_died_wait_for_the_sweeper(talk, clock, db):
    """They count no more at once, their ids are free, and the next sweep takes them; a new one under an old id is not taken."""
    await talk.say(*(text(f"number {n}", externalId=f"m{n}") for n in range(5)))
    clock.move(24 * 3600)
    fresh = await talk.say(text("other words", externalId="m1"))
    assert fresh["context_message_count"] == 1
    assert [m["externalId"] for m in (await talk.export())["messages"]] == ["m1"]
    assert (await refusal(talk.message("m2"))).code is Code.MESSAGE_NOT_FOUND
    await service.sweep(db, clock, Settings())
    assert [bytes(row["external_id"]) for row in await rows(db, "context_messages")] == [b"m1"]
    assert (await talk.say(text("other words", externalId="m1")))["context_message_count"] == 1


async def test_points_expire_while_a_strict_conversation_lives(talk, clock, db):
    """Strict or not, points leave the disk when their time is over, however often somebody speaks."""
    strict = Lives(LIVES.state, timedelta(days=7), strict=True)
    for _ in range(20):
        asked = AnalysisRequest.model_validate({"model": "emotion-v2", "messages": [text("hello")]}, context={"now": clock()})
        await service.analyse(db, talk.model, talk.place, asked, now=clock(), lives=strict)
        await service.sweep(db, clock, Settings(context_strict=True, context_points_days=7))
        clock.move(23 * 3600)
    assert 6 <= len(await rows(db, "points")) <= 8


async def test_one_that_cannot_be_swept_keeps_no_other(talk, clock, db):
    """A context whose row is damaged is told, and put off; the others are swept all the same."""
    other = Talk(db, talk.model, clock, Place(talk.place.project_id, "live", b"other"))
    for each in (talk, other):
        await each.say(text("hello", externalId="m1"))
    await db.write(lambda c: c.execute("UPDATE contexts SET ledger = 'x' WHERE name = $1", talk.place.name))
    clock.move(24 * 3600)
    with pytest.raises(service.SweepError, match="1 contexts"):
        await service.sweep(db, clock, Settings())
    assert len(await rows(db, "context_messages")) == 1
    assert await service.sweep(db, clock, Settings()) == 0


async def test_hostility_that_comes_late(talk, clock):
    """Two hostile messages tell the same state in whichever order they arrive."""
    now = clock()
    first, second = (
        {"content": "You are a pathetic idiot and I despise you.", "timestamp": (now - timedelta(minutes=m)).isoformat()} for m in (9, 2)
    )
    await talk.say(second)
    assert (await talk.state())["emotions"]["user"]["hostilityState"]["escalationCount"] == 1
    await talk.say(first)
    assert (await talk.state())["emotions"]["user"]["hostilityState"]["escalationCount"] == 2


async def test_a_project_that_is_gone(talk, clock, db):
    """A request that was let in before its project was deleted is told that its key is none."""
    gone = Talk(db, talk.model, clock, Place("proj_gone", "live", b"x"))
    assert (await refusal(gone.say(text("hello")))).code is Code.INVALID_API_KEY


async def test_sums_of_the_bucket_that_from_lies_in(talk, clock):
    """A bucket is given whole; of a day that has partly expired what is left is."""
    clock.move(45 * 60)
    await talk.say(text("hello"))
    asked = points_asked({"from": (clock() - timedelta(minutes=5)).isoformat(), "bucket": "day"})
    found = await service.points_of(talk.db, talk.place, clock(), LIVES, asked)
    assert [(b["start"], b["dataPointCount"]) for b in found["buckets"]] == [("2026-06-01T00:00:00Z", 1)]
    clock.move(11 * 3600)
    await talk.say(text("goodbye"))
    clock.move(80 * 86_400)
    short = Lives(LIVES.state, timedelta(days=80, hours=2), strict=False)
    found = await service.points_of(talk.db, talk.place, clock(), short, points_asked({"bucket": "day"}))
    assert [(b["start"], b["dataPointCount"]) for b in found["buckets"]] == [("2026-06-01T00:00:00Z", 1)]


async def test_strictly_nothing_outlives_the_state(talk, clock, db):
    """In strict mode points die with the state, for readers at once and on the disk with the next sweep or message."""
    strict = Lives(LIVES.state, LIVES.points, strict=True)
    for ends in ("message", "sweep"):
        await talk.say(text("hello"))
        clock.move(24 * 3600)
        with pytest.raises(ApiError):
            await service.points_of(db, talk.place, clock(), strict, points_asked({}))
        if ends == "sweep":
            await service.sweep(db, clock, Settings(context_strict=True))
            assert await rows(db, "points") == await rows(db, "contexts") == []
        else:
            asked = AnalysisRequest.model_validate({"model": "emotion-v2", "messages": [text("again")]}, context={"now": clock()})
            reply = (await service.analyse(db, talk.model, talk.place, asked, now=clock(), lives=strict)).reply
            assert reply["trajectory"]["baseline"]["dataPointCount"] == 0
            assert reply["context_message_count"] == 1
            assert len((await service.points_of(db, talk.place, clock(), strict, points_asked({})))["points"]) == 1
            await service.sweep(db, clock, Settings(context_strict=True))
            assert len(await rows(db, "points")) == len(await rows(db, "contexts")) == 1


async def test_a_project_may_remember_for_another_time(talk, clock, db):
    """What a project says of its retention holds for it alone, on what is there already too, for readers and on the disk."""
    other = await ensure_project(db, "forgetful", clock)
    talks = [talk, Talk(db, talk.model, clock, Place(other.id, "live", b"x"))]
    for each in talks:
        await each.say(text("hello", externalId="m1"))
    short = Retention(timedelta(hours=1), timedelta(days=1), None)
    await set_retention(db, other.id, short, clock())
    await service.look_again(db, other.id)
    lives = Lives.of(Settings(), short)
    assert (lives.state, lives.points, lives.strict) == (timedelta(hours=1), timedelta(days=1), False)
    clock.move(3600)
    with pytest.raises(ApiError):
        await service.state_of(db, talks[1].place, clock(), lives)
    assert await service.sweep(db, clock, Settings()) == 1
    assert len(await rows(db, "context_messages")) == 1
    clock.move(25 * 3600)
    await service.sweep(db, clock, Settings())
    assert len(await rows(db, "points")) == 1
    for time in (timedelta(seconds=5), timedelta(days=800_000)):
        with pytest.raises(ValueError, match="a minute"):
            await set_retention(db, other.id, Retention(time), clock())


async def test_the_end_of_a_project(talk, clock, db):
    """All of a project's contexts go with it, and nobody else's."""
    other = await ensure_project(db, "ends", clock)
    for n in range(3):
        await Talk(db, talk.model, clock, Place(other.id, "live", b"%d" % n)).say(text("hello", externalId="m1"))
    await talk.say(text("hello"))
    assert await service.delete_all(db, other.id) == 3
    assert [row["project_id"] for row in await rows(db, "contexts")] == [talk.place.project_id]
    assert await service.delete_all(db, other.id) == 0


async def test_the_arc_outlives_the_state(talk, clock, db):
    """Two days later the count begins anew, and the baseline still knows the points of before."""
    for value in ("I'm so happy today!", "I miss her so much.", "I'm furious with him."):
        await talk.say(text(value))
        clock.move(60)
    clock.move(48 * 3600)
    reply = await talk.say(text("I got the job!"), text("Well done!", role="assistant"))
    assert reply["context_message_count"] == 2
    assert reply["trajectory"]["baseline"]["dataPointCount"] == 3
    assert (await talk.state())["trajectory"] == reply["trajectory"]
    told = await service.points_of(db, talk.place, clock(), LIVES, points_asked({}))
    assert [p["category"] for p in told["points"][:3]] == ["joy", "sadness", "anger"]
    assert [p["role"] for p in told["points"]] == ["user"] * 4 + ["assistant"]


async def test_erasing(talk, db, clock):
    """After DELETE nothing of the context is in any table; erasing again, or what never was, is harmless."""
    await talk.say(text("hello", externalId="m1"), text("there", role="assistant"))
    for _ in range(2):
        await service.delete(db, talk.place, clock())
        assert (await refusal(talk.state())).code is Code.CONTEXT_NOT_FOUND
        assert [await rows(db, table) for table in ("contexts", "context_messages", "points", "tallies")] == [[]] * 4
    assert (await talk.say(text("again", externalId="m1")))["context_message_count"] == 1


async def test_contexts_of_others_are_others(talk, db, clock):
    """The same id under another project or environment is another context, on every way in."""
    elsewhere = await ensure_project(db, "elsewhere", clock)
    places = [talk.place, Place(talk.place.project_id, "test", talk.place.name), Place(elsewhere.id, "live", talk.place.name)]
    talks = [Talk(db, talk.model, clock, place) for place in places]
    await talks[0].say(text("hello", externalId="m1"))
    for other in talks[1:]:
        for work in (other.state(), other.message("m1"), other.export()):
            assert (await refusal(work)).code is Code.CONTEXT_NOT_FOUND
        assert (await other.say(text("other words", externalId="m1")))["context_message_count"] == 1
        await service.delete(db, other.place, clock())
    assert (await talks[0].state())["context_message_count"] == 1


async def test_export_holds_all(talk):
    """The export pages through every kept reading, in the order of arrival, and says until when it is kept."""
    for start in range(0, 30, 10):
        await talk.say(*(text(f"message number {n}", externalId=f"m{n}") for n in range(start, start + 10)))
    await talk.say(text("message number 30"))
    seen, points, vectors, after = [], [], [], 0
    while True:
        page = await talk.export(after=after, limit=7)
        seen += [m["externalId"] for m in page["messages"]]
        points += [p["pointId"] for p in page["points"]]
        vectors += [p["emotionalVector"] for p in page["points"]]
        if "next" not in page:
            break
        after = page["next"]
    assert seen == [f"m{n}" for n in range(30)]
    assert points == [f"p{n}" for n in range(1, 32)]
    assert {len(vector) for vector in vectors} == {9}
    assert (page["expires_at"], page["points_expire_at"]) == ("2026-06-02T12:00:00Z", "2026-08-30T12:00:00Z")
    assert "message number" not in str(page)


async def test_no_word_of_a_text_is_kept(talk, db):
    """No column of any table holds a text, a piece or an unkeyed digest of one."""
    canary = "zanzibar quokka marmalade"
    await talk.say(text(canary, externalId="m1"), text(canary, role="assistant"))
    everything = str([await rows(db, table) for table in ("contexts", "context_messages", "points", "tallies", "projects", "keys")])
    assert not any(word in everything for word in canary.split())


async def test_a_digest_means_nothing_without_its_context(talk, db, clock):
    """The same message under the same id has another digest in another context, and in the same context once its state has died."""
    other = Talk(db, talk.model, clock, Place(talk.place.project_id, "live", b"other"))
    digests = []
    for each, wait in ((talk, 0), (other, 24 * 3600), (talk, 0)):
        await each.say(text("hello", externalId="m1"))
        digests += [bytes(row["digest"]) for row in await rows(db, "context_messages")]
        clock.move(wait)
    assert len(set(digests)) == 3  # of the first, of the second beside it, and of the third, which has taken the first one's place


async def test_many_at_once_lose_nothing(talk):
    """Eight clients writing to one context: every message is counted once, every number given once."""

    async def client(k):
        for n in range(10):
            await talk.say(text("I'm so proud of you.", externalId=f"{k}-{n}"))

    await asyncio.gather(*(client(k) for k in range(8)))
    exported = await talk.export()
    assert exported["context_message_count"] == 80
    assert len({m["externalId"] for m in exported["messages"]}) == 80


async def test_the_same_message_at_once(talk):
    """One message sent ten times at the same moment is one message."""
    replies = await asyncio.gather(*(talk.say(text("I'm so proud of you.", externalId="m")) for _ in range(10)))
    assert {r["context_message_count"] for r in replies} == {1}
    assert len((await talk.export())["messages"]) == 1
