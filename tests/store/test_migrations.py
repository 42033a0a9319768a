"""The promises of the migration history."""

import subprocess
import sys
from pathlib import Path

import pytest

from kaiko_server.store import migrations
from kaiko_server.store.db import Connection, SchemaError
from kaiko_server.store.migrations import Migration, history, pending
from kaiko_server.store.sqlite import SqliteDatabase

pytestmark = pytest.mark.anyio

_KNOWN = [Migration(1, "one", "", "aa"), Migration(2, "two", "", "bb")]


def test_history_has_no_gap() -> None:
    """Versions count from 1 without a gap, and every file is named after what it does."""
    known = history()
    assert [migration.version for migration in known] == list(range(1, len(known) + 1))
    assert all(migration.name for migration in known)


def test_pending_in_order() -> None:
    """What is not applied is given oldest first."""
    assert pending(_KNOWN, {}) == _KNOWN
    assert pending(_KNOWN, {1: "aa"}) == _KNOWN[1:]
    assert pending(_KNOWN, {1: "aa", 2: "bb"}) == []


def test_newer_database_is_refused() -> None:
    """A database newer than the code is refused, and the message says what to do."""
    with pytest.raises(SchemaError, match="schema version 3, this server knows 2"):
        pending(_KNOWN, {1: "aa", 2: "bb", 3: "cc"})


def test_changed_migration_is_refused() -> None:
    """A migration that differs from what made the database is refused."""
    with pytest.raises(SchemaError, match=r"migration 1 \(one\)"):
        pending(_KNOWN, {1: "xx"})


async def test_open_refuses_a_newer_database(sqlite: SqliteDatabase, data_dir: Path) -> None:
    """Opening a database that a later server has migrated raises and names the file."""

    async def from_the_future(connection: Connection) -> None:
        await connection.execute("INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (9999, 'later', 'cc', 0)")

    await sqlite.write(from_the_future)
    with pytest.raises(SchemaError, match=r"kaiko\.db: the database has schema version 9999"):
        await SqliteDatabase.open(data_dir)


async def test_opening_again_changes_nothing(sqlite: SqliteDatabase, data_dir: Path) -> None:
    """Each migration is applied once, and recorded with its checksum."""
    select = "SELECT version, checksum, applied_at FROM schema_migrations ORDER BY version"
    first = await sqlite.read(lambda connection: connection.fetch(select))
    again = await SqliteDatabase.open(data_dir)
    assert await again.read(lambda connection: connection.fetch(select)) == first
    assert [(row["version"], row["checksum"]) for row in first] == [(known.version, known.checksum) for known in history()]
    await again.close()


_OPENS = """
import asyncio, sys
from pathlib import Path
from kaiko_server.store.sqlite import SqliteDatabase

async def main():
    await (await SqliteDatabase.open(Path(sys.argv[1]))).close()

sys.stdin.readline()
asyncio.run(main())
"""


async def test_processes_start_at_once(data_dir: Path) -> None:
    """Processes that open a new data directory at the same moment all succeed, and the schema is made once."""
    children = [subprocess.Popen([sys.executable, "-c", _OPENS, data_dir], stdin=subprocess.PIPE) for _ in range(4)]
    for child in children:
        assert child.stdin is not None
        child.stdin.write(b"go\n")
        child.stdin.close()
    assert [child.wait() for child in children] == [0] * 4
    db = await SqliteDatabase.open(data_dir)
    rows = await db.read(lambda connection: connection.fetch("SELECT version FROM schema_migrations"))
    assert len(rows) == len(migrations.history())
    await db.close()
