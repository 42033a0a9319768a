"""``kaiko projects``: who keeps what for how long, and the end of a project with everything in it."""

import json
from datetime import timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from kaiko_server.cli.common import as_json, data_dir, database, now, operator, run, settings_of
from kaiko_server.contexts import service as contexts
from kaiko_server.keys.service import delete_keys
from kaiko_server.projects import service
from kaiko_server.projects.service import Project, Retention
from kaiko_server.settings import Settings
from kaiko_server.store.db import ConstraintError, Database

_TRIES = 100
"""Half a second after its keys are gone nothing new comes; what was let in before ends within its time limit."""


@click.group("projects")
def command() -> None:
    """List projects, say how long they remember, and end them."""


@command.command("list")
@as_json
@data_dir
def list_(as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """List projects, and where they remember for another time than the server says."""
    found = run(_list(settings_of(data_dir=data_dir)))
    if as_json:
        click.echo(json.dumps([_shown(p) for p in found], indent=2))
        return
    if not found:
        click.echo("No projects yet: `kaiko keys create` makes one.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "name", "made", "state lives", "points live", "strict"):
        table.add_column(column, overflow="fold" if column == "name" else "ellipsis", no_wrap=column == "id")
    for p in found:
        kept = p.retention
        times = ["as the server" if time is None else str(time) for time in (kept.state, kept.points)]
        strict = "as the server" if kept.strict is None else "yes" if kept.strict else "no"
        table.add_row(p.id, p.name, f"{p.created_at:%Y-%m-%d}", *times, strict)
    Console().print(table)


async def _list(settings: Settings) -> list[Project]:
    async with database(settings) as db:
        return await service.list_projects(db)


@command.command("retain")
@click.argument("name")
@click.option("--state-hours", type=click.FloatRange(1 / 60, 876_000), help="How long the state of a context lives after its last message.")
@click.option("--points-days", type=click.FloatRange(1 / 1440, 36_500), help="How long the points of its trajectory live.")
@click.option("--strict/--not-strict", default=None, help="Whether points die with the state at the latest.")
@as_json
@data_dir
def retain(  # noqa: PLR0913, PLR0917 - click passes options by name
    name: str,
    state_hours: float | None,
    points_days: float | None,
    strict: bool | None,  # noqa: FBT001 - as above
    as_json: bool,  # noqa: FBT001 - as above
    data_dir: Path | None,
) -> None:
    """Say how long a project's contexts are remembered; what is left out is as the server says.

    Running servers follow within a second, and what has expired by that is swept off the disk within minutes.
    """
    retention = Retention(
        None if state_hours is None else timedelta(hours=state_hours), None if points_days is None else timedelta(days=points_days), strict
    )
    project = run(_retain(settings_of(data_dir=data_dir), name, retention))
    click.echo(json.dumps(_shown(project)) if as_json else f"{project.name} remembers as told.")


async def _retain(settings: Settings, name: str, retention: Retention) -> Project:
    async with database(settings) as db:
        project = await find_project(db, name)
        await service.set_retention(db, project.id, retention, now(), operator())
        await contexts.look_again(db, project.id)
        return await find_project(db, name)


@command.command("plan")
@click.argument("name")
@click.argument("plan", required=False)
@as_json
@data_dir
def plan(name: str, plan: str | None, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Give a project a plan; without PLAN, none. Running servers follow within a second."""
    project = run(_give_plan(settings_of(data_dir=data_dir), name, plan))
    told = f"{project.name} has the plan {project.plan}." if project.plan else f"{project.name} has no plan."
    click.echo(json.dumps(_shown(project)) if as_json else told)


async def _give_plan(settings: Settings, name: str, plan: str | None) -> Project:
    async with database(settings) as db:
        project = await find_project(db, name)
        await service.give_plan(db, project.id, plan, now(), operator())
        return await find_project(db, name)


@command.command("pii")
@click.argument("name")
@click.argument("what", type=click.Choice(service.PII))
@as_json
@data_dir
def pii(name: str, what: str, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Say what is done with e-mail addresses, phone, card and bank numbers and the like in a project's texts.

    off: nothing. report: each item says which kinds there are, and how many. mask: the same, and the model reads their kinds instead.
    """
    project = run(_set_pii(settings_of(data_dir=data_dir), name, what))
    click.echo(json.dumps(_shown(project)) if as_json else f"{project.name}: personal data, {project.pii}.")


async def _set_pii(settings: Settings, name: str, what: str) -> Project:
    async with database(settings) as db:
        project = await find_project(db, name)
        await service.set_pii(db, project.id, what, now(), operator())
        return await find_project(db, name)


@command.command("region")
@click.argument("name")
@click.argument("region", required=False)
@as_json
@data_dir
def region(name: str, region: str | None, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Say where a project is, in your own words; without REGION, nobody knows. `kaiko features` denies features to regions."""
    project = run(_set_region(settings_of(data_dir=data_dir), name, region))
    told = f"{project.name} is in {project.region}." if project.region else f"{project.name} is in no region."
    click.echo(json.dumps(_shown(project)) if as_json else told)


async def _set_region(settings: Settings, name: str, region: str | None) -> Project:
    async with database(settings) as db:
        project = await find_project(db, name)
        await service.set_region(db, project.id, region, now(), operator())
        return await find_project(db, name)


@command.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@data_dir
def delete(name: str, yes: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """End a project: its keys, its contexts, and itself."""
    if not yes:
        click.confirm(f"Erase the project {name!r} with all its keys and contexts?", abort=True)
    removed, keys = run(_delete(settings_of(data_dir=data_dir), name))
    click.echo(f"{name} is gone, with {keys} {'key' if keys == 1 else 'keys'} and {removed} {'context' if removed == 1 else 'contexts'}.")


async def _delete(settings: Settings, name: str) -> tuple[int, int]:
    async with database(settings) as db:
        project = await find_project(db, name)
        # Keys first, so that nothing new comes; a server believes one that it has just seen for half a second more.
        keys = await delete_keys(db, project.id, now, operator())
        removed = await contexts.delete_all(db, project.id)
        for tries_left in reversed(range(_TRIES)):
            try:
                await service.delete(db, project.id, now(), operator())
                break
            except ConstraintError:  # a request that was let in before has made a context meanwhile
                if not tries_left:
                    raise
                removed += await contexts.delete_all(db, project.id)
        return removed, keys


async def find_project(db: Database, name: str) -> Project:
    """Give the project of this name.

    Raises
    ------
    ValueError
        There is none.
    """
    found = next((p for p in await service.list_projects(db) if p.name == name), None)
    if found is None:
        message = f"there is no project {name!r}"
        raise ValueError(message)
    return found


def _shown(project: Project) -> dict[str, object]:
    kept = project.retention
    return {
        "id": project.id,
        "name": project.name,
        "created_at": project.created_at.isoformat(),
        "plan": project.plan,
        "region": project.region,
        "pii": project.pii,
        "state_hours": None if kept.state is None else kept.state / timedelta(hours=1),
        "points_days": None if kept.points is None else kept.points / timedelta(days=1),
        "strict": kept.strict,
    }
