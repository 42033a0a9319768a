"""``kaiko serve``: the server, and on the very first start a project and a key to try it with."""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from kaiko_server.cli.common import data_dir, database, now, one_line, operator, run, settings_of
from kaiko_server.keys.service import create_key, list_keys, load_pepper
from kaiko_server.serve import run as run_server
from kaiko_server.settings import Settings, load
from kaiko_server.store.files import only_server

_FILE = click.Path(path_type=Path, dir_okay=False)
_TRY = '{"model": "emotion-v2", "messages": [{"content": {"text": "I got the job!"}}]}'


@click.command("serve")
@click.option("--host", help="Address to listen on. [default: KAIKO_HOST, or 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one. [default: KAIKO_PORT, or 8000]")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes, each with a model of its own. [default: KAIKO_WORKERS, or 1]")
@click.option("--tls-cert", type=_FILE, help="Certificate (PEM) to speak HTTPS with; read anew when it changes. [default: KAIKO_TLS_CERT]")
@click.option("--tls-key", type=_FILE, help="Its private key (PEM). [default: KAIKO_TLS_KEY]")
@data_dir
def command(**given: Any) -> None:  # noqa: ANN401 - click passes options by name
    """Run the server until it is told to stop; SIGTERM lets requests in flight finish."""
    settings = settings_of(**given)
    with _alone(settings):
        key, any_key = run(_first_key(settings))
        sys.exit(run_server(settings, ready=lambda url: _welcome(url, key, any_key=any_key, settings=settings)))


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """Refuse to be the second server on one data directory: each would remember keys and conversations for itself."""
    with ExitStack() as held:
        if not settings.database_url:
            with one_line():
                try:
                    held.enter_context(only_server(settings.data_dir))
                except BlockingIOError:
                    message = f"another server runs on {settings.data_dir}: stop it, or give both a PostgreSQL (KAIKO_DATABASE_URL)"
                    raise ValueError(message) from None
        yield


async def _first_key(settings: Settings) -> tuple[str | None, bool]:
    """Give the key that was made, if any, and whether there are keys.

    The first start in development makes a project and a key; elsewhere an operator makes them.
    """
    async with database(settings) as db:
        pepper = load_pepper(settings)
        there_are_some = bool(await list_keys(db))
        if there_are_some or not settings.development:
            return None, there_are_some
        made = await create_key(db, pepper, project="default", environment="live", name="first key", clock=now, by=operator())
        return made.key, True


def _welcome(url: str, key: str | None, *, any_key: bool, settings: Settings) -> None:
    """Say where the server is and how to try it; the key goes to the terminal alone, never to the log."""
    click.echo(f"\n  Kaiko listens on {click.style(url, bold=True)}")
    click.echo(f"  docs: {url}/docs   data: {settings.data_dir}\n")
    another = click.style(_another_key(settings), bold=True)
    if key is None:
        click.echo(
            f"  {'Keys are there already' if any_key else 'There is no key yet'}; this makes {'another' if any_key else 'one'}: {another}\n"
        )
        return
    click.echo(
        f"  Your first API key, shown this once:\n\n    {click.style(key, bold=True)}\n\n  This makes another: {another}\n\n  Try it:\n"
    )
    click.echo(f"  curl -s {url}/v2/emotions/analysis \\\n    -H 'x-api-key: {key}' \\\n    -H 'content-type: application/json' \\")
    click.echo(f"    -d {shlex.quote(_TRY)}\n")


def _another_key(settings: Settings) -> str:
    """Give the command that makes a key for this server, as it can be typed here."""
    program = Path(sys.argv[0])
    words = ["kaiko" if shutil.which("kaiko") else os.path.relpath(program), "keys", "create"]
    if settings.data_dir != load().data_dir:
        words += ["--data-dir", str(settings.data_dir)]
    return shlex.join(words)
