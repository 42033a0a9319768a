"""All SQL of projects."""

from kaiko_server.store.db import Connection, Row

_COLUMNS = "id, name, created_at, context_state_s, context_points_s, context_strict, plan, region, pii"


async def insert(connection: Connection, *, project_id: str, name: str, created_at: int) -> None:
    """Add a project unless the name is taken; *created_at* in microseconds."""
    await connection.execute(
        "INSERT INTO projects (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO NOTHING",
        project_id,
        name,
        created_at,
    )


async def find(connection: Connection, name: str) -> Row | None:
    return await connection.fetchrow(f"SELECT {_COLUMNS} FROM projects WHERE name = $1", name)  # noqa: S608 - a constant


async def find_by_id(connection: Connection, project_id: str) -> Row | None:
    return await connection.fetchrow(f"SELECT {_COLUMNS} FROM projects WHERE id = $1", project_id)  # noqa: S608 - a constant


async def list_all(connection: Connection) -> list[Row]:
    return await connection.fetch(f"SELECT {_COLUMNS} FROM projects ORDER BY created_at, id")  # noqa: S608 - a constant


async def set_retention(connection: Connection, project_id: str, state_s: int | None, points_s: int | None, strict: int | None) -> None:
    await connection.execute(
        "UPDATE projects SET context_state_s = $2, context_points_s = $3, context_strict = $4 WHERE id = $1",
        project_id,
        state_s,
        points_s,
        strict,
    )


async def set_plan(connection: Connection, project_id: str, plan: str | None) -> None:
    await connection.execute("UPDATE projects SET plan = $2 WHERE id = $1", project_id, plan)


async def set_region(connection: Connection, project_id: str, region: str | None) -> None:
    await connection.execute("UPDATE projects SET region = $2 WHERE id = $1", project_id, region)


async def set_pii(connection: Connection, project_id: str, pii: str) -> None:
    await connection.execute("UPDATE projects SET pii = $2 WHERE id = $1", project_id, pii)


async def deny(connection: Connection, kind: str, name: str, feature: str) -> int:
    return await connection.execute(
        "INSERT INTO restrictions (kind, name, feature) VALUES ($1, $2, $3) ON CONFLICT (kind, name, feature) DO NOTHING",
        kind,
        name,
        feature,
    )


async def allow(connection: Connection, kind: str, name: str, feature: str) -> int:
    return await connection.execute("DELETE FROM restrictions WHERE kind = $1 AND name = $2 AND feature = $3", kind, name, feature)


async def list_restrictions(connection: Connection) -> list[Row]:
    return await connection.fetch("SELECT kind, name, feature FROM restrictions ORDER BY kind, name, feature")


async def denied_to(connection: Connection, project_id: str) -> list[Row]:
    """Give the features that are denied to a project, by itself, by its plan or by its region."""
    return await connection.fetch(
        "SELECT DISTINCT restrictions.feature FROM projects JOIN restrictions ON (kind = 'project' AND restrictions.name = projects.name) "
        "OR (kind = 'plan' AND restrictions.name = projects.plan) OR (kind = 'region' AND restrictions.name = projects.region) "
        "WHERE projects.id = $1",
        project_id,
    )


async def list_plans(connection: Connection) -> list[Row]:
    return await connection.fetch("SELECT name, per_minute, concurrent, tokens_per_month FROM plans ORDER BY name")


async def keep_plan(connection: Connection, name: str, per_minute: int | None, concurrent: int | None, tokens: int | None) -> None:
    """Make a plan, or change it."""
    await connection.execute(
        "INSERT INTO plans (name, per_minute, concurrent, tokens_per_month) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE SET "
        "per_minute = excluded.per_minute, concurrent = excluded.concurrent, tokens_per_month = excluded.tokens_per_month",
        name,
        per_minute,
        concurrent,
        tokens,
    )


async def delete_plan(connection: Connection, name: str) -> int:
    return await connection.execute("DELETE FROM plans WHERE name = $1", name)


async def delete(connection: Connection, project_id: str) -> None:
    await connection.execute("DELETE FROM projects WHERE id = $1", project_id)
