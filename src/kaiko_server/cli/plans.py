"""``kaiko plans``: limits that many projects share."""

import json
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from kaiko_server.cli.common import as_json, data_dir, database, now, operator, run, settings_of
from kaiko_server.projects import service
from kaiko_server.projects.service import Plan
from kaiko_server.settings import Settings

_LIMIT = click.IntRange(min=0)


@click.group("plans")
def command() -> None:
    """List, make and remove plans; `kaiko projects plan` gives one to a project."""


@command.command("list")
@as_json
@data_dir
def list_(as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """List plans with their limits."""
    found = run(_list(settings_of(data_dir=data_dir)))
    if as_json:
        click.echo(json.dumps([_shown(plan) for plan in found], indent=2))
        return
    if not found:
        click.echo("No plans: `kaiko plans set` makes one.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("plan", "a minute", "at once", "tokens a month"):
        table.add_column(column, justify="left" if column == "plan" else "right")
    for plan in found:
        table.add_row(escape(plan.name), *map(_told, (plan.per_minute, plan.concurrent, plan.tokens_per_month)))
    Console().print(table)


def _told(limit: int | None) -> str:
    return "as the server" if limit is None else f"{limit:,}" if limit else "no limit"


async def _list(settings: Settings) -> list[Plan]:
    async with database(settings) as db:
        return await service.list_plans(db)


@command.command("set")
@click.argument("name")
@click.option("--rpm", "per_minute", type=_LIMIT, help="Requests in any 60 seconds; 0 is no limit. Without it, as the server says.")
@click.option("--concurrent", type=_LIMIT, help="Requests at once; the same.")
@click.option("--tokens-per-month", type=_LIMIT, help="Tokens in a calendar month (UTC); the same.")
@as_json
@data_dir
def set_(  # noqa: PLR0913, PLR0917 - click passes options by name
    name: str,
    per_minute: int | None,
    concurrent: int | None,
    tokens_per_month: int | None,
    as_json: bool,  # noqa: FBT001 - as above
    data_dir: Path | None,
) -> None:
    """Make a plan, or change the one of this name; running servers follow within a second."""
    plan = Plan(name, per_minute, concurrent, tokens_per_month)
    run(_keep(settings_of(data_dir=data_dir), plan))
    click.echo(json.dumps(_shown(plan)) if as_json else f"{name} is as told.")


async def _keep(settings: Settings, plan: Plan) -> None:
    async with database(settings) as db:
        await service.keep_plan(db, plan, now(), operator())


@command.command("delete")
@click.argument("name")
@data_dir
def delete(name: str, data_dir: Path | None) -> None:
    """Remove a plan that no project has."""
    run(_delete(settings_of(data_dir=data_dir), name))
    click.echo(f"{name} is gone.")


async def _delete(settings: Settings, name: str) -> None:
    async with database(settings) as db:
        await service.delete_plan(db, name, now(), operator())


def _shown(plan: Plan) -> dict[str, object]:
    return asdict(plan)
