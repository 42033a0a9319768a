"""The audit: a line is written in the transaction of what it tells of, so that neither is there without the other.

Each line's hash is SHA-256 over the hash before it and its own fields as JSON. Whoever changes, adds or takes away a line has to
change every hash after it, the last one too: keep that elsewhere (``kaiko audit verify`` prints it) and nothing can be changed unseen.
"""

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pydantic_core import from_json, to_json

from kaiko_server.audit import queries
from kaiko_server.store.db import Connection, Database, Row, from_micros, to_micros

KEPT_FOR: Final = timedelta(days=400)
_NOTHING: Final = bytes(32)
_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something: ``cli:root``, or the id of a key; and from where, and in which request."""

    name: str
    address: str | None = None
    request_id: str | None = None


NOBODY: Final = Actor("unknown")


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that was done."""

    number: int
    at: datetime
    actor: str
    action: str
    """Such as ``key.create``."""
    subject: str
    address: str | None
    request_id: str | None
    detail: dict[str, object]


class ChainError(Exception):
    """The chain does not hold; the message says where."""


async def record(connection: Connection, by: Actor, action: str, subject: str, now: datetime, **detail: object) -> None:
    """Write a line, in the transaction of what it tells of; *detail* holds names and numbers, never content."""
    ends = await queries.hold_ends(connection, _NOTHING)
    number, told = ends["last_number"] + 1, to_json(detail).decode()
    fields = (number, to_micros(now), by.name, action, subject, by.address, by.request_id, told)
    await queries.add(
        connection,
        number=number,
        at=fields[1],
        actor=by.name,
        action=action,
        subject=subject,
        address=by.address,
        request_id=by.request_id,
        detail=told,
        line_hash=_hash(bytes(ends["last_hash"]), fields),
    )


def _hash(before: bytes, fields: tuple[object, ...]) -> bytes:
    return hashlib.sha256(before + to_json(fields)).digest()


async def lines(db: Database, after: int = 0) -> AsyncIterator[Line]:
    """Give every line with a number above *after*, oldest first."""
    while rows := await db.read(lambda connection, of=after: queries.list_after(connection, of, _PAGE)):  # type: ignore[misc]
        for row in rows:
            yield _line(row)
        after = rows[-1]["number"]


async def verify(db: Database) -> tuple[int, str]:
    """Go through the whole chain; give how many lines it has, and the last hash in hexadecimal digits.

    Raises
    ------
    ChainError
        A line was changed, added or taken away.
    """
    ends = await db.read(queries.ends)
    if ends is None:
        return 0, _NOTHING.hex()
    number, before, count = ends["gone_number"], bytes(ends["gone_hash"]), 0
    while rows := await db.read(lambda connection, of=number: queries.list_after(connection, of, _PAGE)):  # type: ignore[misc]
        for row in rows:
            number, count = number + 1, count + 1
            names = ("number", "at", "actor", "action", "subject", "address", "request_id", "detail")
            if row["number"] != number or bytes(row["hash"]) != _hash(before, tuple(row[name] for name in names)):
                message = f"the chain breaks at line {number}: it, or one before it, was changed or taken away"
                raise ChainError(message)
            before = bytes(row["hash"])
    if number < ends["last_number"] or before != bytes(ends["last_hash"]):
        message = f"the chain ends at line {number}, and {ends['last_number']} were written: lines at its end were taken away"
        raise ChainError(message)
    return count, before.hex()


async def has_hash(db: Database, told: str) -> bool:
    """Whether a line has this hash, in hexadecimal digits; also that of a chain without lines."""
    try:
        wanted = bytes.fromhex(told)
    except ValueError:
        return False
    return wanted == _NOTHING or await db.read(lambda connection: queries.find_hash(connection, wanted)) is not None


async def sweep(db: Database, now: datetime) -> int:
    """Take lines older than 400 days away, and give how many; what is left still verifies."""

    async def remove(connection: Connection) -> int:
        last = await queries.last_before(connection, to_micros(now - KEPT_FOR))
        if last is None:
            return 0
        await queries.hold_ends(connection, _NOTHING)
        return await queries.remove_until(connection, last["number"], bytes(last["hash"]))

    return await db.write(remove)


def _line(row: Row) -> Line:
    told = {name: row[name] for name in ("number", "actor", "action", "subject", "address", "request_id")}
    return Line(at=from_micros(row["at"]), detail=from_json(row["detail"]), **told)
