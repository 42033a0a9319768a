"""Projects: found by name, made when they are not there."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from kaiko_server.projects import queries
from kaiko_server.store.db import Connection, Database, Row, from_micros, to_micros

MAX_NAME = 100
"""Characters that a name may have."""


@dataclass(frozen=True, slots=True)
class Project:
    """What keys and data belong to; two projects never see each other's."""

    id: str
    name: str
    created_at: datetime


async def ensure_project(db: Database, name: str, clock: Callable[[], datetime]) -> Project:
    """Give the project of this *name*, made now if there is none; safe when several do it at once.

    Raises
    ------
    ValueError
        The name is blank, longer than 100 characters or holds control characters.
    """
    if not name.strip() or len(name) > MAX_NAME or not name.isprintable():
        message = f"a project name has 1 to {MAX_NAME} printable characters"
        raise ValueError(message)
    created_at = to_micros(clock())

    async def ensure(connection: Connection) -> Row | None:
        await queries.insert(connection, project_id=f"proj_{secrets.token_hex(8)}", name=name, created_at=created_at)
        return await queries.find(connection, name)

    found = await db.read(lambda connection: queries.find(connection, name)) or await db.write(ensure)
    assert found is not None  # inserted, or there before
    return _project(found)


async def list_projects(db: Database) -> list[Project]:
    """Give all projects, oldest first."""
    return [_project(row) for row in await db.read(queries.list_all)]


def _project(row: Row) -> Project:
    return Project(row["id"], row["name"], from_micros(row["created_at"]))
