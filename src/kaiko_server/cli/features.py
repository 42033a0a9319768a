"""``kaiko features``: what is denied to whom."""

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from kaiko_server.cli.common import as_json, data_dir, database, now, operator, run, settings_of
from kaiko_server.projects import service
from kaiko_server.projects.service import FEATURES, KINDS, Restriction
from kaiko_server.settings import Settings


@click.group("features")
def command() -> None:
    """Deny features to a project, to a plan, or to a region. Nothing is denied at first."""


def _whom(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say to whom; one of them is given."""
    for kind in reversed(KINDS):
        function = click.option(f"--{kind}", metavar="NAME", help=f"The {kind} that it is about.")(function)
    return click.argument("feature", type=click.Choice(FEATURES))(data_dir(function))


def _change(feature: str, data_dir: Path | None, *, allow: bool, **whom: str | None) -> None:
    told = [(kind, name) for kind, name in whom.items() if name is not None]
    if len(told) != 1:
        message = f"say to whom, with one of {', '.join(f'--{kind}' for kind in KINDS)}"
        raise click.UsageError(message)
    kind, name = told[0]
    run(_restrict(settings_of(data_dir=data_dir), Restriction(kind, name, feature), allow=allow))
    click.echo(f"{feature} is {'allowed to' if allow else 'denied to'} the {kind} {name}.")


command.command("deny", help="Deny FEATURE; running servers follow within a second.")(_whom(partial(_change, allow=False)))
command.command("allow", help="Take a denial back.")(_whom(partial(_change, allow=True)))


@command.command("list")
@as_json
@data_dir
def list_(as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """List what is denied."""
    found = run(_list(settings_of(data_dir=data_dir)))
    if as_json:
        click.echo(json.dumps([asdict(one) for one in found], indent=2))
        return
    for one in found:
        click.echo(f"{one.feature:<12} {one.kind:<8} {one.name}")
    if not found:
        click.echo("Nothing is denied.")


async def _list(settings: Settings) -> list[Restriction]:
    async with database(settings) as db:
        return await service.list_restrictions(db)


async def _restrict(settings: Settings, restriction: Restriction, *, allow: bool) -> None:
    async with database(settings) as db:
        await service.restrict(db, restriction, now(), operator(), allow=allow)
