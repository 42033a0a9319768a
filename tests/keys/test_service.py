"""The promises of API keys, on a real database."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from kaiko_server.errors import ApiError, Code
from kaiko_server.keys import service
from kaiko_server.keys.format import is_well_formed, make_key
from kaiko_server.keys.service import (
    Caller,
    CreatedKey,
    KeyNotFoundError,
    KeyRecord,
    RotationError,
    Terms,
    Verifier,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)
from kaiko_server.settings import Settings
from kaiko_server.store.counters import Limits
from kaiko_server.store.db import Connection, Database
from kaiko_server.store.sqlite import SqliteDatabase
from tests.conftest import Clock

pytestmark = pytest.mark.anyio


class CountingDatabase:
    """The real database, with its reads counted."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.reads = 0

    async def read(self, fn: Callable[[Connection], Awaitable[Any]]) -> Any:
        self.reads += 1
        return await self._db.read(fn)

    async def write(self, fn: Callable[[Connection], Awaitable[Any]]) -> Any:
        return await self._db.write(fn)

    async def close(self) -> None:
        await self._db.close()


@pytest.fixture
def counting(db: Database) -> CountingDatabase:
    return CountingDatabase(db)


@pytest.fixture
def verifier(counting: CountingDatabase, pepper: bytes, clock: Clock) -> Verifier:
    return Verifier(counting, pepper, clock)


@pytest.fixture
def make(db: Database, pepper: bytes, clock: Clock) -> Callable[..., Awaitable[CreatedKey]]:
    async def made(**given: Any) -> CreatedKey:
        terms = {field.name: given.pop(field.name) for field in fields(Terms) if field.name in given}
        wanted = {"project": "default", "environment": "live", "name": "app", "clock": clock} | given
        return await create_key(db, pepper, **wanted, terms=Terms(**terms))

    return made


