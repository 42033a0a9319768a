"""All SQL of contexts."""

from collections.abc import Sequence

from kaiko_server.store.db import Connection, Row

Ends = tuple[int | None, int | None]
"""When the oldest and the newest point that is kept was said."""
_COLUMNS = (
    "id, created_at, last_came, message_count, first_number, last_number, digest_key, state, ledger, recent, landmarks, "
    "points_from, points_to"
)


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
        "INSERT INTO contexts "  # noqa: S608 - constants
        "(id, project_id, environment, name, created_at, last_came, due_at, message_count, last_number, digest_key, state) "
        "VALUES ($1, $2, $3, $4, $5, 0, $5, 0, 0, $6, '{}') "
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


async def find(  # noqa: PLR0913, PLR0917 - which context, and when
    connection: Connection, project_id: str, environment: str, name: bytes, came_after: int, oldest: int
) -> Row | None:
    """Give the row of a context whose last message came after a moment, or that has a point that was said at *oldest* or later."""
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM contexts WHERE project_id = $1 AND environment = $2 AND name = $3 "  # noqa: S608 - constants
        "AND (last_came > $4 OR points_to >= $5)",
        project_id,
        environment,
        name,
        came_after,
        oldest,
    )


async def begin_again(connection: Connection, context_id: str, digest_key: bytes, now: int) -> None:
    """Begin a state anew where one has died; its messages count no more, and are left to the sweeper however many they are."""
    await connection.execute(
        "UPDATE contexts SET created_at = $2, message_count = 0, digest_key = $3, state = '{}', first_number = last_number + 1 "
        "WHERE id = $1",
        context_id,
        now,
        digest_key,
    )


async def bury(connection: Connection, context_id: str, name: bytes) -> None:
    """Give a context that has died another name, which nobody can ask for, and leave it to the sweeper whole."""
    await connection.execute(
        "UPDATE contexts SET name = $2, last_came = 0, due_at = 0, digest_key = $3, state = '{}' WHERE id = $1", context_id, name, bytes(32)
    )


async def keep(  # noqa: PLR0913 - what a request leaves behind
    connection: Connection,
    context_id: str,
    *,
    added: int,
    last_came: int,
    due_at: int,
    state: str,
    arc: tuple[str, bytes, bytes],
    ends: Ends,
) -> Row:
    """Set what a request leaves behind, and give the counts that then hold."""
    row = await connection.fetchrow(
        "UPDATE contexts SET message_count = message_count + $2, last_number = last_number + $2, "
        "last_came = CASE WHEN last_came > $3 THEN last_came ELSE $3 END, due_at = $4, state = $5, "
        "ledger = $6, recent = $7, landmarks = $8, points_from = $9, points_to = $10 WHERE id = $1 RETURNING message_count",
        context_id,
        added,
        last_came,
        due_at,
        state,
        *arc,
        *ends,
    )
    assert row is not None  # it is locked
    return row


async def add_message(  # noqa: PLR0913 - the columns of a message
    connection: Connection, context_id: str, *, external_id: bytes, number: int, role: str, said_at: int, digest: bytes, item: str
) -> None:
    """Add a message; one under its id is of a state that has died, and makes room."""
    await connection.execute(
        "INSERT INTO context_messages (context_id, external_id, number, role, said_at, digest, item) VALUES ($1, $2, $3, $4, $5, $6, $7) "
        "ON CONFLICT (context_id, external_id) DO UPDATE SET number = excluded.number, role = excluded.role, said_at = excluded.said_at, "
        "digest = excluded.digest, item = excluded.item",
        context_id,
        external_id,
        number,
        role,
        said_at,
        digest,
        item,
    )


async def find_message(connection: Connection, context_id: str, external_id: bytes, first_number: int) -> Row | None:
    """Give a message that counts: one with *first_number* or a later one."""
    return await connection.fetchrow(
        "SELECT role, said_at, digest, item FROM context_messages WHERE context_id = $1 AND external_id = $2 AND number >= $3",
        context_id,
        external_id,
        first_number,
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


async def hold_known(connection: Connection, project_id: str, environment: str, name: bytes) -> Row | None:
    """Lock the row of a context, whatever of it has expired; None when there is none."""
    return await connection.fetchrow(
        "UPDATE contexts SET last_number = last_number WHERE project_id = $1 AND environment = $2 AND name = $3 RETURNING id",
        project_id,
        environment,
        name,
    )


async def due(connection: Connection, now: int, limit: int) -> list[Row]:
    """Give contexts of which something has expired, *limit* at most, with what their projects say of how long it lives."""
    return await connection.fetch(
        "SELECT contexts.id, projects.context_state_s, projects.context_points_s, projects.context_strict "
        "FROM contexts JOIN projects ON projects.id = contexts.project_id WHERE due_at <= $1 ORDER BY due_at LIMIT $2",
        now,
        limit,
    )


async def postpone(connection: Connection, context_id: str, due_at: int) -> None:
    await connection.execute("UPDATE contexts SET due_at = $2 WHERE id = $1", context_id, due_at)


async def make_due(connection: Connection, project_id: str) -> None:
    """Have the sweeper look at every context of a project."""
    await connection.execute("UPDATE contexts SET due_at = 0 WHERE project_id = $1", project_id)


async def list_of_project(connection: Connection, project_id: str, limit: int) -> list[Row]:
    return await connection.fetch("SELECT id FROM contexts WHERE project_id = $1 LIMIT $2", project_id, limit)


async def hold_again(connection: Connection, context_id: str) -> Row | None:
    """Lock the row of a context that was found; None when it is gone."""
    return await connection.fetchrow(
        f"UPDATE contexts SET last_number = last_number WHERE id = $1 RETURNING {_COLUMNS}",  # noqa: S608 - a constant
        context_id,
    )


async def forget_messages(connection: Connection, context_id: str, before: int, at_most: int) -> int:
    """Remove messages with a number below *before*, the oldest first, and give how many."""
    return await connection.execute(
        "DELETE FROM context_messages WHERE context_id = $1 AND number IN "
        "(SELECT number FROM context_messages WHERE context_id = $1 AND number < $2 ORDER BY number LIMIT $3)",
        context_id,
        before,
        at_most,
    )


async def forget_state(connection: Connection, context_id: str) -> None:
    """Forget a state whose messages are gone, and the key of their digests; whatever the clocks say, it does not come alive again."""
    await connection.execute(
        "UPDATE contexts SET message_count = 0, state = '{}', digest_key = $2, last_came = 0 WHERE id = $1", context_id, bytes(32)
    )


async def set_arc(connection: Connection, context_id: str, arc: tuple[str, bytes, bytes], ends: Ends, due_at: int) -> None:
    await connection.execute(
        "UPDATE contexts SET ledger = $2, recent = $3, landmarks = $4, points_from = $5, points_to = $6, due_at = $7 WHERE id = $1",
        context_id,
        *arc,
        *ends,
        due_at,
    )


async def remove(connection: Connection, context_id: str) -> None:
    """Remove the row of a context on which nothing hangs any more."""
    await connection.execute("DELETE FROM context_messages WHERE context_id = $1", context_id)
    await connection.execute("DELETE FROM contexts WHERE id = $1", context_id)
