"""The one history of the schema: ``NNNN_name.sql`` beside this file, applied in order, never changed once released."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from kaiko_server.store.db import SchemaError

HISTORY_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version BIGINT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at BIGINT NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the history; *checksum* is the SHA-256 of *sql* in hex."""

    version: int
    name: str
    sql: str
    checksum: str


def history() -> list[Migration]:
    """Give the migrations that the code comes with, oldest first."""
    found = []
    for entry in files(__name__).iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name.removesuffix(".sql").partition("_")
            sql = entry.read_text(encoding="utf-8")
            found.append(Migration(int(number), name, sql, hashlib.sha256(sql.encode()).hexdigest()))
    return sorted(found, key=lambda migration: migration.version)


def pending(migrations: Sequence[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """Give those of *migrations* still to be applied, oldest first.

    Parameters
    ----------
    migrations
        What the code comes with, oldest first.
    applied
        Version to checksum, as the database holds them.

    Raises
    ------
    SchemaError
        The database is newer than the code, or a migration was changed after it had been applied.
    """
    newest = migrations[-1].version
    if max(applied, default=0) > newest:
        message = (
            f"the database has schema version {max(applied)}, this server knows {newest} at most: "
            "install the server version that wrote it, or restore the backup made before the upgrade"
        )
        raise SchemaError(message)
    for migration in migrations:
        if applied.get(migration.version, migration.checksum) != migration.checksum:
            message = f"migration {migration.version} ({migration.name}) differs from the one that made this database: reinstall the server"
            raise SchemaError(message)
    return [migration for migration in migrations if migration.version not in applied]
