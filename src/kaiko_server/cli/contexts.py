"""``kaiko contexts``: the arc of a conversation as a person can see it, what is held of it, and its end."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from kaiko_server.cli.common import as_json, data_dir, database, now, operator, run, settings_of
from kaiko_server.cli.projects import find_project
from kaiko_server.contexts import service
from kaiko_server.contexts.schemas import context_name, points_asked
from kaiko_server.contexts.service import Lives, Place
from kaiko_server.errors import ApiError
from kaiko_server.keys.format import ENVIRONMENTS
from kaiko_server.projects.service import Project
from kaiko_server.settings import Settings

_BLOCKS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
"""Hours or days that are drawn, the latest of them."""
_DAYS = 3
"""A life of more days than this is drawn by days."""

_project = click.option("--project", default="default", show_default=True, help="Whose context it is.")
_environment = click.option("--environment", type=click.Choice(ENVIRONMENTS), default="live", show_default=True, help="Of which keys.")


@click.group("contexts")
def command() -> None:
    """Show and erase conversations that are remembered."""


@command.command("show")
@click.argument("context_id", metavar="ID")
@_project
@_environment
@as_json
@data_dir
def show(context_id: str, project: str, environment: str, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Draw the arc of a conversation."""
    settings = settings_of(data_dir=data_dir)
    found = run(_found(settings, context_id, project, environment))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
    else:
        _draw(found)


@command.command("delete")
@click.argument("context_id", metavar="ID")
@_project
@_environment
@data_dir
def delete(context_id: str, project: str, environment: str, data_dir: Path | None) -> None:
    """Erase a conversation with all that is held of it; one that is not there is erased already."""
    run(_delete(settings_of(data_dir=data_dir), context_id, project, environment))
    click.echo("Nothing is held of it.")


async def _delete(settings: Settings, name: str, project: str, environment: str) -> None:
    async with database(settings) as db:
        await service.delete(db, _place(await find_project(db, project), environment, name), now(), operator())


def _place(project: Project, environment: str, name: str) -> Place:
    """Say which context is meant.

    Raises
    ------
    ValueError
        The name cannot be a context's.
    """
    try:
        return Place(project.id, environment, context_name(name.replace("%", "%25").encode("utf-8", "surrogateescape")))
    except ApiError as error:
        raise ValueError(error.message) from None


async def _found(settings: Settings, name: str, project: str, environment: str) -> dict[str, Any]:
    """Give the state of a context, when it has one, and the sums of its hours or days."""
    moment = now()
    async with database(settings) as db:
        owner = await find_project(db, project)
        place, lives = _place(owner, environment, name), Lives.of(settings, owner.retention)
        try:
            days = await service.points_of(db, place, moment, lives, points_asked({"bucket": "day"}))
            few = len(days["buckets"]) <= _DAYS  # type: ignore[arg-type] # a list
            told = await service.points_of(db, place, moment, lives, points_asked({"bucket": "hour"})) if few else days
        except ApiError as error:
            raise ValueError(error.message) from None
        try:
            state = await service.state_of(db, place, moment, lives)
        except ApiError:  # its state has expired; its points have not
            state = {"context_id": name, "context_message_count": 0}
    return state | {"bucket": "hour" if few else "day", "buckets": told["buckets"]}


def _draw(found: Mapping[str, Any]) -> None:
    console = Console(highlight=False)
    buckets: Sequence[Mapping[str, Any]] = found["buckets"][-_WIDTH:]
    count = sum(b["dataPointCount"] for b in found["buckets"])
    console.print()
    # A client chose the name: what a terminal could take for a command is not shown.
    name = escape("".join(c if c.isprintable() else " " for c in str(found["context_id"])))
    console.print(f"  [bold]{name}[/]  {found['context_message_count']} messages remembered, {count} points of the user")
    if not buckets:
        console.print("  there is no arc yet\n")
        return
    began, ended = (str(buckets[k]["start"])[: 10 if found["bucket"] == "day" else 16].replace("T", " ") for k in (0, -1))
    console.print(f"  by {found['bucket']}, {began} to {ended}; {found['bucket']}s without messages are left out\n")
    console.print(f"  {'pleasant':<10} [green]{_line([max(0.0, b['baselineValence']) for b in buckets])}[/]")
    console.print(f"  {'unpleasant':<10} [red]{_line([max(0.0, -b['baselineValence']) for b in buckets])}[/]")
    console.print(f"  {'intensity':<10} [yellow]{_line([b['averageIntensity'] for b in buckets])}[/]")
    console.print(f"  {'messages':<10} [blue]{_line([float(b['dataPointCount']) for b in buckets])}[/]")
    if "trajectory" in found:
        _tell(console, found["trajectory"], found.get("growth"))
    console.print()


def _line(values: Sequence[float]) -> str:
    """Draw one block a value: of 0..1, or in shares of the largest where that is larger."""
    most = max(1.0, *values)
    return "".join(_BLOCKS[min(len(_BLOCKS) - 1, int(value / most * len(_BLOCKS)))] if value else " " for value in values)


def _tell(console: Console, trajectory: Mapping[str, Any], growth: Mapping[str, Any] | None) -> None:
    base, trend = trajectory["baseline"], trajectory["trend"]
    feelings = ", ".join(f"{name} {share:.0%}" for name, share in list(base["dominantEmotions"].items())[:3]) or "none yet"
    console.print(f"\n  baseline   {feelings}; valence {base['baselineValence']:+.2f}, intensity {base['averageIntensity']:.2f}")
    console.print(f"  trend      {trend['direction']} (valence {trend['valenceTrend']:+.2f}, intensity {trend['intensityTrend']:+.2f})")
    if (momentum := trajectory.get("momentum")) is not None:
        console.print(f"  last day   {momentum['currentEmotion']}, {momentum['trajectory']} ({momentum['momentum']:+.2f} an hour)")
    if growth is not None:
        console.print(f"  growth     {growth['summary']}")
