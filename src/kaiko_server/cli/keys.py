"""``kaiko keys``: the only place where a key is ever shown, and that once."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from kaiko_server.cli.common import as_json, data_dir, database, now, operator, run, settings_of
from kaiko_server.keys.format import ENVIRONMENTS
from kaiko_server.keys.service import (
    SCOPES,
    USUAL_SCOPES,
    CreatedKey,
    KeyRecord,
    Terms,
    create_key,
    list_keys,
    load_pepper,
    revoke_key,
    rotate_key,
)
from kaiko_server.settings import Settings
from kaiko_server.usage.service import Day, usage_of

_SPAN = re.compile(r"(\d{1,5})([dhms])")
_LIMIT = click.IntRange(min=0)
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_BAR = 30


class Span(click.ParamType[timedelta]):
    """A span such as 30d, 12h, 15m or 0s."""

    name = "SPAN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        span = _SPAN.fullmatch(str(value))
        if span is None:
            self.fail(f"{value!r} is no span such as 30d, 12h, 15m or 0s", param, ctx)
        return timedelta(**{_UNITS[span[2]]: int(span[1])})


class Expiry(click.ParamType[datetime]):
    """A moment (ISO 8601; no zone is UTC) or a span from now such as 30d, 12h, 15m."""

    name = "WHEN"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        text = str(value)
        if span := _SPAN.fullmatch(text):
            return now() + timedelta(**{_UNITS[span[2]]: int(span[1])})
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(f"{text!r} is neither a date such as 2027-01-31 nor a span such as 30d, 12h or 15m", param, ctx)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if moment <= now():
            self.fail(f"{text!r} is in the past", param, ctx)
        return moment


@click.group("keys")
def command() -> None:
    """Make, list, rotate and revoke API keys, and show what they used."""


@command.command("create")
@click.option("--project", default="default", show_default=True, help="Project; made if there is none of the name.")
@click.option("--environment", type=click.Choice(ENVIRONMENTS), default="live", show_default=True, help="Live and test data never meet.")
@click.option("--name", default="unnamed", show_default=True, help="What the key is for, to tell it from others.")
@click.option("--expires", type=Expiry(), help="From when on it is refused: 2027-01-31, or 30d, 12h, 15m.")
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, help="What it is for, more than one by repeating; all but admin."
)
@click.option("--from", "addresses", multiple=True, metavar="ADDRESS", help="Address or network that it may come from; may be repeated.")
@click.option(
    "--rpm", "per_minute", type=_LIMIT, help="Requests in any 60 seconds; 0 is no limit. Without it, as the plan or the settings say."
)
@click.option("--concurrent", type=_LIMIT, help="Requests at once; the same.")
@click.option("--tokens-per-month", type=_LIMIT, help="Tokens in a calendar month (UTC); the same.")
@as_json
@data_dir
def create(project: str, environment: str, name: str, as_json: bool, data_dir: Path | None, **terms: Any) -> None:  # noqa: FBT001, ANN401 - click passes options by name
    """Make a key and show it, once."""
    settings = settings_of(data_dir=data_dir)
    made = Terms(
        scopes=terms["scopes"] or USUAL_SCOPES,
        addresses=terms["addresses"],
        expires_at=terms["expires"],
        per_minute=terms["per_minute"],
        concurrent=terms["concurrent"],
        tokens_per_month=terms["tokens_per_month"],
    )
    key = run(_create(settings, project, environment, name, made))
    if as_json:
        click.echo(json.dumps(_shown(key) | {"key": key.key}))
        return
    click.echo(key.key)
    click.echo(f"Keep it now: it is shown this once. Its id is {key.id}; `kaiko keys revoke {key.id}` ends it.", err=True)


async def _create(settings: Settings, project: str, environment: str, name: str, terms: Terms) -> CreatedKey:
    async with database(settings) as db:
        pepper = load_pepper(settings)
        return await create_key(db, pepper, project=project, environment=environment, name=name, clock=now, terms=terms, by=operator())


@command.command("list")
@click.option("--project", help="Only this project's.")
@as_json
@data_dir
def list_(project: str | None, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """List keys, without their secrets."""
    records = run(_list(settings_of(data_dir=data_dir), project))
    if as_json:
        click.echo(json.dumps([_shown(r) for r in records], indent=2))
        return
    if not records:
        click.echo("No keys yet: `kaiko keys create` makes one.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("id", "project", "env", "name", "ends in", "made", "used", "expires", "status"):
        table.add_column(column, overflow="fold" if column == "name" else "ellipsis", no_wrap=column == "id")
    for r in records:
        status = r.status(now())
        colour = {"active": "green", "revoked": "red"}.get(status, "yellow")
        expires = f"{r.expires_at:%Y-%m-%d}" if r.expires_at else "never"
        used = f"{r.last_used_at:%Y-%m-%d}" if r.last_used_at else "never"
        table.add_row(r.id, r.project, r.environment, r.name, r.hint, f"{r.created_at:%Y-%m-%d}", used, expires, f"[{colour}]{status}[/]")
    Console().print(table)


async def _list(settings: Settings, project: str | None) -> list[KeyRecord]:
    async with database(settings) as db:
        return await list_keys(db, project)


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@as_json
@data_dir
def revoke(key_id: str, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Refuse a key from now on: running servers follow within a second."""
    record = run(_revoke(settings_of(data_dir=data_dir), key_id))
    click.echo(json.dumps(_shown(record)) if as_json else f"{record.id} is revoked.")


