"""What the commands share: where the data lie, and errors that are one clear line."""

import asyncio
import os
import pwd
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from kaiko_server.audit.service import Actor
from kaiko_server.keys.service import KeyNotFoundError
from kaiko_server.settings import Settings, SettingsError, load
from kaiko_server.store.db import Database, StoreError
from kaiko_server.store.opening import open_database

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])

data_dir: Callable[[F], F] = click.option(
    "--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Folder of the database. [default: KAIKO_DATA_DIR, or ./var]"
)
as_json: Callable[[F], F] = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")


def now() -> datetime:
    """Give the present moment, in UTC."""
    return datetime.now(UTC)


def operator() -> Actor:
    """Say who runs this command, as the machine knows them."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return Actor(f"cli:{name}")


@contextmanager
def one_line() -> Iterator[None]:
    """Turn the errors that a user can do something about into one line on standard error and exit code 1."""
    try:
        yield
    except (SettingsError, StoreError, KeyNotFoundError, OSError, ValueError) as error:
        message = str(error) if isinstance(error, OSError) else str(error.args[0] if error.args else error)
        raise click.ClickException(message.splitlines()[0]) from None


def settings_of(**given: object) -> Settings:
    """Read the settings; what was *given* on the command line wins."""
    with one_line():
        return load(None, **given)


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[Database]:
    """Open the database and close it again."""
    db = await open_database(settings)
    try:
        yield db
    finally:
        await db.close()


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run *work* to its end."""
    with one_line():
        return asyncio.run(work)
