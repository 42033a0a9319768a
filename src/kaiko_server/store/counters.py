"""Counters that limits are made of: how often in the last minute, how many at once, how much this month.

:class:`Counters` has two things behind it: :class:`MemoryCounters` for one process, and those of ``valkey.py`` for many.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple, Protocol

MINUTE: Final = 60_000_000
"""Microseconds of the window that slides."""
LEASE: Final = 120_000_000
"""Microseconds after which a request that never left counts no more: whoever answered it is dead. Well above the longest request."""

_LEFT_ALONE: Final = 1_000_000
"""Microseconds for which counters that could not be reached are not asked again: each try costs a request its patience."""


class CountersError(Exception):
    """The counters cannot be reached."""


class Limit(Enum):
    """Which limit refuses."""

    MINUTE = "minute"
    CONCURRENT = "concurrent"
    TOKENS = "tokens"


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one caller may do; 0 is without limit."""

    per_minute: int = 0
    concurrent: int = 0
    tokens_per_month: int = 0


NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that wants to pass.

    Attributes
    ----------
    who
        What is counted under: the id of a key.
    limits
        Those of its caller.
    ticket
        A name of its own.
    now
        Microseconds since 1970.
    month
        Names the month that tokens are counted in, such as ``2026-11``.
    used
        Tokens that the database knows of for this month: where a counter that was lost begins again.
    reserve
        Tokens that it will take, as far as one can tell before it is read.
    """

    who: str
    limits: Limits
    ticket: str
    now: int
    month: str = ""
    used: int = 0
    reserve: int = 0


class Standing(NamedTuple):
    """Where a caller stands, the request asked for included if it passed."""

    refused: Limit | None
    minute_left: int
    """Requests that would still pass now; 0 without a limit."""
    minute_resets: int
    """Microseconds since 1970 at which the oldest request counted leaves the window: from then on one more passes."""
    concurrent_left: int
    tokens_left: int


class Counters(Protocol):
    """All of it is exact: of any number of requests at once, precisely as many pass as may."""

    async def enter(self, ask: Ask) -> Standing:
        """Count the request if every limit lets it pass, else nothing.

        Raises
        ------
        CountersError
            They cannot be reached.
        """

    async def leave(self, ask: Ask, tokens: int) -> None:
        """Count the request out, and *tokens* for what it had reserved; again changes nothing. Raises as :meth:`enter`."""

    async def fail(self, address: str, limit: int, now: int) -> int:
        """Count a failed authentication from *address*; give how many microseconds it has to wait, 0 if *limit* a minute lets it pass."""

    async def close(self) -> None:
        """Let go of what is held."""


@dataclass(slots=True)
class _Counted:
    passed: deque[int] = field(default_factory=deque)
    inside: dict[str, int] = field(default_factory=dict)
    """Ticket → when it counts no more."""
    month: str = ""
    tokens: int = 0


class MemoryCounters:
    """In the memory of this process; used from one event loop."""

    def __init__(self, *, remembered: int = 50_000) -> None:
        self._known: OrderedDict[str, _Counted] = OrderedDict()
        self._failed: OrderedDict[str, deque[int]] = OrderedDict()
        self._remembered = remembered

    async def enter(self, ask: Ask) -> Standing:
        counted = self._known.get(ask.who)
        if counted is None:
            counted = self._known[ask.who] = _Counted()
            self._forget_idle(ask.now)
        if counted.month != ask.month:
            counted.month, counted.tokens = ask.month, ask.used
        _slide(counted.passed, ask.now)
        if counted.inside and next(iter(counted.inside.values())) <= ask.now:
            counted.inside = {ticket: until for ticket, until in counted.inside.items() if until > ask.now}
        refused = _refusal(counted, ask)
        if refused is None:
            if ask.limits.per_minute:
                counted.passed.append(ask.now)
            counted.inside[ask.ticket] = ask.now + LEASE
            counted.tokens += ask.reserve
        return standing(
            refused, ask, len(counted.passed), counted.passed[0] if counted.passed else None, len(counted.inside), counted.tokens
        )

    async def leave(self, ask: Ask, tokens: int) -> None:
        counted = self._known.get(ask.who)
        if counted is not None and counted.inside.pop(ask.ticket, None) is not None and counted.month == ask.month:
            counted.tokens += tokens - ask.reserve

    async def fail(self, address: str, limit: int, now: int) -> int:
        failed = self._failed.setdefault(address, deque())
        self._failed.move_to_end(address)
        if len(self._failed) > self._remembered:
            self._failed.popitem(last=False)
        _slide(failed, now)
        if limit and len(failed) >= limit:
            return failed[0] + MINUTE - now
        failed.append(now)
        return 0

    async def close(self) -> None:
        """Nothing is held."""

    def _forget_idle(self, now: int) -> None:
        """Look at the two that were there longest: whoever has not been seen for a while is forgotten, so that memory stays bounded."""
        for _ in range(2):
            who, counted = next(iter(self._known.items()))
            self._known.move_to_end(who)
            _slide(counted.passed, now)
            # What it has used this month is in the database by then.
            if not counted.passed and not counted.inside and len(self._known) > self._remembered:
                del self._known[who]


class CarefulCounters:
    """Shared counters, and what holds while they cannot be reached.

    Parameters
    ----------
    shared
        What several servers share.
    limits_closed
        While it is lost, nobody passes; else each process counts for itself.
    quotas_closed
        While it is lost, those with tokens a month do not pass.
    tell
        Told True when it is lost, False when it is back.
    """

    def __init__(self, shared: Counters, *, limits_closed: bool, quotas_closed: bool, tell: Callable[[bool], None]) -> None:
        self._shared = shared
        self._own = MemoryCounters()
        self._limits_closed, self._quotas_closed = limits_closed, quotas_closed
        self._tell = tell
        self._lost_until: int | None = None
        self._inside: set[str] = set()
        """Tickets that this process gave by itself."""

    async def enter(self, ask: Ask) -> Standing:
        if self._may_ask(ask.now):
            try:
                found = await self._shared.enter(ask)
            except CountersError:
                self._lost(ask.now)
            else:
                self._found()
                return found
        if self._limits_closed or (self._quotas_closed and ask.limits.tokens_per_month):
            message = "the shared counters are lost"
            raise CountersError(message)
        self._inside.add(ask.ticket)
        return await self._own.enter(ask)

    async def leave(self, ask: Ask, tokens: int) -> None:
        """As of :class:`Counters`, but for that it never raises: what cannot be counted out is by its lease."""
        if ask.ticket in self._inside:
            self._inside.discard(ask.ticket)
            await self._own.leave(ask, tokens)
            return
        try:
            await self._shared.leave(ask, tokens)
        except CountersError:
            self._lost(ask.now)

    async def fail(self, address: str, limit: int, now: int) -> int:
        if self._may_ask(now):
            try:
                return await self._shared.fail(address, limit, now)
            except CountersError:
                self._lost(now)
        return await self._own.fail(address, limit, now)

    async def close(self) -> None:
        await self._shared.close()

    def _may_ask(self, now: int) -> bool:
        return self._lost_until is None or now >= self._lost_until

    def _lost(self, now: int) -> None:
        if self._lost_until is None:
            self._tell(True)
        self._lost_until = now + _LEFT_ALONE

    def _found(self) -> None:
        if self._lost_until is not None:
            self._lost_until = None
            self._tell(False)


def _slide(passed: deque[int], now: int) -> None:
    while passed and passed[0] <= now - MINUTE:
        passed.popleft()


def _refusal(counted: _Counted, ask: Ask) -> Limit | None:
    limits = ask.limits
    if limits.per_minute and len(counted.passed) >= limits.per_minute:
        return Limit.MINUTE
    if limits.concurrent and len(counted.inside) >= limits.concurrent:
        return Limit.CONCURRENT
    return Limit.TOKENS if limits.tokens_per_month and counted.tokens >= limits.tokens_per_month else None


def standing(refused: Limit | None, ask: Ask, passed: int, oldest: int | None, inside: int, tokens: int) -> Standing:  # noqa: PLR0913, PLR0917 - what was counted
    """Say where a caller stands, from what is counted now."""
    limits = ask.limits
    return Standing(
        refused,
        max(0, limits.per_minute - passed),
        (ask.now if oldest is None else oldest) + MINUTE,
        max(0, limits.concurrent - inside),
        max(0, limits.tokens_per_month - tokens),
    )
