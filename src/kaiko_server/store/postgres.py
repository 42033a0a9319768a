"""PostgreSQL: a pool of connections, a transaction a call. For several servers on the same data; see decision 0012."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import urlsplit

import asyncpg  # type: ignore[import-untyped] # it ships no types

from kaiko_server.store import migrations
from kaiko_server.store.db import Connection, ConstraintError, Row, SchemaError, StoreError, UnavailableError, to_micros

T = TypeVar("T")

_WAIT_S = 10.0
"""How long a call waits for a connection, and a statement for another's lock: short of the request's time limit."""
_TRIES = 10
"""Two transactions that wait for each other are told apart by PostgreSQL, which undoes one: that one is run again."""
_APART_S = 0.1
_MIGRATION_S = 86_400.0
_MIGRATING = 0x6B61696B6F  # "kaiko": the advisory lock that one server holds while it migrates
_SESSION = {
    "application_name": "kaiko",
    "timezone": "UTC",
    "lock_timeout": f"{_WAIT_S:.0f}s",
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    # Short statements by key: compiling them costs more than it saves.
    "jit": "off",
}

_UNAVAILABLE = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresSystemError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.ReadOnlySQLTransactionError,
)
_UNCLEAR = "KAIKO_DATABASE_URL cannot be understood; it looks like postgresql://user:password@host:5432/database"
_ERRORS = (*_UNAVAILABLE, asyncpg.PostgresError)


class _UndoneError(StoreError):
    """Another transaction stood in the way; this one may be run again."""


def _translate(error: BaseException) -> StoreError:
    if isinstance(error, asyncpg.TransactionRollbackError):
        return _UndoneError(_text(error))
    if isinstance(error, asyncpg.IntegrityConstraintViolationError):
        return ConstraintError(_text(error))
    if isinstance(error, _UNAVAILABLE):
        return UnavailableError(_text(error))
    return StoreError(_text(error))


def _text(error: BaseException) -> str:
    """Give what PostgreSQL says in its first line, which names tables and columns; the values are in the detail that follows."""
    return (str(error) or type(error).__name__).splitlines()[0]


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise _translate(error) from error


class _Connection:
    """One asyncpg connection as :class:`~kaiko_server.store.db.Connection`."""

    def __init__(self, raw: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._raw = raw
        self.failed: StoreError | None = None

    @contextmanager
    def _statement(self) -> Iterator[None]:
        if self.failed is not None:
            raise self.failed
        try:
            with _translated():
                yield
        except StoreError as error:
            self.failed = error
            raise

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        with self._statement():
            rows: list[Row] = await self._raw.fetch(sql, *args)
        return rows

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        with self._statement():
            row: Row | None = await self._raw.fetchrow(sql, *args)
        return row

    async def execute(self, sql: str, *args: object) -> int:
        with self._statement():
            status: str = await self._raw.execute(sql, *args)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdigit() else 0


class PostgresDatabase:
    """A :class:`~kaiko_server.store.db.Database` that several servers share."""

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", name: str) -> None:
        self._pool = pool
        self._name = name

    @classmethod
    async def open(cls, url: str, *, connections: int = 10) -> "PostgresDatabase":
        """Connect, bring the schema up to date, and keep *connections* at most.

        Raises
        ------
        SchemaError
            The database is newer than the code, its history differs, or it does not hold UTF-8.
        UnavailableError
            It cannot be reached, or the URL cannot be understood; the message never holds a password.
        """
        name = name_of(url)
        with _told(name):
            async with AsyncExitStack() as opened:
                pool = await opened.enter_async_context(
                    asyncpg.create_pool(
                        _checked(url), min_size=1, max_size=connections, timeout=_WAIT_S, command_timeout=30, server_settings=_SESSION
                    )
                )
                async with pool.acquire() as raw:
                    await _migrate(raw)
                opened.pop_all()  # all went well: it stays open
        return cls(pool, name)

    async def read(self, fn: Callable[[Connection], Awaitable[T]]) -> T:
        with _told(self._name):
            async with self._pool.acquire(timeout=_WAIT_S) as raw, raw.transaction(isolation="repeatable_read", readonly=True):
                return await fn(_Connection(raw))

    async def write(self, fn: Callable[[Connection], Awaitable[T]]) -> T:
        for _ in range(_TRIES - 1):
            try:
                return await self._write_once(fn)
            except _UndoneError:
                # Not all at once again, or they meet in the same place.
                await asyncio.sleep(random.uniform(0, _APART_S))  # noqa: S311 - no secret
        return await self._write_once(fn)

    async def _write_once(self, fn: Callable[[Connection], Awaitable[T]]) -> T:
        with _told(self._name):
            async with self._pool.acquire(timeout=_WAIT_S) as raw, raw.transaction():
                connection = _Connection(raw)
                result = await fn(connection)
                if connection.failed is not None:  # PostgreSQL would take the COMMIT and undo everything without a word
                    raise connection.failed
                return result

    async def close(self) -> None:
        await self._pool.close()


def _checked(url: str) -> str:
    try:
        urlsplit(url)
    except ValueError:
        raise UnavailableError(_UNCLEAR) from None
    return url


def name_of(url: str) -> str:
    """Say which database *url* means, without user and password."""
    try:
        parts = urlsplit(url)
        place = f"{parts.hostname or 'on a socket'}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        return "PostgreSQL"
    return f"PostgreSQL {place}{parts.path}"


@contextmanager
def _told(name: str) -> Iterator[None]:
    """Translate what asyncpg raises, and say which database is meant."""
    try:
        yield
    except asyncpg.ClientConfigurationError:
        message = f"{name}: {_UNCLEAR}"
        raise UnavailableError(message) from None
    except _ERRORS as error:
        known = _translate(error)
        message = f"{name}: {known}"
        raise type(known)(message) from error
    except SchemaError as error:
        message = f"{name}: {error}"
        raise SchemaError(message) from error


async def _migrate(raw: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Apply what is pending, all in one transaction; servers that start together wait for each other."""
    if await raw.fetchval("SHOW server_encoding") != "UTF8":
        message = "the database must hold UTF-8: create it with ENCODING 'UTF8'"
        raise SchemaError(message)
    async with raw.transaction():
        # A large table takes its time, and so does the server that is at it already.
        await raw.execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0")
        await raw.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATING, timeout=_MIGRATION_S)
        await raw.execute(migrations.HISTORY_TABLE)
        for step in migrations.pending(migrations.history(), await _applied(raw)):
            await raw.execute(step.sql, timeout=_MIGRATION_S)
            await raw.execute(
                "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)",
                step.version,
                step.name,
                step.checksum,
                to_micros(datetime.now(UTC)),
            )


async def _applied(raw: "asyncpg.Connection[asyncpg.Record]") -> dict[int, str]:
    return {row["version"]: row["checksum"] for row in await raw.fetch("SELECT version, checksum FROM schema_migrations")}


@asynccontextmanager
async def _once(url: str) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
    raw = await asyncpg.connect(_checked(url), timeout=_WAIT_S, command_timeout=30, server_settings=_SESSION)
    try:
        yield raw
    finally:
        await raw.close()


async def pending_migrations(url: str) -> int:
    """Say how many migrations the database lacks; nothing is changed.

    Raises
    ------
    SchemaError, UnavailableError
        As for :meth:`PostgresDatabase.open`.
    """
    with _told(name_of(url)):
        async with _once(url) as raw:
            there = await raw.fetchval("SELECT to_regclass('schema_migrations') IS NOT NULL")
            return len(migrations.pending(migrations.history(), await _applied(raw) if there else {}))
