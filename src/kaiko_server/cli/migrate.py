"""``kaiko migrate``: the schema, brought up to date without starting a server."""

from pathlib import Path

import click

from kaiko_server.cli.common import data_dir, database, run, settings_of
from kaiko_server.settings import Settings


@click.command("migrate")
@data_dir
def command(data_dir: Path | None) -> None:
    """Bring the database to this version's schema; harmless when it is there already."""
    settings = settings_of(data_dir=data_dir)
    run(_migrate(settings))
    click.echo(f"The database in {settings.data_dir} has the schema of this version.")


async def _migrate(settings: Settings) -> None:
    async with database(settings):
        """Opening migrates."""
