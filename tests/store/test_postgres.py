"""The promises of the PostgreSQL store that SQLite has no part in."""

import asyncio
import json

import pytest

from kaiko_server.settings import Settings
from kaiko_server.store import migrations, opening
from kaiko_server.store.db import Connection, SchemaError, UnavailableError
from kaiko_server.store.postgres import PostgresDatabase
from tests.live import Server, kaiko
from tests.postgres import Postgres

pytestmark = pytest.mark.anyio


async def test_a_read_is_one_snapshot(postgres: Postgres) -> None:
    """What is committed while a read runs is not seen by it."""
    db = await PostgresDatabase.open(await postgres.fresh())

    async def add(connection: Connection) -> None:
        await connection.execute("INSERT INTO projects (id, name, created_at) VALUES ('p', 'p', 0)")

    async def twice(connection: Connection) -> list[int]:
        before = await connection.fetch("SELECT id FROM projects")
        await db.write(add)
        return [len(before), len(await connection.fetch("SELECT id FROM projects"))]

    assert await db.read(twice) == [0, 0]
    await db.close()


async def test_a_lost_connection_is_told_and_replaced(postgres: Postgres) -> None:
    """A write whose connection is cut keeps nothing and says so; the next call gets another connection."""
    db = await PostgresDatabase.open(await postgres.fresh(), connections=1)

    async def cut(connection: Connection) -> None:
        await connection.execute("INSERT INTO projects (id, name, created_at) VALUES ('p', 'p', 0)")
        row = await connection.fetchrow("SELECT pg_backend_pid() AS pid")
        assert row is not None
        await postgres.run(f"SELECT pg_terminate_backend({row['pid']})")
        await connection.execute("INSERT INTO projects (id, name, created_at) VALUES ('q', 'q', 0)")

    with pytest.raises(UnavailableError):
        await db.write(cut)
    assert await db.read(lambda connection: connection.fetch("SELECT id FROM projects")) == []
    await db.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://someone:hunter2secret@127.0.0.1:1/none",
        "postgresql://someone:hunter2secret@[::1/none",
        "mysql://someone:hunter2secret@127.0.0.1/none",
    ],
)
async def test_what_cannot_be_opened(url: str) -> None:
    """An address where nothing listens or that means nothing is one clear error, without the password."""
    with pytest.raises(UnavailableError) as caught:
        await PostgresDatabase.open(url)
    assert "PostgreSQL" in str(caught.value) or "KAIKO_DATABASE_URL" in str(caught.value)
    assert "hunter2secret" not in str(caught.value)


async def test_servers_start_at_once(postgres: Postgres) -> None:
    """Servers that open a new database at the same moment all succeed, and the schema is made once."""
    url = await postgres.fresh()
    assert await opening.pending_migrations(Settings(database_url=url)) == len(migrations.history())
    databases = await asyncio.gather(*(PostgresDatabase.open(url) for _ in range(4)))
    rows = await databases[0].read(lambda connection: connection.fetch("SELECT version FROM schema_migrations"))
    assert len(rows) == len(migrations.history())
    assert await opening.pending_migrations(Settings(database_url=url)) == 0
    await asyncio.gather(*(db.close() for db in databases))


async def test_a_newer_database_is_refused(postgres: Postgres) -> None:
    """Opening a database that a later server has migrated raises and names it."""
    url = await postgres.fresh()
    db = await PostgresDatabase.open(url)
    insert = "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (9999, 'later', 'cc', 0)"
    await db.write(lambda connection: connection.execute(insert))
    await db.close()
    with pytest.raises(SchemaError, match=r"PostgreSQL.*the database has schema version 9999"):
        await PostgresDatabase.open(url)


async def test_another_encoding_is_refused(postgres: Postgres) -> None:
    """A database that does not hold UTF-8 would lose what clients name their contexts: it is refused."""
    await postgres.start()
    await postgres.run("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(SchemaError, match="UTF-8"):
        await PostgresDatabase.open(postgres.url_of("latin"))


async def test_servers_share_keys(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two servers on one PostgreSQL know the same keys; one that the command line revokes is refused by both within a second."""
    environment = {"KAIKO_DATABASE_URL": await postgres.fresh(), "KAIKO_PEPPER": "a pepper that both servers are given, 32+"}
    folder = tmp_path_factory.mktemp("shared")
    first = Server(folder / "one", **environment)
    second = Server(folder / "two", **environment)
    try:
        made = json.loads(kaiko("keys", "create", "--json", **environment).stdout)
        for server in (first, second):
            assert server.request("GET", "/v2/models", key=made["key"]).status == 200
        assert not list(folder.rglob("kaiko.db"))
        assert kaiko("keys", "revoke", made["id"], **environment).returncode == 0
        await asyncio.sleep(1)
        for server in (first, second):
            assert server.request("GET", "/v2/models", key=made["key"]).error["code"] == "key_revoked"
        assert "PostgreSQL" in kaiko("doctor", data_dir=folder / "one", **environment).stdout
    finally:
        first.stop()
        second.stop()
