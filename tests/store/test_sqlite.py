"""The promises of the SQLite store, on real files."""

import asyncio
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from kaiko_server.store.db import Connection, ConstraintError, UnavailableError
from kaiko_server.store.sqlite import FILE_NAME, SqliteDatabase

pytestmark = pytest.mark.anyio


class FaultError(Exception):
    """What a write of a test raises."""


@pytest.fixture
async def notes(sqlite: SqliteDatabase) -> SqliteDatabase:
    await sqlite.write(_make_notes)
    return sqlite


async def _make_notes(connection: Connection) -> None:
    await connection.execute("CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, body TEXT NOT NULL)")


def _insert(number: int, body: str = "x") -> Callable[[Connection], Awaitable[int]]:
    return lambda connection: connection.execute("INSERT INTO notes (id, body) VALUES ($1, $2)", number, body)


async def _ids(db: SqliteDatabase) -> list[int]:
    rows = await db.read(lambda connection: connection.fetch("SELECT id FROM notes ORDER BY id"))
    return [row["id"] for row in rows]


class HeldWriter:
    """Keeps the writer thread busy while a test queues what shall become one group."""

    def __init__(self, db: SqliteDatabase) -> None:
        self._db = db
        self._entered = threading.Event()
        self._go_on = threading.Event()

    async def __aenter__(self) -> None:
        self._holding = asyncio.create_task(self._db.write(self._hold))
        await asyncio.to_thread(self._entered.wait)

    async def __aexit__(self, *_: object) -> None:
        self._go_on.set()
        await self._holding

    async def _hold(self, _connection: Connection) -> None:
        self._entered.set()
        self._go_on.wait()


async def _queued(db: SqliteDatabase, *writes: Callable[[Connection], Awaitable[object]]) -> list[object]:
    """Run *writes* as one group, in this order."""
    async with HeldWriter(db):
        tasks = [asyncio.create_task(db.write(write)) for write in writes]
        await asyncio.sleep(0)  # one turn of the loop: each task has queued its write
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_many_tasks_share_few_commits(notes: SqliteDatabase) -> None:
    """64 writes queued at once are all kept, in one commit."""
    before = notes.commits
    outcomes = await _queued(notes, *(_insert(number) for number in range(64)))
    assert outcomes == [1] * 64
    assert await _ids(notes) == list(range(64))
    assert notes.commits == before + 2  # that of the write which held the writer, and theirs


async def test_more_than_one_group(notes: SqliteDatabase) -> None:
    """More writes than a group takes are all kept."""
    await _queued(notes, *(_insert(number) for number in range(600)))
    assert await _ids(notes) == list(range(600))


async def test_failing_write_spares_its_neighbours(notes: SqliteDatabase) -> None:
    """In one group a write that raises midway is undone alone, whether it was SQL or its own code that failed."""

    async def faulty(connection: Connection) -> None:
        await connection.execute("INSERT INTO notes (id, body) VALUES (2, 'gone')")
        raise FaultError

    before = notes.commits
    outcomes = await _queued(notes, _insert(1), faulty, _insert(1), _insert(3))
    assert [type(outcome) for outcome in outcomes] == [int, FaultError, ConstraintError, int]
    assert await _ids(notes) == [1, 3]
    assert notes.commits == before + 2


async def test_failing_commit_fails_every_member(notes: SqliteDatabase) -> None:
    """When COMMIT itself fails (a deferred foreign key), no member is told it was kept, none was, and the writer lives on."""

    async def tables(connection: Connection) -> None:
        await connection.execute("CREATE TABLE replies (note BIGINT NOT NULL REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)")

    await notes.write(tables)

    async def orphan(connection: Connection) -> None:
        await connection.execute("INSERT INTO replies (note) VALUES (404)")

    before = notes.commits
    outcomes = await _queued(notes, _insert(1), orphan, _insert(2))
    assert [type(outcome) for outcome in outcomes] == [ConstraintError] * 3
    assert await _ids(notes) == []
    assert notes.commits == before + 1  # that of the write which held the writer
    assert await notes.write(_insert(5)) == 1
    assert await _ids(notes) == [5]


