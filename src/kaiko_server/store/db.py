"""What a database is to the rest of the server: :meth:`Database.read`, and :meth:`Database.write`, the only commit.

SQL is portable between SQLite and PostgreSQL: ``$1`` parameters, ``ON CONFLICT``, ``RETURNING``, BIGINT microseconds for time.
"""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class StoreError(Exception):
    """The database did not do what it was asked; the text names tables and columns, never values."""


class ConstraintError(StoreError):
    """The data break a constraint: unique, foreign key, check, not null."""


class UnavailableError(StoreError):
    """Nothing was kept, and not for the data's sake: disk full, locked for too long, input or output error, closed."""


class SchemaError(StoreError):
    """The schema of the database and the code do not belong together; the message says how to mend it."""


class Row(Protocol):
    """One row, read by column name."""

    def __getitem__(self, column: str, /) -> Any: ...  # noqa: ANN401 - the type is the column's; the caller knows it


class Connection(Protocol):
    """What :meth:`Database.read` and :meth:`Database.write` hand to their function; good only until it returns."""

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """Give all rows, those of ``RETURNING`` included."""

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        """Give the first row, or None."""

    async def execute(self, sql: str, *args: object) -> int:
        """Run one statement and give the number of rows it inserted, updated or deleted."""


class Database(Protocol):
    """A transaction a call. The function given awaits its connection alone: no model, no network, no lock."""

    async def read(self, fn: Callable[[Connection], Awaitable[T]]) -> T:
        """Run *fn* over one snapshot; it cannot write.

        Raises
        ------
        StoreError
            A statement failed, or the database is closed.
        """

    async def write(self, fn: Callable[[Connection], Awaitable[T]]) -> T:
        """Run *fn* in a transaction, commit, and only then give its result; when *fn* raises, nothing is kept.

        A statement that fails ends the transaction: nothing is kept then even if *fn* catches the error. Where transactions
        run beside each other and stand in each other's way, *fn* may be run again from its beginning; what it does beside
        its connection must bear that. A caller that is cancelled while it waits does not know whether the write was kept.

        Raises
        ------
        ConstraintError
            The data break a constraint, perhaps a deferred one at the commit.
        UnavailableError
            The commit failed, the database stayed locked, or it is closed. Nothing was kept, unless the connection to another
            machine was lost during the commit itself: then nobody can say.
        """

    async def close(self) -> None:
        """Finish what was accepted, then close; more calls do nothing."""


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_micros(moment: datetime) -> int:
    """Give *moment*, which must have a zone, as microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Give the moment, in UTC, that is *micros* microseconds after 1970."""
    return _EPOCH + micros * _MICROSECOND
