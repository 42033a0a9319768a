"""``kaiko serve``: the server, and on the very first start a project and a key to try it with."""

import shlex
import sys
from pathlib import Path

import click

from kaiko_server.cli.common import data_dir, database, now, run, settings_of
from kaiko_server.keys.service import create_key, list_keys, load_pepper
from kaiko_server.serve import run as run_server
from kaiko_server.settings import Settings

_TRY = '{"model": "emotion-v2", "messages": [{"role": "user", "content": {"text": "I got the job! Still smiling."}}]}'


@click.command("serve")
@click.option("--host", help="Address to listen on. [default: KAIKO_HOST, or 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one. [default: KAIKO_PORT, or 8000]")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes, each with a model of its own. [default: KAIKO_WORKERS, or 1]")
@data_dir
def command(host: str | None, port: int | None, workers: int | None, data_dir: Path | None) -> None:
    """Run the server until it is told to stop; SIGTERM lets requests in flight finish."""
    settings = settings_of(host=host, port=port, workers=workers, data_dir=data_dir)
    key = run(_first_key(settings))
    sys.exit(run_server(settings, ready=lambda url: _welcome(url, key, settings)))


async def _first_key(settings: Settings) -> str | None:
    """Make a project and a key when there is none yet, in development; elsewhere an operator makes them."""
    async with database(settings) as db:
        pepper = load_pepper(settings)
        if not settings.development or await list_keys(db):
            return None
        made = await create_key(db, pepper, project="default", environment="live", name="first key", clock=now)
        return made.key


def _welcome(url: str, key: str | None, settings: Settings) -> None:
    """Say where the server is and how to try it; the key goes to the terminal alone, never to the log."""
    bold = {"bold": True}
    click.echo()
    click.echo("  Kaiko listens on " + click.style(url, **bold) + f"   docs: {url}/docs   data: {settings.data_dir}")
    if key is None:
        click.echo("  Keys are there already; `kaiko keys create` makes another.\n")
        return
    click.echo("  Your first API key, shown this once: " + click.style(key, **bold))
    click.echo("\n  Try it:\n")
    click.echo(f"  curl -s {url}/v2/emotions/analysis -H 'x-api-key: {key}' -H 'content-type: application/json' \\")
    click.echo(f"    -d {shlex.quote(_TRY)}\n")
