"""All SQL of points and their sums."""

from kaiko_server.store.db import Connection, Row

_COLUMNS = "said_at, number, role, category, complexity, intensity, valence, arousal, wonder, breakthrough"


async def add_point(  # noqa: PLR0913, PLR0917 - a row's columns
    connection: Connection,
    context_id: str,
    role: int,
    point: tuple[int, ...],
    sign: int | None,
    recovery: tuple[int, int] | None,
    follows: int | None,
) -> None:
    await connection.execute(
        "INSERT INTO points (context_id, role, said_at, number, category, complexity, intensity, valence, arousal, wonder, breakthrough, "
        "sign, recovery, recovered_from, follows) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        context_id,
        role,
        *point,
        sign,
        *(recovery or (None, None)),
        follows,
    )


async def set_follows(connection: Connection, context_id: str, number: int, follows: int) -> None:
    """Change what a point follows."""
    await connection.execute("UPDATE points SET follows = $3 WHERE context_id = $1 AND number = $2", context_id, number, follows)


async def set_recovery(connection: Connection, context_id: str, number: int, recovery: tuple[int, int] | None) -> None:
    """Change what a point ends."""
    await connection.execute(
        "UPDATE points SET recovery = $3, recovered_from = $4 WHERE context_id = $1 AND number = $2",
        context_id,
        number,
        *(recovery or (None, None)),
    )


async def point(connection: Connection, context_id: str, number: int) -> Row | None:
    return await connection.fetchrow(
        f"SELECT {_COLUMNS}, recovery, recovered_from FROM points WHERE context_id = $1 AND number = $2",  # noqa: S608 - a constant
        context_id,
        number,
    )


async def beside(connection: Connection, context_id: str, said_at: int, number: int) -> tuple[Row | None, Row | None]:
    """Give the user's points next before and next after a place in time, with what they end and follow."""
    where = "context_id = $1 AND role = 0 AND (said_at, number)"
    select = f"SELECT {_COLUMNS}, recovery, recovered_from, follows FROM points WHERE {where}"  # noqa: S608 - constants
    place = (context_id, said_at, number)
    before = await connection.fetchrow(f"{select} < ($2, $3) ORDER BY said_at DESC, number DESC LIMIT 1", *place)
    return before, await connection.fetchrow(f"{select} > ($2, $3) ORDER BY said_at, number LIMIT 1", *place)


async def signed_before(connection: Connection, context_id: str, sign: int, said_at: int, number: int) -> Row | None:
    """Give the last user's point of this sign before a place in time."""
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM points WHERE context_id = $1 AND sign = $2 AND (said_at, number) < ($3, $4) "  # noqa: S608 - a constant
        "ORDER BY said_at DESC, number DESC LIMIT 1",
        context_id,
        sign,
        said_at,
        number,
    )


async def signed_after(connection: Connection, context_id: str, sign: int, said_at: int, number: int) -> Row | None:
    """Give the first user's point of this sign after a place in time."""
    return await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM points WHERE context_id = $1 AND sign = $2 AND (said_at, number) > ($3, $4) "  # noqa: S608 - a constant
        "ORDER BY said_at, number LIMIT 1",
        context_id,
        sign,
        said_at,
        number,
    )


async def tally(connection: Connection, context_id: str, size: int, begins: int) -> Row | None:
    return await connection.fetchrow(
        "SELECT sums, habits FROM tallies WHERE context_id = $1 AND size = $2 AND begins = $3", context_id, size, begins
    )


async def set_tally(  # noqa: PLR0913, PLR0917 - a row's columns
    connection: Connection, context_id: str, size: int, begins: int, sums: str, habits: str | None
) -> None:
    await connection.execute(
        "INSERT INTO tallies (context_id, size, begins, sums, habits) VALUES ($1, $2, $3, $4, $5) "
        "ON CONFLICT (context_id, size, begins) DO UPDATE SET sums = excluded.sums, habits = excluded.habits",
        context_id,
        size,
        begins,
        sums,
        habits,
    )


async def tallies(  # noqa: PLR0913, PLR0917 - of what, and which page
    connection: Connection, context_id: str, size: int, begins: int, ends: int, limit: int = 100_000
) -> list[Row]:
    """Give the sums of the hours or days that begin in a stretch of time, oldest first."""
    return await connection.fetch(
        "SELECT begins, sums, habits FROM tallies WHERE context_id = $1 AND size = $2 AND begins >= $3 AND begins < $4 "
        "ORDER BY begins LIMIT $5",
        context_id,
        size,
        begins,
        ends,
        limit,
    )


async def list_points(  # noqa: PLR0913, PLR0917 - of what, and which page
    connection: Connection, context_id: str, begins: int, ends: int, after: tuple[int, int], limit: int
) -> list[Row]:
    """Give the points of a stretch of time after a place in it, oldest first."""
    return await connection.fetch(
        f"SELECT {_COLUMNS} FROM points WHERE context_id = $1 AND said_at >= $2 AND said_at < $3 AND (said_at, number) > ($4, $5) "  # noqa: S608 - a constant
        "ORDER BY said_at, number LIMIT $6",
        context_id,
        begins,
        ends,
        *after,
        limit,
    )


async def list_by_number(connection: Connection, context_id: str, oldest: int, after: int, limit: int) -> list[Row]:
    """Give the points with a number above *after* that were said at *oldest* or later, in the order in which they came."""
    return await connection.fetch(
        f"SELECT {_COLUMNS} FROM points WHERE context_id = $1 AND number > $2 AND said_at >= $3 ORDER BY number LIMIT $4",  # noqa: S608 - a constant
        context_id,
        after,
        oldest,
        limit,
    )


async def remove_before(connection: Connection, context_id: str, moment: int) -> None:
    """Remove the points, hours and days that lie wholly before *moment*."""
    await connection.execute("DELETE FROM points WHERE context_id = $1 AND said_at < $2", context_id, moment)
    await connection.execute("DELETE FROM tallies WHERE context_id = $1 AND size = 1 AND begins < $2", context_id, moment)


async def remove_tally(connection: Connection, context_id: str, size: int, begins: int) -> None:
    await connection.execute("DELETE FROM tallies WHERE context_id = $1 AND size = $2 AND begins = $3", context_id, size, begins)


async def remove_all(connection: Connection, context_id: str) -> None:
    await connection.execute("DELETE FROM points WHERE context_id = $1", context_id)
    await connection.execute("DELETE FROM tallies WHERE context_id = $1", context_id)


async def cutoff(connection: Connection, context_id: str, before: int, at_most: int) -> Row | None:
    """Give the first point said before a moment that *at_most* others stand before; None when they are fewer."""
    return await connection.fetchrow(
        "SELECT said_at FROM points WHERE context_id = $1 AND said_at < $2 ORDER BY said_at, number LIMIT 1 OFFSET $3",
        context_id,
        before,
        at_most,
    )


async def first_of_user(connection: Connection, context_id: str, begins: int) -> Row | None:
    return await connection.fetchrow(
        "SELECT said_at FROM points WHERE context_id = $1 AND role = 0 AND said_at >= $2 ORDER BY said_at, number LIMIT 1",
        context_id,
        begins,
    )


async def oldest(connection: Connection, context_id: str) -> Row | None:
    return await connection.fetchrow("SELECT said_at FROM points WHERE context_id = $1 ORDER BY said_at, number LIMIT 1", context_id)
