"""All SQL of tickets."""

from kaiko_server.store.db import Connection, Row


async def begin(  # noqa: PLR0913 - a row's columns
    connection: Connection, ticket_id: bytes, body: bytes, *, model: str, now: int, leased_until: int, forgotten_at: int
) -> bool:
    """Add a ticket that runs; False when there is one of this id."""
    row = await connection.fetchrow(
        "INSERT INTO tickets (id, body, fence, leased_until, began_at, forgotten_at, model) VALUES ($1, $2, 1, $3, $4, $5, $6) "
        "ON CONFLICT (id) DO NOTHING RETURNING fence",
        ticket_id,
        body,
        leased_until,
        now,
        forgotten_at,
        model,
    )
    return row is not None


async def begin_anew(  # noqa: PLR0913 - a row's columns
    connection: Connection, ticket_id: bytes, body: bytes, *, model: str, now: int, leased_until: int, forgotten_at: int
) -> Row | None:
    """Take a ticket over that is forgotten, whose reply another model would compute, or whose holder's lease has ended.

    Returns
    -------
    Its new fence, and when it first began; None for one that is none of that.
    """
    return await connection.fetchrow(
        "UPDATE tickets SET body = $2, fence = fence + 1, ended = 0, leased_until = $3, forgotten_at = $5, model = $6, context_id = NULL, "
        "status = NULL, reply = NULL, began_at = CASE WHEN ended = 0 AND forgotten_at > $4 THEN began_at ELSE $4 END "
        "WHERE id = $1 AND (forgotten_at <= $4 OR (ended = 1 AND reply IS NULL AND model <> $6) "
        "OR (ended = 0 AND leased_until <= $4 AND body = $2)) RETURNING fence, began_at",
        ticket_id,
        body,
        leased_until,
        now,
        forgotten_at,
        model,
    )


async def find(connection: Connection, ticket_id: bytes) -> Row | None:
    return await connection.fetchrow("SELECT body, fence, ended, began_at, status, reply FROM tickets WHERE id = $1", ticket_id)


async def end(  # noqa: PLR0913 - a row's columns
    connection: Connection, ticket_id: bytes, fence: int, *, status: int, reply: bytes | None, context_id: str | None, forgotten_at: int
) -> int:
    """Write down how a request ended, if its ticket is still held with this fence."""
    return await connection.execute(
        "UPDATE tickets SET ended = 1, status = $3, reply = $4, context_id = $5, forgotten_at = $6 "
        "WHERE id = $1 AND fence = $2 AND ended = 0",
        ticket_id,
        fence,
        status,
        reply,
        context_id,
        forgotten_at,
    )


async def let_go(connection: Connection, ticket_id: bytes, fence: int) -> int:
    """Forget a ticket that is still held with this fence."""
    return await connection.execute("DELETE FROM tickets WHERE id = $1 AND fence = $2 AND ended = 0", ticket_id, fence)


async def delete_of_context(connection: Connection, context_id: str) -> int:
    return await connection.execute("DELETE FROM tickets WHERE context_id = $1", context_id)


async def delete_forgotten(connection: Connection, now: int, at_most: int) -> int:
    return await connection.execute(
        "DELETE FROM tickets WHERE id IN (SELECT id FROM tickets WHERE forgotten_at <= $1 ORDER BY forgotten_at LIMIT $2)", now, at_most
    )
