"""Projects: found by name, made when they are not there."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from kaiko_server.audit import service as audit
from kaiko_server.audit.service import NOBODY, Actor
from kaiko_server.projects import queries
from kaiko_server.store.db import Connection, ConstraintError, Database, Row, from_micros, to_micros

MAX_NAME = 100
"""Characters that a name may have."""
LONGEST = timedelta(days=36_500)
"""A hundred years: for ever, as far as anything here is concerned."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long what is remembered of a project's contexts lives; None where the server's settings hold.

    Attributes
    ----------
    state
        After the last message came.
    points
        After what they tell of was said.
    strict
        Whether points die with the state at the latest.
    """

    state: timedelta | None = None
    points: timedelta | None = None
    strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Project:
    """What keys and data belong to; two projects never see each other's."""

    id: str
    name: str
    created_at: datetime
    retention: Retention
    plan: str | None
    """The name of its plan, if it has one."""
    region: str | None
    """Where it is, in the operator's words."""
    pii: str
    """What is done with personal data in texts; one of ``PII``."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the keys of its projects may do, unless they say otherwise; None leaves it to the settings, 0 is no limit."""

    name: str
    per_minute: int | None
    concurrent: int | None
    tokens_per_month: int | None


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


async def has_project(db: Database, project_id: str) -> bool:
    """Whether there is a project with this id."""
    return await db.read(lambda connection: queries.find_by_id(connection, project_id)) is not None


async def list_projects(db: Database) -> list[Project]:
    """Give all projects, oldest first."""
    return [_project(row) for row in await db.read(queries.list_all)]


async def set_retention(db: Database, project_id: str, retention: Retention, now: datetime, by: Actor = NOBODY) -> None:
    """Say how long what is remembered of a project's contexts lives.

    Raises
    ------
    ValueError
        A time is below a minute or above a hundred years.
    """
    if any(time is not None and not timedelta(minutes=1) <= time <= LONGEST for time in (retention.state, retention.points)):
        message = "what is remembered lives a minute at least, and a hundred years at most"
        raise ValueError(message)
    state, points = (None if time is None else round(time.total_seconds()) for time in (retention.state, retention.points))
    strict = None if retention.strict is None else int(retention.strict)

    async def change(connection: Connection) -> None:
        await queries.set_retention(connection, project_id, state, points, strict)
        await audit.record(connection, by, "project.retain", project_id, now, state_s=state, points_s=points, strict=strict)

    await db.write(change)


async def delete(db: Database, project_id: str, now: datetime, by: Actor = NOBODY) -> None:
    """Remove a project on which nothing hangs any more.

    Raises
    ------
    ConstraintError
        Something does.
    """

    async def remove(connection: Connection) -> None:
        await queries.delete(connection, project_id)
        await audit.record(connection, by, "project.delete", project_id, now)

    await db.write(remove)


FEATURES = ("batch", "contexts", "chat", "explain", "trajectory", "growth", "patterns", "beliefs")
"""What can be denied. The first four are asked for and refused; the others are blocks of a reply, which are left out."""
KINDS = ("project", "plan", "region")


@dataclass(frozen=True, slots=True)
class Restriction:
    """A feature that is denied to a project, to those of a plan, or to those in a region."""

    kind: str
    name: str
    feature: str


async def restrict(db: Database, restriction: Restriction, now: datetime, by: Actor = NOBODY, *, allow: bool = False) -> None:
    """Deny a feature, or *allow* it again; running servers follow within a second. Doing it again changes nothing.

    Raises
    ------
    ValueError
        There is no such feature or kind, or the name is blank or holds control characters.
    """
    kind, name, feature = restriction.kind, restriction.name, restriction.feature
    if feature not in FEATURES or kind not in KINDS or not name.strip() or not name.isprintable() or len(name) > MAX_NAME:
        message = f"a feature is one of {', '.join(FEATURES)}, and is denied to a project, a plan or a region"
        raise ValueError(message)

    async def change(connection: Connection) -> None:
        if await (queries.allow if allow else queries.deny)(connection, kind, name, feature):
            action = "feature.allow" if allow else "feature.deny"
            await audit.record(connection, by, action, name, now, kind=kind, feature=feature)

    await db.write(change)


