"""Whether the server can do its work."""

from kaiko_server.engine.model import ModelUnavailableError
from kaiko_server.parts import Parts
from kaiko_server.store.db import Connection, Row


async def check(parts: Parts) -> None:
    """Ask what the work depends on.

    Raises
    ------
    ModelUnavailableError
        The model's thread is gone.
    StoreError
        The database does not answer.
    """
    if not parts.model.ready:
        raise ModelUnavailableError
    await parts.db.read(_ask)


async def _ask(connection: Connection) -> Row | None:
    return await connection.fetchrow("SELECT 1 AS answer")