async def _refusal(verifier: Verifier, presented: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        await verifier.verify(presented)
    return caught.value


async def test_life_of_a_key(db: Database, verifier: Verifier, make: Callable[..., Awaitable[CreatedKey]], clock: Clock) -> None:
    """A key is made, works, is listed without its secret, is revoked, and is refused from then on."""
    created = await make(name="app", environment="test")
    assert is_well_formed(created.key)
    assert created.key.startswith("kaiko_test_")
    assert await verifier.verify(created.key) == Caller(created.id, created.project_id, "test", "app")
    assert await list_keys(db) == [
        KeyRecord(
            id=created.id,
            project_id=created.project_id,
            project="default",
            environment="test",
            name="app",
            hint=created.key[-4:],
            created_at=clock.now,
            expires_at=None,
            revoked_at=None,
            last_used_at=None,
            scopes=("analysis", "contexts", "chat"),
            addresses=(),
            plan=None,
            per_minute=None,
            concurrent=None,
            tokens_per_month=None,
            successor=None,
        )
    ]
    clock.move(60)
    revoked = await revoke_key(db, created.id, clock)
    assert (revoked.revoked_at, revoked.status(clock.now)) == (clock.now, "revoked")
    assert (await _refusal(verifier, created.key)).code is Code.KEY_REVOKED


async def test_expired_key(verifier: Verifier, make: Callable[..., Awaitable[CreatedKey]], clock: Clock) -> None:
    """A key works until the microsecond it expires, also when it was found good a moment before."""
    created = await make(expires_at=clock.now + timedelta(seconds=10))
    clock.move(9.9)
    await verifier.verify(created.key)
    clock.move(0.099_999)
    await verifier.verify(created.key)
    clock.move(0.000_001)
    assert (await _refusal(verifier, created.key)).code is Code.KEY_EXPIRED
    assert created.status(clock.now) == "expired"


async def test_revoked_wins_over_expired(
    db: Database, verifier: Verifier, make: Callable[..., Awaitable[CreatedKey]], clock: Clock
) -> None:
    """A key that is both revoked and expired is said to be revoked."""
    created = await make(expires_at=clock.now + timedelta(seconds=10))
    await revoke_key(db, created.id, clock)
    clock.move(20)
    assert (await _refusal(verifier, created.key)).code is Code.KEY_REVOKED


async def test_revoking_again_keeps_the_first_time(db: Database, make: Callable[..., Awaitable[CreatedKey]], clock: Clock) -> None:
    """Revoking is idempotent; revoking what does not exist is told."""
    created = await make()
    first = await revoke_key(db, created.id, clock)
    clock.move(60)
    assert await revoke_key(db, created.id, clock) == first
    with pytest.raises(KeyNotFoundError):
        await revoke_key(db, "key_none", clock)


@pytest.mark.parametrize(
    "presented",
    ["", " ", "hello", "kaiko_live_" + "a" * 38, "kaiko_live_" + "é" * 38, "\ud800", "x" * 60_000, make_key("live"), make_key("test")],
    ids=["missing", "blank", "word", "checksum", "letters", "surrogate", "long", "unknown", "unknown test"],
)
async def test_unknown_keys_are_alike(counting: CountingDatabase, verifier: Verifier, presented: str) -> None:
    """Missing, malformed, unknown: one error, and the same one look-up each time, for refusals are not remembered."""
    for reads in (1, 2):
        error = await _refusal(verifier, presented)
        assert error.body("req-1") == ApiError(Code.INVALID_API_KEY).body("req-1")
        assert str(error) == "invalid_api_key"
        assert counting.reads == reads


async def test_malformed_key_is_not_looked_up(db: Database, pepper: bytes, clock: Clock) -> None:
    """A key with a wrong checksum is refused even if its digest should be in the table."""
    malformed = make_key("live")[:-1] + "-"
    created = await create_key(db, pepper, project="p", environment="live", name="n", clock=clock)
    digest = service._digest(pepper, malformed)
    await db.write(lambda connection: connection.execute("UPDATE keys SET digest = $1 WHERE id = $2", digest, created.id))
    assert (await _refusal(Verifier(db, pepper, clock), malformed)).code is Code.INVALID_API_KEY


async def test_another_pepper_knows_no_key(db: Database, make: Callable[..., Awaitable[CreatedKey]], clock: Clock) -> None:
    """Keys are bound to the pepper they were made under."""
    created = await make()
    other = Verifier(db, b"another pepper, 32 bytes or more also", clock)
    assert (await _refusal(other, created.key)).code is Code.INVALID_API_KEY


async def test_good_keys_are_remembered_for_half_a_second(
    counting: CountingDatabase, verifier: Verifier, make: Callable[..., Awaitable[CreatedKey]], clock: Clock
) -> None:
    """Within half a second a good key costs no look-up, after it one; a clock set back is no longer trust."""
    created = await make()
    await verifier.verify(created.key)
    clock.move(0.499)
    await verifier.verify(created.key)
    assert counting.reads == 1
    clock.move(0.001)
    await verifier.verify(created.key)
    assert counting.reads == 2
    clock.move(-3600)
    await verifier.verify(created.key)
    assert counting.reads == 3


async def test_memory_is_bounded(
    counting: CountingDatabase, make: Callable[..., Awaitable[CreatedKey]], pepper: bytes, clock: Clock
) -> None:
    """Of more keys than the memory holds the one used longest ago is forgotten, and none is held in the clear."""
    verifier = Verifier(counting, pepper, clock, remembered=2)
    first, second, third = [await make() for _ in range(3)]
    for created in (first, second, first, third):
        await verifier.verify(created.key)
    assert counting.reads == 3
    await verifier.verify(first.key)
    assert counting.reads == 3
    await verifier.verify(second.key)
    assert counting.reads == 4
    assert len(verifier._seen) == 2
    assert all(len(digest) == 32 for digest in verifier._seen)
    assert not any(created.key in repr(verifier._seen) for created in (first, second, third))


_REVOKES = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
from kaiko_server.keys.service import revoke_key
from kaiko_server.settings import load
from kaiko_server.store.opening import open_database

async def main():
    db = await open_database(load({}, data_dir=Path(sys.argv[1]), database_url=sys.argv[2] or None))
    await revoke_key(db, sys.argv[3], lambda: datetime.now(UTC))
    await db.close()

asyncio.run(main())
"""


async def test_revocation_by_another_process(
    verifier: Verifier, make: Callable[..., Awaitable[CreatedKey]], database_settings: Settings, clock: Clock
) -> None:
    """A key revoked by another process is refused here as soon as the half second of memory is over."""
    created = await make()
    await verifier.verify(created.key)
    place = (database_settings.data_dir, database_settings.database_url or "")
    subprocess.run([sys.executable, "-c", _REVOKES, *place, created.id], check=True)
    clock.move(0.499)
    await verifier.verify(created.key)
    clock.move(0.001)
    assert (await _refusal(verifier, created.key)).code is Code.KEY_REVOKED


async def test_projects_keep_apart(db: Database, make: Callable[..., Awaitable[CreatedKey]], clock: Clock) -> None:
    """Keys are listed by project, oldest first; a project is made once."""
    one = await make(project="one", name="a")
    clock.move(1)
    two = await make(project="two", name="b")
    clock.move(1)
    three = await make(project="one", environment="test", name="c")
    assert one.project_id == three.project_id != two.project_id
    assert [key.id for key in await list_keys(db)] == [one.id, two.id, three.id]
    assert [key.id for key in await list_keys(db, "one")] == [one.id, three.id]
    assert await list_keys(db, "none") == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"environment": "staging"}, "live, test"),
        ({"name": "  "}, "name of a key"),
        ({"name": "x" * 101}, "name of a key"),
        ({"name": "a\x1b[2J"}, "name of a key"),
        ({"project": ""}, "project name"),
        ({"project": "a\nb"}, "project name"),
        ({"expires_at": datetime(2027, 1, 1)}, "zone"),  # noqa: DTZ001 - what is refused
        ({"expires_at": datetime(2026, 6, 1, 12, 0, tzinfo=UTC)}, "future"),
        ({"scopes": ()}, "scopes"),
        ({"scopes": ("analysis", "all")}, "scopes"),
        ({"addresses": ("10.0.0.0/33",)}, "networks such as"),
        ({"per_minute": -1}, "limit"),
        ({"tokens_per_month": 2**60}, "limit"),
    ],
)
async def test_what_no_key_is_made_of(
    db: Database, make: Callable[..., Awaitable[CreatedKey]], given: dict[str, object], message: str
) -> None:
    """A wrong wish is refused with a message that says which, and nothing is made."""
    with pytest.raises(ValueError, match=message):
        await make(**given)
    assert await list_keys(db) == []


OWN = {"scopes": ("analysis",), "addresses": ("192.0.2.0/24",), "per_minute": 7, "concurrent": 3, "tokens_per_month": 11}


async def test_rotation(db: Database, pepper: bytes, clock: Clock, verifier: Verifier, make: Callable[..., Awaitable[CreatedKey]]) -> None:
    """The new key is for the same as the old one, which works on for the overlap and no longer; it can be rotated once."""
    old = await make(name="app", environment="test", expires_at=clock.now + timedelta(days=60), **OWN)
    new = await rotate_key(db, pepper, old.id, overlap=timedelta(hours=1), clock=clock)
    same = ("project_id", "environment", "name", "expires_at", "scopes", "addresses", "per_minute", "concurrent", "tokens_per_month")
    assert [getattr(new, name) for name in same] == [getattr(old, name) for name in same]
    for key in (old, new):
        assert (await verifier.verify(key.key, "192.0.2.9")).key_id == key.id
    with pytest.raises(RotationError, match=new.id):
        await rotate_key(db, pepper, old.id, overlap=timedelta(0), clock=clock)
    clock.move(3600)
    with pytest.raises(ApiError) as caught:
        await verifier.verify(old.key, "192.0.2.9")
    assert caught.value.code is Code.KEY_EXPIRED
    assert (await verifier.verify(new.key, "192.0.2.9")).limits == Limits(7, 3, 11)


async def test_rotation_lengthens_no_life(db: Database, pepper: bytes, clock: Clock, make: Callable[..., Awaitable[CreatedKey]]) -> None:
    """Neither key outlives the old key's expiry, whatever the overlap; what is over is not rotated."""
    soon = clock.now + timedelta(hours=2)
    old = await make(expires_at=soon)
    new = await rotate_key(db, pepper, old.id, overlap=timedelta(days=30), clock=clock)
    assert {key.expires_at for key in await list_keys(db)} == {soon}
    await revoke_key(db, new.id, clock)
    for key_id, message in ((new.id, "revoked"), (old.id, "rotated before")):
        with pytest.raises(RotationError, match=message):
            await rotate_key(db, pepper, key_id, overlap=timedelta(0), clock=clock)
    with pytest.raises(KeyNotFoundError):
        await rotate_key(db, pepper, "key_none", overlap=timedelta(0), clock=clock)
    for overlap in (timedelta(seconds=-1), timedelta(days=30, seconds=1)):
        with pytest.raises(RotationError, match="30 days"):
            await rotate_key(db, pepper, old.id, overlap=overlap, clock=clock)
    assert len(await list_keys(db)) == 2


async def test_of_many_rotations_at_once_one_is_done(
    db: Database, pepper: bytes, clock: Clock, make: Callable[..., Awaitable[CreatedKey]]
) -> None:
    """A key has one successor, however many ask for one."""
    old = await make()
    many = (rotate_key(db, pepper, old.id, overlap=timedelta(0), clock=clock) for _ in range(10))
    found = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(one, CreatedKey) for one in found) == 1
    assert len(await list_keys(db)) == 2


