"""All SQL of API keys."""

from kaiko_server.store.db import Connection, Row

_SELECT = """
SELECT keys.id, keys.project_id, projects.name AS project, keys.environment, keys.name, keys.hint, keys.digest,
       keys.created_at, keys.expires_at, keys.revoked_at, keys.last_used_at, keys.scopes, keys.addresses, keys.successor,
       projects.plan, projects.pii,
       keys.per_minute AS own_per_minute, keys.concurrent AS own_concurrent, keys.tokens_per_month AS own_tokens_per_month,
       COALESCE(keys.per_minute, plans.per_minute) AS per_minute, COALESCE(keys.concurrent, plans.concurrent) AS concurrent,
       COALESCE(keys.tokens_per_month, plans.tokens_per_month) AS tokens_per_month,
       projects.context_state_s, projects.context_points_s, projects.context_strict
FROM keys JOIN projects ON projects.id = keys.project_id LEFT JOIN plans ON plans.name = projects.plan
"""


async def insert(  # noqa: PLR0913 - the columns of a key
    connection: Connection,
    *,
    key_id: str,
    project_id: str,
    environment: str,
    name: str,
    hint: str,
    digest: bytes,
    created_at: int,
    expires_at: int | None,
    scopes: str,
    addresses: str | None,
    per_minute: int | None,
    concurrent: int | None,
    tokens_per_month: int | None,
) -> None:
    """Add a key; times in microseconds."""
    await connection.execute(
        "INSERT INTO keys (id, project_id, environment, name, hint, digest, created_at, expires_at, scopes, addresses, "
        "per_minute, concurrent, tokens_per_month) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        key_id,
        project_id,
        environment,
        name,
        hint,
        digest,
        created_at,
        expires_at,
        scopes,
        addresses,
        per_minute,
        concurrent,
        tokens_per_month,
    )


async def find_by_digest(connection: Connection, digest: bytes) -> Row | None:
    return await connection.fetchrow(f"{_SELECT} WHERE keys.digest = $1", digest)


async def find(connection: Connection, key_id: str) -> Row | None:
    return await connection.fetchrow(f"{_SELECT} WHERE keys.id = $1", key_id)


async def list_all(connection: Connection) -> list[Row]:
    return await connection.fetch(f"{_SELECT} ORDER BY keys.created_at, keys.id")


async def list_of_project(connection: Connection, project: str) -> list[Row]:
    return await connection.fetch(f"{_SELECT} WHERE projects.name = $1 ORDER BY keys.created_at, keys.id", project)


async def end_by(connection: Connection, key_id: str, moment: int, successor: str) -> int:
    """Have a key expire at *moment*, in microseconds, unless it does so before, and note which key follows it; once."""
    return await connection.execute(
        "UPDATE keys SET expires_at = CASE WHEN expires_at IS NULL OR expires_at > $2 THEN $2 ELSE expires_at END, successor = $3 "
        "WHERE id = $1 AND revoked_at IS NULL AND successor IS NULL",
        key_id,
        moment,
        successor,
    )


async def revoke(connection: Connection, key_id: str, revoked_at: int) -> int:
    """Mark a key as revoked unless it is already: the first time stays. *revoked_at* in microseconds."""
    return await connection.execute("UPDATE keys SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", key_id, revoked_at)


async def delete_of_project(connection: Connection, project_id: str) -> int:
    return await connection.execute("DELETE FROM keys WHERE project_id = $1", project_id)
