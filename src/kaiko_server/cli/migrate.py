"""``kaiko migrate``: the schema, brought up to date without starting a server."""

from pathlib import Path

import click

from kaiko_server.cli.common import data_dir, database, run, settings_of
from kaiko_server.settings import Settings
from kaiko_server.store.opening import name_of


@click.command("migrate")
@data_dir
def command(data_dir: Path | None) -> None:
    """Bring the database to this version's schema; harmless when it is there already."""
    settings = settings_of(data_dir=data_dir)
    run(_migrate(settings))
    click.echo(f"{name_of(settings)} has the schema of this version.")


async def _migrate(settings: Settings) -> None:
    async with database(settings):
        """Opening migrates."""