async def test_key_is_shown_once(make: Callable[..., Awaitable[CreatedKey]]) -> None:
    """The repr of a new key, which may land in a log, does not hold it."""
    created = await make()
    assert created.key not in repr(created)
    assert created.key[-10:] not in repr(created)


_SEARCHES = """
import sys
from pathlib import Path
found = sorted({path.name for path in Path(sys.argv[1]).rglob("*") for needle in sys.argv[2:] if needle.encode() in path.read_bytes()})
print(",".join(found), end="")
"""


def _files_with(folder: Path, *texts: str) -> str:
    # In a process of its own: closing a file here would drop the locks that SQLite has on it.
    return subprocess.run([sys.executable, "-c", _SEARCHES, folder, *texts], check=True, capture_output=True, text=True).stdout


async def test_no_byte_of_a_key_is_kept(sqlite: SqliteDatabase, data_dir: Path, pepper: bytes, clock: Clock) -> None:
    """No eight characters in a row of a key, and no pepper, are in any file, while the database is open and after."""
    created = await create_key(sqlite, pepper, project="default", environment="live", name="a name that is found", clock=clock)
    verifier = Verifier(sqlite, pepper, clock)
    await verifier.verify(created.key)
    await _refusal(verifier, malformed := "kaiko_live_canary-canary-canary")
    random = created.key.removeprefix("kaiko_live_")
    needles = [random[start : start + 8] for start in range(len(random) - 7)] + [pepper.decode(), malformed]
    assert _files_with(data_dir, *needles) == ""
    assert _files_with(data_dir, "a name that is found") == "kaiko.db-wal"  # the search can find
    await sqlite.close()
    assert _files_with(data_dir, *needles) == ""
    assert _files_with(data_dir, "a name that is found") == "kaiko.db"
