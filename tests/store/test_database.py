"""The promises of :class:`~kaiko_server.store.db.Database`, on SQLite and on PostgreSQL alike."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from kaiko_server.store.db import Connection, ConstraintError, Database, StoreError, UnavailableError

pytestmark = pytest.mark.anyio


class FaultError(Exception):
    """What a write of a test raises."""


@pytest.fixture
async def notes(db: Database) -> Database:
    async def make(connection: Connection) -> None:
        await connection.execute("CREATE TABLE notes (id BIGINT NOT NULL PRIMARY KEY, body TEXT NOT NULL, n BIGINT NOT NULL DEFAULT 0)")

    await db.write(make)
    return db


def _insert(number: int, body: str = "x") -> Callable[[Connection], Awaitable[int]]:
    return lambda connection: connection.execute("INSERT INTO notes (id, body) VALUES ($1, $2)", number, body)


async def _ids(db: Database) -> list[int]:
    rows = await db.read(lambda connection: connection.fetch("SELECT id FROM notes ORDER BY id"))
    return [row["id"] for row in rows]


async def test_dollar_parameters_are_numbered(notes: Database) -> None:
    """``$2`` is the second argument wherever it stands and however often."""
    await notes.write(lambda connection: connection.execute("INSERT INTO notes (body, id, n) VALUES ($2, $1, $1)", 7, "seven"))
    row = await notes.read(lambda connection: connection.fetchrow("SELECT body, n FROM notes WHERE body = $2 AND id = $1", 7, "seven"))
    assert row is not None
    assert (row["body"], row["n"]) == ("seven", 7)


async def test_results_of_statements(notes: Database) -> None:
    """``execute`` counts rows, ``fetch`` gives those of RETURNING, ``fetchrow`` None for none."""

    async def work(connection: Connection) -> tuple[int, int, list[int], object]:
        inserted = await connection.execute("INSERT INTO notes (id, body) VALUES (1, 'a'), (2, 'b')")
        none = await connection.execute("INSERT INTO notes (id, body) VALUES (1, 'c') ON CONFLICT (id) DO NOTHING")
        rows = await connection.fetch("UPDATE notes SET body = $1 RETURNING id", "d")
        return inserted, none, [row["id"] for row in rows], await connection.fetchrow("SELECT id FROM notes WHERE id = 9")

    assert await notes.write(work) == (2, 0, [1, 2], None)


async def test_failing_write_spares_its_neighbours(notes: Database) -> None:
    """Of many writes at once those that raise midway are undone alone, whether it was SQL or their own code that failed."""

    async def faulty(connection: Connection) -> None:
        await connection.execute("INSERT INTO notes (id, body) VALUES (2, 'gone')")
        raise FaultError

    await notes.write(_insert(1))
    outcomes = await asyncio.gather(*(notes.write(fn) for fn in (faulty, _insert(1), _insert(3))), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [FaultError, ConstraintError, int]
    assert await _ids(notes) == [1, 3]


async def test_a_failed_statement_ends_the_transaction(notes: Database) -> None:
    """A write that catches the error of a statement can do nothing more, and is undone even if it does not try to."""
    refused = []

    async def careless(connection: Connection) -> str:
        await connection.execute("INSERT INTO notes (id, body) VALUES (1, 'a')")
        try:
            await connection.execute("INSERT INTO notes (id, body) VALUES (1, 'b')")
        except ConstraintError as error:
            refused.append(error)
        return "done"

    async def stubborn(connection: Connection) -> None:
        await careless(connection)
        await connection.execute("INSERT INTO notes (id, body) VALUES (2, 'b')")

    with pytest.raises(ConstraintError):
        await notes.write(careless)
    with pytest.raises(ConstraintError):
        await notes.write(stubborn)
    assert len(refused) == 2
    assert await _ids(notes) == []


async def test_failing_commit_keeps_nothing(notes: Database) -> None:
    """When COMMIT itself fails (a deferred foreign key), the caller is told and the database lives on."""

    async def tables(connection: Connection) -> None:
        await connection.execute("CREATE TABLE replies (note BIGINT NOT NULL REFERENCES notes (id) DEFERRABLE INITIALLY DEFERRED)")

    async def orphan(connection: Connection) -> None:
        await connection.execute("INSERT INTO notes (id, body) VALUES (1, 'x')")
        await connection.execute("INSERT INTO replies (note) VALUES (404)")

    await notes.write(tables)
    with pytest.raises(ConstraintError):
        await notes.write(orphan)
    assert await _ids(notes) == []
    assert await notes.write(_insert(5)) == 1


async def test_errors_hold_no_values(notes: Database) -> None:
    """What a broken constraint says names the table and the column, never what was to be written."""
    await notes.write(_insert(4711, "somebody's secret"))
    with pytest.raises(ConstraintError) as caught:
        await notes.write(_insert(4711, "somebody's secret"))
    assert "notes" in str(caught.value)
    assert "4711" not in str(caught.value)
    assert "secret" not in str(caught.value)


async def test_reading_cannot_write(notes: Database) -> None:
    """``read`` refuses to change anything."""
    with pytest.raises(StoreError):
        await notes.read(_insert(1))
    assert await _ids(notes) == []


async def test_no_increment_is_lost(notes: Database) -> None:
    """Of many writes at once to one row each counts."""
    await notes.write(_insert(1))

    async def increment(connection: Connection) -> int:
        row = await connection.fetchrow("UPDATE notes SET n = n + 1 WHERE id = 1 RETURNING n")
        assert row is not None
        number: int = row["n"]
        return number

    seen = await asyncio.gather(*(notes.write(increment) for _ in range(200)))
    assert sorted(seen) == list(range(1, 201))


async def test_writes_that_wait_for_each_other_all_end(notes: Database) -> None:
    """Two that take the same rows in opposite order are both kept: where one had to be undone, it was run again."""
    await notes.write(_insert(1))
    await notes.write(_insert(2))

    async def both(connection: Connection, first: int, second: int) -> None:
        for number in (first, second):
            await connection.execute("UPDATE notes SET n = n + 1 WHERE id = $1", number)

    ways = [(1, 2), (2, 1)] * 2
    await asyncio.gather(*(notes.write(lambda connection, way=way: both(connection, *way)) for way in ways))
    rows = await notes.read(lambda connection: connection.fetch("SELECT n FROM notes"))
    assert [row["n"] for row in rows] == [4, 4]


async def test_closed(db: Database) -> None:
    """After closing, calls are refused; closing twice is harmless."""
    await db.close()
    await db.close()
    with pytest.raises(UnavailableError):
        await db.write(lambda connection: connection.execute("SELECT 1"))
    with pytest.raises(UnavailableError):
        await db.read(lambda connection: connection.fetch("SELECT 1"))


async def test_foreign_keys_hold(db: Database) -> None:
    """A key without its project is refused."""
    with pytest.raises(ConstraintError):
        await db.write(
            lambda connection: connection.execute(
                "INSERT INTO keys (id, project_id, environment, name, hint, digest, created_at) "
                "VALUES ('k', 'none', 'live', 'n', 'h', $1, 0)",
                bytes(32),
            )
        )
