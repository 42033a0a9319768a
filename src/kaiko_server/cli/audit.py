"""``kaiko audit``: who did what, and whether anybody has changed that."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape

from kaiko_server.audit import service
from kaiko_server.audit.service import ChainError, Line
from kaiko_server.cli.common import as_json, data_dir, database, run, settings_of
from kaiko_server.settings import Settings


@click.group("audit")
def command() -> None:
    """Show, export and verify what was done to keys, projects and contexts."""


@command.command("list")
@click.option("--last", type=click.IntRange(min=1), default=50, show_default=True, help="So many lines at most, the newest.")
@data_dir
def list_(last: int, data_dir: Path | None) -> None:
    """Show the newest lines."""
    found = run(_lines(settings_of(data_dir=data_dir)))[-last:]
    if not found:
        click.echo("Nothing was done yet.")
        return
    console = Console(highlight=False, soft_wrap=True)
    for line in found:
        detail = ", ".join(f"{name} {_told(value)}" for name, value in line.detail.items() if value not in (None, [], ""))
        rest = " ".join(part for part in (f"from {line.address}" if line.address else "", f"({detail})" if detail else "") if part)
        when, action = f"{line.at:%Y-%m-%d %H:%M:%S}", f"{line.action:<19}"
        # Names come from people: what a terminal could take for a command is not shown.
        told = escape("".join(c if c.isprintable() else " " for c in f"{line.subject}  by {line.actor} {rest}"))
        console.print(f"[dim]{line.number:>5}  {when}[/]  [bold]{action}[/] {told}")


def _told(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


@command.command("export")
@data_dir
def export(data_dir: Path | None) -> None:
    """Write every line as JSON, one a line, to standard output."""
    for line in run(_lines(settings_of(data_dir=data_dir))):
        click.echo(json.dumps(_shown(line)))


@command.command("verify")
@click.option("--head", metavar="HASH", help="The hash that an earlier verify printed: that line must still be there.")
@as_json
@data_dir
def verify(head: str | None, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Go through the whole chain, and say whether somebody has changed it. Exit code 1 when it does not hold."""
    count, last, known = run(_verify(settings_of(data_dir=data_dir), head))
    if not known:
        message = f"the chain holds by itself, but no line of it has the hash {head}: it was written anew"
        raise click.ClickException(message)
    told = (
        f"{count} {'line' if count == 1 else 'lines'}, nothing was changed.\nKeep this elsewhere, and give it to --head next time: {last}"
    )
    click.echo(json.dumps({"lines": count, "head": last}) if as_json else told)


async def _verify(settings: Settings, head: str | None) -> tuple[int, str, bool]:
    async with database(settings) as db:
        try:
            count, last = await service.verify(db)
        except ChainError as error:
            raise ValueError(str(error)) from None
        return count, last, head is None or await service.has_hash(db, head)


async def _lines(settings: Settings) -> list[Line]:
    async with database(settings) as db:
        return [line async for line in service.lines(db)]


def _shown(line: Line) -> dict[str, object]:
    return {
        "number": line.number,
        "at": line.at.isoformat(),
        "actor": line.actor,
        "action": line.action,
        "subject": line.subject,
        "address": line.address,
        "request_id": line.request_id,
        "detail": line.detail,
    }
