"""All SQL of usage."""

from kaiko_server.store.db import Connection, Row


async def add(connection: Connection, key_id: str, day: int, requests: int, texts: int, tokens: int) -> None:  # noqa: PLR0913, PLR0917 - a row's columns
    """Add to a key's day; nothing, when the key is gone."""
    await connection.execute(
        "INSERT INTO usage (key_id, day, requests, texts, tokens) "
        "SELECT CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS BIGINT), CAST($4 AS BIGINT), CAST($5 AS BIGINT) "
        "WHERE EXISTS (SELECT 1 FROM keys WHERE id = CAST($1 AS TEXT)) "
        "ON CONFLICT (key_id, day) DO UPDATE SET requests = usage.requests + excluded.requests, texts = usage.texts + excluded.texts, "
        "tokens = usage.tokens + excluded.tokens",
        key_id,
        day,
        requests,
        texts,
        tokens,
    )


async def set_last_used(connection: Connection, key_id: str, moment: int) -> None:
    """Note when a key was used, in microseconds; an earlier time changes nothing."""
    await connection.execute(
        "UPDATE keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2)", key_id, moment
    )


async def tokens_since(connection: Connection, key_id: str, day: int) -> int:
    """Give the tokens that a key has used on *day* and after it."""
    row = await connection.fetchrow(
        "SELECT CAST(COALESCE(SUM(tokens), 0) AS BIGINT) AS tokens FROM usage WHERE key_id = $1 AND day >= $2", key_id, day
    )
    assert row is not None  # a sum always has one
    return int(row["tokens"])


async def list_days(connection: Connection, key_id: str, first: int, last: int) -> list[Row]:
    return await connection.fetch(
        "SELECT day, requests, texts, tokens FROM usage WHERE key_id = $1 AND day >= $2 AND day <= $3 ORDER BY day", key_id, first, last
    )
