"""Tickets: who runs a request, who waits, and what a retry is told (contract, section 7).

What is kept of a request is a digest of its names and one of its body, keyed with the caller's API key; its reply, where it cannot
be computed again, is sealed with a key derived from the API key and the idempotency key. The server holds neither.
"""

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kaiko_server.errors import ApiError, Code
from kaiko_server.idempotency import queries
from kaiko_server.store.db import Connection, Database, from_micros, to_micros

KEPT_FOR: Final = timedelta(hours=24)
LEASE: Final = timedelta(seconds=60)
"""How long a request may run before another may take it over; well above the time limit of a request."""
_NONCE: Final = 12
_AT_ONCE: Final = 1_000
"""Tickets that one transaction of the sweeper removes at most."""
_MOST: Final = 255
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e]+")
_QUOTED: Final = re.compile(rb'"((?:[^"\\]|\\["\\])*)"')


class OutrunError(ApiError):
    """Somebody else holds the ticket by now; nothing of this request may be kept."""

    def __init__(self) -> None:
        super().__init__(Code.IDEMPOTENCY_IN_PROGRESS, headers={"Retry-After": "1"})


@dataclass(frozen=True, slots=True)
class Names:
    """What a ticket is found by, and sealed with; never kept."""

    api_key: str
    method: str
    path: bytes
    key: bytes

    @property
    def id(self) -> bytes:
        """A digest that says nothing to who does not hold the API key."""
        return _derived(self.api_key, b"ticket", self.method.encode(), self.path, self.key)

    def digest(self, body: bytes) -> bytes:
        """Tell this body from others; the same body under other names has another digest."""
        return hmac.digest(_derived(self.api_key, b"body", self.method.encode(), self.path, self.key), body, "sha256")

    def seal(self, status: int, body: bytes) -> bytes:
        """Close *body* so that these names alone open it, together with *status*."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher().encrypt(nonce, body, str(status).encode())

    def open(self, status: int, sealed: bytes) -> bytes:
        """Open what :meth:`seal` closed.

        Raises
        ------
        InvalidTag
            It was closed under other names, or changed since.
        """
        return self._cipher().decrypt(sealed[:_NONCE], sealed[_NONCE:], str(status).encode())

    def _cipher(self) -> AESGCM:
        return AESGCM(_derived(self.api_key, b"seal", self.method.encode(), self.path, self.key))


def _derived(api_key: str, purpose: bytes, *parts: bytes) -> bytes:
    """Derive 32 bytes: HMAC-SHA-256 under the API key, 190 random bits, over the parts with their lengths."""
    told = b"".join(len(part).to_bytes(4) + part for part in (b"kaiko idempotency", purpose, *parts))
    return hmac.digest(api_key.encode("latin-1"), told, "sha256")


@dataclass(frozen=True, slots=True)
class Ticket:
    """The right to run a request.

    Attributes
    ----------
    began_at
        When the request was first made: a reply that is computed again is computed as of then.
    replayed
        Whether it ended before, and is run again for its reply alone.
    """

    names: Names
    fence: int
    began_at: datetime
    replayed: bool = False

    async def end(self, connection: Connection, now: datetime, status: int, body: bytes | None, context_id: str | None = None) -> None:
        """Write down, in the transaction of the effect, how the request ended; *body* is None where it can be computed again.

        Raises
        ------
        OutrunError
            The ticket has another holder: the transaction must keep nothing.
        """
        reply = None if body is None else self.names.seal(status, body)
        forgotten_at = to_micros(now + KEPT_FOR)
        if not await queries.end(
            connection, self.names.id, self.fence, status=status, reply=reply, context_id=context_id, forgotten_at=forgotten_at
        ):
            raise OutrunError


@dataclass(frozen=True, slots=True)
class Replay:
    """What a request that has ended was told."""

    status: int
    body: bytes


def key_of(headers: list[tuple[bytes, bytes]]) -> bytes | None:
    """Give the idempotency key of a request, bare or out of its quotes; None when it has none.

    Raises
    ------
    ApiError
        ``INVALID_IDEMPOTENCY_KEY``.
    """
    sent = {value.strip() for name, value in headers if name == b"idempotency-key"}
    if not sent:
        return None
    value = sent.pop()
    if quoted := _QUOTED.fullmatch(value):
        value = re.sub(rb"\\(.)", rb"\1", quoted[1])
    if sent or len(value) > _MOST or not _PRINTABLE.fullmatch(value):
        raise ApiError(Code.INVALID_IDEMPOTENCY_KEY)
    return value


async def claim(db: Database, names: Names, body: bytes, model: str, now: datetime) -> Ticket | Replay:
    """Give the right to run a request, or what it was told when it ran.

    Raises
    ------
    ApiError
        ``IDEMPOTENCY_KEY_REUSED``: with another body. ``IDEMPOTENCY_IN_PROGRESS``: it runs.
    StoreError
        The database cannot answer.
    """
    ticket_id, digest, micros = names.id, names.digest(body), to_micros(now)
    columns = {"model": model, "now": micros, "leased_until": to_micros(now + LEASE), "forgotten_at": to_micros(now + KEPT_FOR)}

    async def take(connection: Connection) -> Ticket | Replay:
        if await queries.begin(connection, ticket_id, digest, **columns):  # type: ignore[arg-type] # each is of its column
            return Ticket(names, 1, now)
        anew = await queries.begin_anew(connection, ticket_id, digest, **columns)  # type: ignore[arg-type] # the same
        if anew is not None:
            return Ticket(names, anew["fence"], from_micros(anew["began_at"]))
        known = await queries.find(connection, ticket_id)
        if known is None:  # let go a moment ago
            raise OutrunError
        if not hmac.compare_digest(known["body"], digest):
            raise ApiError(Code.IDEMPOTENCY_KEY_REUSED)
        if not known["ended"]:
            raise OutrunError
        if known["reply"] is None:
            return Ticket(names, known["fence"], from_micros(known["began_at"]), replayed=True)
        return Replay(known["status"], _opened(names, known["status"], known["reply"]))

    return await db.write(take)


def _opened(names: Names, status: int, sealed: bytes) -> bytes:
    try:
        return names.open(status, bytes(sealed))
    except InvalidTag:  # somebody has changed the row: what it holds is worth nothing, and the effect was had
        raise ApiError(Code.INTERNAL) from None


async def end(db: Database, ticket: Ticket, now: datetime, status: int, body: bytes | None) -> None:
    """Write down how a request without an effect ended; see :meth:`Ticket.end`."""
    await db.write(lambda connection: ticket.end(connection, now, status, body))


async def let_go(db: Database, ticket: Ticket) -> None:
    """Forget a request that came to nothing, so that a retry runs; one that has ended stays."""
    await db.write(lambda connection: queries.let_go(connection, ticket.names.id, ticket.fence))


async def forget_context(connection: Connection, context_id: str) -> None:
    """Forget every request about a context."""
    await queries.delete_of_context(connection, context_id)


async def sweep(db: Database, now: datetime) -> int:
    """Take tickets that are forgotten off the disk, some in a transaction, and give how many."""
    swept = 0
    while some := await db.write(lambda connection: queries.delete_forgotten(connection, to_micros(now), _AT_ONCE)):
        swept += some
    return swept
