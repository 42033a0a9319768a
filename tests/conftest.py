"""What tests of every folder use: a clock that is set by hand, a data directory, a real database in it."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kaiko_server.settings import Settings
from kaiko_server.store.db import Database
from kaiko_server.store.opening import open_database
from kaiko_server.store.sqlite import SqliteDatabase
from tests.live import Server
from tests.postgres import Postgres
from tests.valkey import Valkey


class Clock:
    """A clock that stands still until it is told to move."""

    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def move(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pepper() -> bytes:
    return b"a pepper for tests, 32 bytes or more"


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A data directory that does not exist yet."""
    return tmp_path / "var"


@pytest.fixture
async def sqlite(anyio_backend: str, data_dir: Path) -> AsyncIterator[SqliteDatabase]:  # noqa: ARG001 - makes this an anyio fixture
    database = await SqliteDatabase.open(data_dir)
    yield database
    await database.close()


@pytest.fixture(scope="session")
async def postgres(anyio_backend: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Postgres]:  # noqa: ARG001 - as above
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    await server.stop()


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Valkey]:
    server = Valkey(tmp_path_factory.mktemp("valkey"))
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgres"])
async def database_settings(request: pytest.FixtureRequest, anyio_backend: str, data_dir: Path, postgres: Postgres) -> Settings:  # noqa: ARG001 - as above
    """Settings of a server on an empty database, once of each kind: what is promised holds on both."""
    return Settings(data_dir=data_dir, database_url=await postgres.fresh() if request.param == "postgres" else None)


@pytest.fixture
async def db(anyio_backend: str, database_settings: Settings) -> AsyncIterator[Database]:  # noqa: ARG001 - as above
    """An empty database, once of each kind."""
    database = await open_database(database_settings)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that leave it as they found it."""
    running = Server(tmp_path_factory.mktemp("server") / "var", KAIKO_LOG_LEVEL="debug")
    yield running
    running.stop()
