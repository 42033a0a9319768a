"""All SQL of the audit."""

from kaiko_server.store.db import Connection, Row

_COLUMNS = "number, at, actor, action, subject, address, request_id, detail, hash"


async def hold_ends(connection: Connection, nothing: bytes) -> Row:
    """Give the ends of the chain, locked until the transaction ends."""
    row = await connection.fetchrow(
        "INSERT INTO audit_ends (id, last_number, last_hash, gone_number, gone_hash) VALUES (1, 0, $1, 0, $2) "
        "ON CONFLICT (id) DO UPDATE SET last_number = audit_ends.last_number RETURNING last_number, last_hash, gone_number, gone_hash",
        nothing,
        nothing,
    )
    assert row is not None  # inserted or found
    return row


async def ends(connection: Connection) -> Row | None:
    return await connection.fetchrow("SELECT last_number, last_hash, gone_number, gone_hash FROM audit_ends")


async def add(  # noqa: PLR0913 - a line's columns
    connection: Connection,
    *,
    number: int,
    at: int,
    actor: str,
    action: str,
    subject: str,
    address: str | None,
    request_id: str | None,
    detail: str,
    line_hash: bytes,
) -> None:
    """Add the line after the last."""
    await connection.execute(
        f"INSERT INTO audit ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",  # noqa: S608 - a constant
        number,
        at,
        actor,
        action,
        subject,
        address,
        request_id,
        detail,
        line_hash,
    )
    await connection.execute("UPDATE audit_ends SET last_number = $1, last_hash = $2", number, line_hash)


async def list_after(connection: Connection, number: int, limit: int) -> list[Row]:
    return await connection.fetch(
        f"SELECT {_COLUMNS} FROM audit WHERE number > $1 ORDER BY number LIMIT $2",  # noqa: S608 - a constant
        number,
        limit,
    )


async def find_hash(connection: Connection, line_hash: bytes) -> Row | None:
    return await connection.fetchrow("SELECT number FROM audit WHERE hash = $1", line_hash)


async def last_before(connection: Connection, at: int) -> Row | None:
    """Give the newest line from before a moment."""
    return await connection.fetchrow("SELECT number, hash FROM audit WHERE at < $1 ORDER BY number DESC LIMIT 1", at)


async def remove_until(connection: Connection, number: int, line_hash: bytes) -> int:
    """Remove the lines up to one, and note where the chain begins now."""
    await connection.execute("UPDATE audit_ends SET gone_number = $1, gone_hash = $2", number, line_hash)
    return await connection.execute("DELETE FROM audit WHERE number <= $1", number)
