"""Analysis with memory: each message is read by itself, and told in the light of those before it."""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import from_json, to_json

from kaiko_server.analysis import service as analysis
from kaiko_server.analysis.schemas import AnalysisRequest, Message
from kaiko_server.analysis.service import Analysis, Reading
from kaiko_server.contexts import queries
from kaiko_server.contexts.conversation import Said, hostility_state, mode_of, remember
from kaiko_server.engine.model import DANGERS, NAME, Model
from kaiko_server.errors import ApiError, Code
from kaiko_server.store.db import Connection, Database, Row, from_micros, to_micros

Item = dict[str, Any]
_SWEPT_AT_ONCE = 50
"""Contexts that one transaction of the sweeper removes: others get their turn between two."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which context is meant: the same name elsewhere is another."""

    project_id: str
    environment: str
    name: bytes


@dataclass(slots=True)
class _State:
    """What is kept of a conversation as a whole."""

    latest: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Role → ``at``, ``number`` and ``item`` of its latest message."""
    conversation: list[Said] = field(default_factory=list)

    @classmethod
    def of(cls, text: str) -> "_State":
        kept = from_json(text)
        return cls(kept.get("latest", {}), [Said(**said | {"mode": tuple(said["mode"])}) for said in kept.get("conversation", ())])

    def text(self) -> str:
        return to_json({"latest": self.latest, "conversation": [asdict(said) for said in self.conversation]}).decode()

    def take(self, role: str, at: int, number: int, item: Item) -> None:
        """Make *item* the latest of *role*, unless a later one is there."""
        known = self.latest.get(role)
        if known is None or (known["at"], known["number"]) <= (at, number):
            self.latest[role] = {"at": at, "number": number, "item": item}

    @property
    def mode(self) -> dict[str, object] | None:
        """What the conversation asks for; None as long as no user has spoken."""
        if not self.conversation:
            return None
        item = self.latest["user"]["item"]
        return mode_of(self.conversation, item["category"], item["intensityLevel"])


async def analyse(  # noqa: PLR0913 - the parts it works with, each by name
    db: Database, model: Model, place: Place, asked: AnalysisRequest, *, now: datetime, lives: timedelta
) -> Analysis:
    """Read every message, keep what is to be kept, and answer.

    Nothing is kept when anything fails.

    Raises
    ------
    ApiError
        ``DUPLICATE_ID``.
    ModelOverloadedError, ModelUnavailableError
        See :class:`~kaiko_server.engine.model.Model`.
    StoreError
        The database cannot answer.
    """
    read = await analysis.read_all(model, asked)
    adding = _Adding(place, asked, read, now, lives)
    items, count, mode = await db.write(adding.run)
    name = place.name.decode()
    answer = await analysis.answer(
        model, asked, replace(read, items=items), now, mode if analysis.in_order(asked.messages, now, "user") else None
    )
    reply = answer.reply | {"metadata": {"context_id": name}, "context_id": name, "context_message_count": count}
    return replace(answer, reply=reply)


@dataclass(frozen=True, slots=True)
class _Adding:
    """The transaction of one request; may run more than once."""

    place: Place
    asked: AnalysisRequest
    read: Reading
    now: datetime
    lives: timedelta

    async def run(self, connection: Connection) -> tuple[list[Item], int, dict[str, object] | None]:
        now = to_micros(self.now)
        row = await queries.hold(
            connection, context_id=secrets.token_hex(16), **asdict(self.place), digest_key=secrets.token_bytes(32), now=now
        )
        key, state = row["digest_key"], _State.of(row["state"])
        if row["expires_at"] <= now:
            key, state = secrets.token_bytes(32), _State()
            await queries.begin_again(connection, row["id"], key, now)
        items: list[Item] = list(self.read.items)
        number = row["last_number"]
        for index in analysis.in_order(self.asked.messages, self.now):
            message = self.asked.messages[index]
            digest = _digest(key, message)
            known = None if message.external_id is None else await queries.find_message(connection, row["id"], message.external_id.encode())
            if known is not None:
                items[index] = _again(known, digest, items[index], index)
                continue
            number += 1
            items[index] = await self._add(connection, row["id"], state, index, number, digest)
        until = to_micros(self.now + self.lives)
        kept = await queries.keep(connection, row["id"], added=number - row["last_number"], expires_at=until, state=state.text())
        return items, kept["message_count"], state.mode

    async def _add(  # noqa: PLR0913, PLR0917 - one message and where it goes
        self, connection: Connection, context_id: str, state: _State, index: int, number: int, digest: bytes
    ) -> Item:
        message = self.asked.messages[index]
        item: Item = self.read.items[index]
        moment = message.timestamp or self.now
        at = to_micros(moment)
        if message.role == "user":
            scores, danger = self.read.scores[index], self.read.dangers[index]
            said = Said(at, number, scores.hostility, scores.concern, -1 if danger is None else DANGERS.index(danger), scores.mode)
            state.conversation, said = remember(state.conversation, said)
            hostile = hostility_state(item["hostilityState"], state.conversation, said, _iso(moment))
            item = item | {"hostilityState": hostile}
        kept = {name: value for name, value in item.items() if name not in {"text", "coverage"}}
        state.take(message.role, at, number, kept)
        if message.external_id is not None:
            await queries.add_message(
                connection,
                context_id,
                external_id=message.external_id.encode(),
                number=number,
                role=message.role,
                said_at=at,
                digest=digest,
                item=to_json(kept).decode(),
            )
        return item


def _again(known: Row, digest: bytes, item: Item, index: int) -> Item:
    """Give the first reading of a message that is sent again, with what was not kept of it."""
    if not hmac.compare_digest(known["digest"], digest):
        raise ApiError(Code.DUPLICATE_ID, param=f"messages[{index}].externalId")
    first: Item = from_json(known["item"])
    return {"text": item["text"]} | first | {"coverage": item["coverage"]}


def _digest(key: bytes, message: Message) -> bytes:
    """Tell this content from other content; without the context's *key* nothing can be learnt from it."""
    return hmac.digest(key, f"{message.role}\0{message.content.text}".encode(), "sha256")