async def test_full_disk(notes: SqliteDatabase) -> None:
    """When the disk is full no write is said to be kept that was not; when there is room again, writing goes on."""
    pages = await notes.write(lambda connection: connection.fetchrow("PRAGMA page_count"))
    assert pages is not None
    limit = pages["page_count"] + 4
    await notes.write(lambda connection: connection.fetchrow(f"PRAGMA max_page_count = {limit}"))
    big = _insert(2, "x" * 100_000)
    outcomes = await _queued(notes, _insert(1), big, _insert(3))
    kept = await _ids(notes)
    assert isinstance(outcomes[1], UnavailableError)
    assert kept == [number for number, outcome in zip((1, 2, 3), outcomes, strict=True) if outcome == 1]
    assert all(isinstance(outcome, UnavailableError) for outcome in outcomes if outcome != 1)
    await notes.write(lambda connection: connection.fetchrow("PRAGMA max_page_count = 1000000"))
    assert await notes.write(big) == 1


async def test_swallowed_full_disk_keeps_nothing_by_accident(notes: SqliteDatabase) -> None:
    """A write that catches a lost transaction and goes on cannot commit a half of itself."""
    pages = await notes.write(lambda connection: connection.fetchrow("PRAGMA page_count"))
    assert pages is not None
    limit = pages["page_count"] + 4

    async def stubborn(connection: Connection) -> None:
        await connection.fetchrow(f"PRAGMA max_page_count = {limit}")
        try:
            await connection.execute("INSERT INTO notes (id, body) VALUES (1, $1)", "x" * 100_000)
        except UnavailableError:
            await connection.execute("ROLLBACK")
        await connection.execute("INSERT INTO notes (id, body) VALUES (2, 'half')")

    outcome = (await _queued(notes, stubborn))[0]
    assert isinstance(outcome, UnavailableError)
    assert await _ids(notes) == []


async def test_nothing_else_may_be_awaited(notes: SqliteDatabase) -> None:
    """A function that would keep a transaction open over something slow is refused, and undone."""

    async def slow(connection: Connection) -> None:
        await connection.execute("INSERT INTO notes (id, body) VALUES (1, 'a')")
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="nothing but its connection"):
        await notes.write(slow)
    with pytest.raises(RuntimeError, match="nothing but its connection"):
        await notes.read(lambda _connection: asyncio.sleep(0))
    assert await _ids(notes) == []


async def test_read_is_one_snapshot(notes: SqliteDatabase) -> None:
    """What is committed while a read runs is not seen by it."""
    read, go_on = threading.Event(), threading.Event()

    async def twice(connection: Connection) -> tuple[int, int]:
        first = await connection.fetch("SELECT id FROM notes")
        read.set()
        go_on.wait()
        return len(first), len(await connection.fetch("SELECT id FROM notes"))

    reading = asyncio.create_task(notes.read(twice))
    await asyncio.to_thread(read.wait)
    await notes.write(_insert(1))
    go_on.set()
    assert await reading == (0, 0)


async def test_readers_do_not_wait_for_the_writer(notes: SqliteDatabase) -> None:
    """Reading goes on while a write is in progress."""
    async with HeldWriter(notes):
        assert await _ids(notes) == []


async def test_cancelled_before_its_turn(notes: SqliteDatabase) -> None:
    """A write whose caller is gone before its turn is not run, and its neighbours are."""
    async with HeldWriter(notes):
        gone, there = asyncio.create_task(notes.write(_insert(1))), asyncio.create_task(notes.write(_insert(2)))
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
    await there
    assert await _ids(notes) == [2]


async def test_close_finishes_what_was_accepted(data_dir: Path) -> None:
    """Closing lets queued writes end and be acknowledged; later calls are refused; closing twice is harmless."""
    db = await SqliteDatabase.open(data_dir)
    await db.write(_make_notes)
    async with HeldWriter(db):
        tasks = [asyncio.create_task(db.write(_insert(number))) for number in range(10)]
        await asyncio.sleep(0)
        closing = asyncio.create_task(db.close())
        await asyncio.sleep(0)
    await closing
    assert await asyncio.gather(*tasks) == [1] * 10
    await db.close()
    with pytest.raises(UnavailableError):
        await db.write(_insert(11))
    with pytest.raises(UnavailableError):
        await _ids(db)
    again = await SqliteDatabase.open(data_dir)
    assert await _ids(again) == list(range(10))
    await again.close()


async def test_every_commit_reaches_the_disk(sqlite: SqliteDatabase) -> None:
    """The settings that durability and erasure rest on are those in force."""
    for pragma, value in {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "secure_delete": 1}.items():
        row = await sqlite.write(lambda connection, pragma=pragma: connection.fetchrow(f"PRAGMA {pragma}"))
        assert row is not None
        assert row[pragma] == value