async def list_restrictions(db: Database) -> list[Restriction]:
    return [Restriction(row["kind"], row["name"], row["feature"]) for row in await db.read(queries.list_restrictions)]


async def denied_to(connection: Connection, project_id: str) -> frozenset[str]:
    """Give what a project may not use."""
    return frozenset(row["feature"] for row in await queries.denied_to(connection, project_id))


async def set_region(db: Database, project_id: str, region: str | None, now: datetime, by: Actor = NOBODY) -> None:
    """Say where a project is; None when nobody knows."""

    async def change(connection: Connection) -> None:
        await queries.set_region(connection, project_id, region)
        await audit.record(connection, by, "project.region", project_id, now, region=region)

    await db.write(change)


PII = ("off", "report", "mask")
"""Nothing; the kinds and how many; the same, and the model reads the names of the kinds in place of the data."""


async def set_pii(db: Database, project_id: str, pii: str, now: datetime, by: Actor = NOBODY) -> None:
    """Say what is done with personal data in a project's texts; running servers follow within a second.

    Raises
    ------
    ValueError
        It is none of ``PII``.
    """
    if pii not in PII:
        message = f"what is done with personal data is one of {', '.join(PII)}"
        raise ValueError(message)

    async def change(connection: Connection) -> None:
        await queries.set_pii(connection, project_id, pii)
        await audit.record(connection, by, "project.pii", project_id, now, pii=pii)

    await db.write(change)


async def list_plans(db: Database) -> list[Plan]:
    """Give all plans, by name."""
    names = ("name", "per_minute", "concurrent", "tokens_per_month")
    return [Plan(*(row[name] for name in names)) for row in await db.read(queries.list_plans)]


async def keep_plan(db: Database, plan: Plan, now: datetime, by: Actor = NOBODY) -> None:
    """Make a plan, or change the one of this name; running servers follow within a second.

    Raises
    ------
    ValueError
        The name is blank, too long or holds control characters.
    """
    if not plan.name.strip() or len(plan.name) > MAX_NAME or not plan.name.isprintable():
        message = f"a plan's name has 1 to {MAX_NAME} printable characters"
        raise ValueError(message)
    limits = {"per_minute": plan.per_minute, "concurrent": plan.concurrent, "tokens_per_month": plan.tokens_per_month}

    async def keep(connection: Connection) -> None:
        await queries.keep_plan(connection, plan.name, *limits.values())
        await audit.record(connection, by, "plan.keep", plan.name, now, **limits)

    await db.write(keep)


async def delete_plan(db: Database, name: str, now: datetime, by: Actor = NOBODY) -> None:
    """Remove a plan.

    Raises
    ------
    ValueError
        There is none of this name, or a project has it.
    """

    async def remove(connection: Connection) -> int:
        removed = await queries.delete_plan(connection, name)
        if removed:
            await audit.record(connection, by, "plan.delete", name, now)
        return removed

    try:
        removed = await db.write(remove)
    except ConstraintError:
        message = f"projects have the plan {name!r}: give them another first"
        raise ValueError(message) from None
    if not removed:
        message = f"there is no plan {name!r}"
        raise ValueError(message)


async def give_plan(db: Database, project_id: str, plan: str | None, now: datetime, by: Actor = NOBODY) -> None:
    """Give a project a plan, or none; running servers follow within a second.

    Raises
    ------
    ValueError
        There is no plan of this name.
    """

    async def give(connection: Connection) -> None:
        await queries.set_plan(connection, project_id, plan)
        await audit.record(connection, by, "project.plan", project_id, now, plan=plan)

    try:
        await db.write(give)
    except ConstraintError:
        message = f"there is no plan {plan!r}"
        raise ValueError(message) from None


def retention_of(row: Row) -> Retention:
    """Read the columns of *row* that say how long a project's contexts live."""
    state, points, strict = row["context_state_s"], row["context_points_s"], row["context_strict"]
    return Retention(
        None if state is None else timedelta(seconds=state),
        None if points is None else timedelta(seconds=points),
        None if strict is None else bool(strict),
    )


def _project(row: Row) -> Project:
    return Project(row["id"], row["name"], from_micros(row["created_at"]), retention_of(row), row["plan"], row["region"], row["pii"])