async def state_of(db: Database, place: Place, now: datetime) -> dict[str, object]:
    """Give the latest state.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND``: unknown, or expired.
    """
    row = await db.read(lambda connection: _find(connection, place, now))
    state = _State.of(row["state"])
    reply = _head("emotions.state", place, row, {role: latest["item"] for role, latest in state.latest.items()})
    return reply if state.mode is None else reply | {"conversationMode": state.mode}


async def message_of(db: Database, place: Place, external_id: bytes, now: datetime) -> dict[str, object]:
    """Give the reading of one message.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND`` or ``MESSAGE_NOT_FOUND``.
    """

    async def find(connection: Connection) -> tuple[Row, Row | None]:
        row = await _find(connection, place, now)
        return row, await queries.find_message(connection, row["id"], external_id)

    row, message = await db.read(find)
    if message is None:
        raise ApiError(Code.MESSAGE_NOT_FOUND)
    reply = _head("emotions.state", place, row, {message["role"]: from_json(message["item"])})
    return reply | {"metadata": {"context_id": place.name.decode(), "message_id": external_id.decode()}}


async def export(db: Database, place: Place, now: datetime, *, after: int, limit: int) -> dict[str, object]:
    """Give everything that is held of a context, its messages a page at a time.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND``.
    """

    async def find(connection: Connection) -> tuple[Row, list[Row]]:
        row = await _find(connection, place, now)
        return row, list(await queries.list_messages(connection, row["id"], after, limit + 1))

    row, messages = await db.read(find)
    state = _State.of(row["state"])
    reply = _head("emotions.export", place, row, {role: latest["item"] for role, latest in state.latest.items()}) | {
        "created_at": _iso(from_micros(row["created_at"])),
        "expires_at": _iso(from_micros(row["expires_at"])),
        "conversation": [asdict(said) for said in state.conversation],
        "messages": [
            {
                "externalId": bytes(m["external_id"]).decode(),
                "role": m["role"],
                "timestamp": _iso(from_micros(m["said_at"])),
                "emotions": from_json(m["item"]),
            }
            for m in messages[:limit]
        ],
    }
    return reply | {"next": messages[limit - 1]["number"]} if len(messages) > limit else reply


async def delete(db: Database, place: Place) -> None:
    """Erase a context with all that is held of it; one that does not exist is erased already."""
    await db.write(lambda connection: queries.delete(connection, place.project_id, place.environment, place.name))


async def sweep(db: Database, clock: Callable[[], datetime]) -> int:
    """Remove every context whose state has expired, some in a transaction, and give how many.

    They cannot be read any more in any case: this is what takes them off the disk.
    """
    removed = 0
    while True:
        some = await db.write(lambda connection: queries.sweep(connection, to_micros(clock()), _SWEPT_AT_ONCE))
        removed += some
        if some < _SWEPT_AT_ONCE:
            return removed


async def _find(connection: Connection, place: Place, now: datetime) -> Row:
    row = await queries.find(connection, place.project_id, place.environment, place.name, to_micros(now))
    if row is None:
        raise ApiError(Code.CONTEXT_NOT_FOUND)
    return row


def _head(kind: str, place: Place, row: Row, emotions: dict[str, Item]) -> dict[str, object]:
    name = place.name.decode()
    return {
        "object": kind,
        "model": NAME,
        "emotions": emotions,
        "metadata": {"context_id": name},
        "context_id": name,
        "context_message_count": row["message_count"],
        "usage": {},
    }


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")
