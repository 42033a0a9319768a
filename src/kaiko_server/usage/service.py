"""What keys use: counted in memory with each request, written down together soon after."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from kaiko_server.store.db import Connection, Database, to_micros
from kaiko_server.usage import queries

_EPOCH = date(1970, 1, 1)


@dataclass(slots=True)
class _Day:
    requests: int = 0
    texts: int = 0
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Day:
    """What a key used on one day (UTC)."""

    day: date
    requests: int
    texts: int
    tokens: int


class Meter:
    """Counts requests, texts and tokens of each key, and when it was last used.

    What is counted is written by :meth:`flush`: a request costs no write of its own, and a process that is killed loses what it
    counted since the last one. Used from one event loop.
    """

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._clock = clock
        self._unwritten: dict[tuple[str, int], _Day] = {}
        self._last: dict[str, int] = {}
        self._known: dict[str, tuple[str, int]] = {}
        self._writing = asyncio.Lock()

    def add(self, key_id: str, texts: int, tokens: int) -> None:
        """Count one request that ended."""
        now = self._clock()
        day = self._unwritten.setdefault((key_id, _day(now)), _Day())
        day.requests += 1
        day.texts += texts
        day.tokens += tokens
        self._last[key_id] = to_micros(now)
        if key_id in self._known:
            month, used = self._known[key_id]
            self._known[key_id] = month, used + tokens

    async def used_this_month(self, key_id: str) -> int:
        """Give the tokens used this month (UTC); the database is asked once a month, and what is counted since is added.

        Raises
        ------
        StoreError
            The database cannot answer.
        """
        now = self._clock()
        month = month_of(now)
        known = self._known.get(key_id)
        if known is None or known[0] != month:
            first = _day(now.replace(day=1))
            async with self._writing:  # what is counted and not written yet must be counted once
                written = await self._db.read(lambda connection: queries.tokens_since(connection, key_id, first))
                known = month, written + sum(d.tokens for (key, day), d in self._unwritten.items() if key == key_id and day >= first)
            self._known[key_id] = known
        return known[1]

    async def flush(self) -> None:
        """Write down what was counted; when that fails, it stays counted. Not to be cancelled: nobody would know whether it is written.

        Raises
        ------
        StoreError
            The database cannot.
        """
        async with self._writing:
            counted, last = self._unwritten, self._last
            if not counted:
                return
            self._unwritten, self._last, written = {}, {}, False
            try:
                await self._db.write(lambda connection: _write(connection, counted, last))
                written = True
            finally:
                if not written:
                    self._take_back(counted, last)

    def _take_back(self, counted: dict[tuple[str, int], _Day], last: dict[str, int]) -> None:
        for key, day in counted.items():
            again = self._unwritten.setdefault(key, _Day())
            again.requests, again.texts, again.tokens = again.requests + day.requests, again.texts + day.texts, again.tokens + day.tokens
        self._last = last | self._last


async def _write(connection: Connection, counted: dict[tuple[str, int], _Day], last: dict[str, int]) -> None:
    for (key_id, day), used in sorted(counted.items()):  # in one order everywhere, so that two servers do not wait for each other
        await queries.add(connection, key_id, day, used.requests, used.texts, used.tokens)
    for key_id, moment in sorted(last.items()):
        await queries.set_last_used(connection, key_id, moment)


async def usage_of(db: Database, key_id: str, first: date, last: date) -> list[Day]:
    """Give what a key used on each day from *first* to *last* on which it was used."""
    rows = await db.read(lambda connection: queries.list_days(connection, key_id, (first - _EPOCH).days, (last - _EPOCH).days))
    return [Day(_EPOCH + timedelta(days=row["day"]), row["requests"], row["texts"], row["tokens"]) for row in rows]


def month_of(moment: datetime) -> str:
    """Name the month (UTC) that *moment* lies in."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def month_ends(moment: datetime) -> datetime:
    """Give the first moment of the month (UTC) after that of *moment*."""
    first = moment.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return (first + timedelta(days=32)).replace(day=1)


def _day(moment: datetime) -> int:
    return (moment.astimezone(UTC).date() - _EPOCH).days
