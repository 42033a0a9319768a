"""All SQL of contexts."""

from collections.abc import Sequence

from kaiko_server.store.db import Connection, Row

_COLUMNS = "id, created_at, expires_at, message_count, last_number, digest_key, state"


async def hold(  # noqa: PLR0913 - the columns of a context
    connection: Connection,
    *,
    context_id: str,
    project_id: str,
    environment: str,
    name: bytes,
    digest_key: bytes,
    now: int,
) -> Row:
    """Give the row of a context, made if there is none (then expired already), and locked until the transaction ends."""
    row = await connection.fetchrow(
        "INSERT INTO contexts (id, project_id, environment, name, created_at, expires_at, message_count, last_number, digest_key, state) "  # noqa: S608 - constants
        "VALUES ($1, $2, $3, $4, $5, $5, 0, 0, $6, '{}') "
        f"ON CONFLICT (project_id, environment, name) DO UPDATE SET last_number = contexts.last_number RETURNING {_COLUMNS}",
        context_id,
        project_id,
        environment,
        name,
        now,
        digest_key,
    )
    assert row is not None  # inserted or found
    return row


async def find(connection: Connection, project_id: str, environment: str, name: bytes, now: int) -> Row | None:
    """Give the row of a context whose state has not expired."""
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM contexts WHERE project_id = $1 AND environment = $2 AND name = $3 AND expires_at > $4",  # noqa: S608 - constants
        project_id,
        environment,
        name,
        now,
    )


async def begin_again(connection: Connection, context_id: str, digest_key: bytes, now: int) -> None:
    """Forget what an expired context still holds."""
    await connection.execute("DELETE FROM context_messages WHERE context_id = $1", context_id)
    await connection.execute(
        "UPDATE contexts SET created_at = $2, message_count = 0, digest_key = $3, state = '{}' WHERE id = $1", context_id, now, digest_key
    )


async def keep(connection: Connection, context_id: str, *, added: int, expires_at: int, state: str) -> Row:
    """Set what a request leaves behind, and give the counts that then hold."""
    row = await connection.fetchrow(
        "UPDATE contexts SET message_count = message_count + $2, last_number = last_number + $2, expires_at = $3, state = $4 "
        "WHERE id = $1 RETURNING message_count",
        context_id,
        added,
        expires_at,
        state,
    )
    assert row is not None  # it is locked
    return row


async def add_message(  # noqa: PLR0913 - the columns of a message
    connection: Connection, context_id: str, *, external_id: bytes, number: int, role: str, said_at: int, digest: bytes, item: str
) -> None:
    await connection.execute(
        "INSERT INTO context_messages (context_id, external_id, number, role, said_at, digest, item) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        context_id,
        external_id,
        number,
        role,
        said_at,
        digest,
        item,
    )


async def find_message(connection: Connection, context_id: str, external_id: bytes) -> Row | None:
    return await connection.fetchrow(
        "SELECT role, said_at, digest, item FROM context_messages WHERE context_id = $1 AND external_id = $2", context_id, external_id
    )


async def list_messages(connection: Connection, context_id: str, after: int, limit: int) -> Sequence[Row]:
    """Give the messages with a number above *after*, in the order in which they came."""
    return await connection.fetch(
        "SELECT external_id, number, role, said_at, item FROM context_messages "
        "WHERE context_id = $1 AND number > $2 ORDER BY number LIMIT $3",
        context_id,
        after,
        limit,
    )


async def delete(connection: Connection, project_id: str, environment: str, name: bytes) -> None:
    """Remove a context and all that hangs on it."""
    row = await connection.fetchrow(
        "UPDATE contexts SET expires_at = 0 WHERE project_id = $1 AND environment = $2 AND name = $3 RETURNING id",
        project_id,
        environment,
        name,
    )
    if row is not None:
        await _remove(connection, row["id"])


async def sweep(connection: Connection, now: int, limit: int) -> int:
    """Remove contexts whose state has expired, *limit* at most, the longest expired first; give how many."""
    rows = await connection.fetch("SELECT id FROM contexts WHERE expires_at <= $1 ORDER BY expires_at LIMIT $2", now, limit)
    removed = 0
    for row in rows:
        # It may have been used again since: the lock is taken by the row's own change.
        if await connection.execute("UPDATE contexts SET expires_at = 0 WHERE id = $1 AND expires_at <= $2", row["id"], now):
            await _remove(connection, row["id"])
            removed += 1
    return removed


async def _remove(connection: Connection, context_id: str) -> None:
    await connection.execute("DELETE FROM context_messages WHERE context_id = $1", context_id)
    await connection.execute("DELETE FROM contexts WHERE id = $1", context_id)
