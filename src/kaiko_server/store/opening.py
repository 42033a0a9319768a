"""Which database the settings mean: PostgreSQL when its URL is given, else SQLite in the data directory."""

from kaiko_server.settings import Settings
from kaiko_server.store import postgres, sqlite
from kaiko_server.store.db import Database, UnavailableError


async def open_database(settings: Settings) -> Database:
    """Open it, with its schema brought up to date.

    Raises
    ------
    SchemaError, UnavailableError
        It cannot be used; the message says which database, and why, and never holds a password.
    """
    if settings.database_url:
        return await postgres.PostgresDatabase.open(settings.database_url, connections=settings.database_connections)
    return await sqlite.SqliteDatabase.open(settings.data_dir)


async def pending_migrations(settings: Settings) -> int | None:
    """Say how many migrations it lacks; None when it is not there yet. Nothing is changed.

    Raises
    ------
    SchemaError, UnavailableError
        It cannot be used.
    """
    if settings.database_url:
        return await postgres.pending_migrations(settings.database_url)
    return sqlite.pending_migrations(settings.data_dir) if (settings.data_dir / sqlite.FILE_NAME).exists() else None


def compact(settings: Settings) -> tuple[int, int]:
    """Take what was erased out of the files of SQLite; give their bytes before and after.

    Raises
    ------
    UnavailableError
        There is no such database, it is in use for too long, or it is PostgreSQL, which does so by itself.
    """
    if settings.database_url:
        message = "PostgreSQL compacts itself (autovacuum); `VACUUM FULL` gives space back to the disk"
        raise UnavailableError(message)
    return sqlite.compact(settings.data_dir)


def name_of(settings: Settings) -> str:
    """Say which database it is, as a person would, without its password."""
    return postgres.name_of(settings.database_url) if settings.database_url else f"SQLite in {settings.data_dir}"