async def _revoke(settings: Settings, key_id: str) -> KeyRecord:
    async with database(settings) as db:
        return await revoke_key(db, key_id, now, operator())


@command.command("rotate")
@click.argument("key_id", metavar="ID")
@click.option("--overlap", type=Span(), default="24h", show_default=True, help="How long the old key works on: 0s to 30d.")
@as_json
@data_dir
def rotate(key_id: str, overlap: timedelta, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Make the key that follows another, and show it, once; the old one works on for a while."""
    key = run(_rotate(settings_of(data_dir=data_dir), key_id, overlap))
    if as_json:
        click.echo(json.dumps(_shown(key) | {"key": key.key}))
        return
    click.echo(key.key)
    click.echo(f"Keep it now: it is shown this once. Its id is {key.id}; {key_id} works on for {overlap}.", err=True)


async def _rotate(settings: Settings, key_id: str, overlap: timedelta) -> CreatedKey:
    async with database(settings) as db:
        return await rotate_key(db, load_pepper(settings), key_id, overlap=overlap, clock=now, by=operator())


@command.command("usage")
@click.argument("key_id", metavar="ID")
@click.option("--days", type=click.IntRange(1, 400), default=30, show_default=True, help="How many days back.")
@as_json
@data_dir
def usage(key_id: str, days: int, as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Show what a key used, by day (UTC)."""
    found = run(_usage(settings_of(data_dir=data_dir), key_id, days))
    if as_json:
        told = [{"day": d.day.isoformat(), "requests": d.requests, "texts": d.texts, "tokens": d.tokens} for d in found]
        click.echo(json.dumps(told, indent=2))
        return
    if not found:
        click.echo(f"{key_id} was not used in the last {days} days.")
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("day", "requests", "texts", "tokens"):
        table.add_column(column, justify="left" if column == "day" else "right")
    table.add_column("")
    most = max(d.tokens for d in found) or 1
    for d in found:
        table.add_row(f"{d.day}", f"{d.requests:,}", f"{d.texts:,}", f"{d.tokens:,}", f"[blue]{'█' * round(d.tokens / most * _BAR)}[/]")
    Console().print(table)


async def _usage(settings: Settings, key_id: str, days: int) -> list[Day]:
    today = now().date()
    async with database(settings) as db:
        return await usage_of(db, key_id, today - timedelta(days=days - 1), today)


def _shown(record: KeyRecord) -> dict[str, object]:
    return {
        "id": record.id,
        "project": record.project,
        "environment": record.environment,
        "name": record.name,
        "hint": record.hint,
        "status": record.status(now()),
        "created_at": record.created_at.isoformat(),
        "expires_at": record.expires_at.isoformat() if record.expires_at else None,
        "revoked_at": record.revoked_at.isoformat() if record.revoked_at else None,
        "last_used_at": record.last_used_at.isoformat() if record.last_used_at else None,
        "scopes": list(record.scopes),
        "addresses": list(record.addresses),
        "plan": record.plan,
        "per_minute": record.per_minute,
        "concurrent": record.concurrent,
        "tokens_per_month": record.tokens_per_month,
        "successor": record.successor,
    }
