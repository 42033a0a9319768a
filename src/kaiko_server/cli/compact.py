"""``kaiko compact``: what was erased leaves the database's files too."""

from pathlib import Path

import click

from kaiko_server.cli.common import data_dir, one_line, settings_of
from kaiko_server.store.opening import compact, name_of


@click.command("compact")
@data_dir
def command(data_dir: Path | None) -> None:
    """Write the database anew without what was erased, and empty its write-ahead log.

    Needs as much free disk as the database is large. Servers wait for it, ten seconds at most: what they are asked to write after
    that is refused with 503 until it is done. PostgreSQL compacts itself (autovacuum).
    """
    settings = settings_of(data_dir=data_dir)
    with one_line():
        before, after = compact(settings)
    click.echo(f"{name_of(settings)}: {before / 1e6:.1f} MB before, {after / 1e6:.1f} MB now.")