async def test_files_are_private(notes: SqliteDatabase, data_dir: Path) -> None:
    """Folder 0700, every file in it 0600, those that SQLite adds included."""
    await notes.write(_insert(1))
    assert stat.S_IMODE(data_dir.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in data_dir.iterdir()}
    assert {FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"} <= modes.keys()
    assert set(modes.values()) == {0o600}


async def test_no_database(data_dir: Path) -> None:
    """A file that is no database is refused with its path, and left as it was."""
    data_dir.mkdir()
    (data_dir / FILE_NAME).write_bytes(b"not a database, but someone's letter" * 100)
    with pytest.raises(UnavailableError, match=FILE_NAME):
        await SqliteDatabase.open(data_dir)
    assert (data_dir / FILE_NAME).read_bytes().startswith(b"not a database")


_WRITES_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from kaiko_server.store.sqlite import SqliteDatabase

async def one(db, number):
    await db.write(lambda c: c.execute("INSERT INTO notes (id, body) VALUES ($1, 'x')", number))
    print(number, flush=True)

async def main():
    db = await SqliteDatabase.open(Path(sys.argv[1]))
    number = 0
    while True:
        await asyncio.gather(*(one(db, number + offset) for offset in range(16)))
        number += 16

asyncio.run(main())
"""


async def test_acknowledged_writes_survive_sigkill(data_dir: Path) -> None:
    """Every write acknowledged by a process that is then killed outright is there afterwards."""
    db = await SqliteDatabase.open(data_dir)
    await db.write(_make_notes)
    await db.close()
    with subprocess.Popen([sys.executable, "-c", _WRITES_UNTIL_KILLED, data_dir], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        acknowledged = [int(child.stdout.readline()) for _ in range(200)]
        child.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in child.stdout if line.endswith("\n")]
    again = await SqliteDatabase.open(data_dir)
    assert set(acknowledged) <= set(await _ids(again))
    await again.close()


_WRITES_A_HUNDRED = """
import asyncio, sys
from pathlib import Path
from kaiko_server.store.sqlite import SqliteDatabase

async def main():
    db = await SqliteDatabase.open(Path(sys.argv[1]))
    first = int(sys.argv[2])
    await asyncio.gather(*(
        db.write(lambda c, n=n: c.execute("INSERT INTO notes (id, body) VALUES ($1, 'x')", n)) for n in range(first, first + 100)
    ))
    await db.close()

asyncio.run(main())
"""


async def test_processes_write_side_by_side(notes: SqliteDatabase, data_dir: Path) -> None:
    """Several processes that write to one data directory at once all succeed: who finds it busy waits."""
    children = [subprocess.Popen([sys.executable, "-c", _WRITES_A_HUNDRED, data_dir, str(first)]) for first in (1_000_000, 2_000_000)]
    number = 0
    while any(child.poll() is None for child in children):
        await notes.write(_insert(number))
        number += 1
    assert [child.wait() for child in children] == [0, 0]
    assert await _ids(notes) == [*range(number), *range(1_000_000, 1_000_100), *range(2_000_000, 2_000_100)]


async def test_waits_for_another_writer(notes: SqliteDatabase, data_dir: Path) -> None:
    """A write that finds another connection in a transaction is kept once that one ends, not refused."""
    other = await SqliteDatabase.open(data_dir)
    async with HeldWriter(other):
        writing = asyncio.create_task(notes.write(_insert(1)))
        behind = asyncio.create_task(other.write(_insert(2)))
        await asyncio.sleep(0)
        assert not writing.done()
    assert await asyncio.gather(writing, behind) == [1, 1]
    assert await _ids(notes) == await _ids(other) == [1, 2]
    await other.close()


async def test_locked_for_too_long(notes: SqliteDatabase, data_dir: Path) -> None:
    """When another connection does not end in time the writes are refused, all of them, and the next ones are not."""
    impatient = await SqliteDatabase.open(data_dir, busy_timeout_s=0)
    async with HeldWriter(notes):
        outcomes = await asyncio.gather(*(impatient.write(_insert(number)) for number in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnavailableError] * 3
    assert await impatient.write(_insert(4)) == 1
    assert await _ids(notes) == [4]
    await impatient.close()
