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
from kaiko_server.contexts.schemas import PointsAsked, micros_of
from kaiko_server.engine.model import DANGERS, NAME, Model
from kaiko_server.errors import ApiError, Code
from kaiko_server.projects.service import Retention, retention_of
from kaiko_server.settings import Settings
from kaiko_server.store.db import Connection, Database, Row, from_micros, to_micros
from kaiko_server.trajectory import service as trajectory
from kaiko_server.trajectory.maths import HOUR
from kaiko_server.trajectory.service import Arc

Item = dict[str, Any]
_SWEPT_AT_ONCE = 50
_ROWS_AT_ONCE = 5_000
"""Contexts that one transaction of the sweeper looks at, and rows that it removes, at most: others get their turn between two."""
_END_OF_TIME = 2**62


@dataclass(frozen=True, slots=True)
class Place:
    """Which context is meant: the same name elsewhere is another."""

    project_id: str
    environment: str
    name: bytes


@dataclass(frozen=True, slots=True)
class Lives:
    """How long what is kept of a context lives."""

    state: timedelta
    """After its last message came."""
    points: timedelta
    """After what they tell of was said."""
    strict: bool
    """Whether points die with the state at the latest."""

    @classmethod
    def of(cls, settings: Settings, project: Retention) -> "Lives":
        """Give what the server says, and where the *project* says otherwise, that."""
        state, points = timedelta(hours=settings.context_ttl_hours), timedelta(days=settings.context_points_days)
        return cls(
            state if project.state is None else project.state,
            points if project.points is None else project.points,
            settings.context_strict if project.strict is None else project.strict,
        )

    def oldest(self, now: datetime) -> int:
        """Give the time before which points have expired."""
        return trajectory.kept_from(now, self.points)

    def came_after(self, now: datetime) -> int:
        """Give the time after which the last message must have come for the state to live."""
        return to_micros(now - self.state)

    def due(self, last_came: int | None, points_from: int | None) -> int:
        """Give when something expires: of a state whose last message came then, of points of which the oldest was said then."""
        ends = [] if last_came is None else [last_came + self.state // _MICROSECOND]
        if points_from is not None and not self.strict:
            ends.append(points_from + self.points // _MICROSECOND)
        return min(ends, default=0)


_MICROSECOND = timedelta(microseconds=1)


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
        return to_json({"latest": self.latest, "conversation": self.conversation}).decode()

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
    db: Database, model: Model, place: Place, asked: AnalysisRequest, *, now: datetime, lives: Lives
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
    told = await db.write(_Adding(place, asked, read, now, lives).run)
    name = place.name.decode()
    mode = told.mode if analysis.in_order(asked.messages, now, "user") else None
    answer = await analysis.answer(model, asked, replace(read, items=told.items), now, mode)
    head = {"metadata": {"context_id": name}, "context_id": name, "context_message_count": told.count}
    return replace(answer, reply=answer.reply | head | told.blocks)


@dataclass(frozen=True, slots=True)
class _Told:
    """What came of a request's transaction."""

    items: list[Item]
    count: int
    mode: dict[str, object] | None
    blocks: dict[str, object]


@dataclass(frozen=True, slots=True)
class _Adding:
    """The transaction of one request; may run more than once."""

    place: Place
    asked: AnalysisRequest
    read: Reading
    now: datetime
    lives: Lives

    async def run(self, connection: Connection) -> _Told:
        now, oldest = to_micros(self.now), self.lives.oldest(self.now)
        row = await self._hold(connection, now)
        key, state, arc = row["digest_key"], _State.of(row["state"]), Arc.of(row)
        if row["last_came"] <= self.lives.came_after(self.now):
            key, state = secrets.token_bytes(32), _State()
            await queries.begin_again(connection, row["id"], key, now)
            if self.lives.strict:
                arc = await trajectory.forget_all(connection, arc)
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
            point = trajectory.point_of(items[index], to_micros(message.timestamp or self.now), number)
            if point.at >= oldest:
                await trajectory.add(connection, arc, message.role, point, items[index]["emotionalVector"], oldest)
        blocks = await trajectory.tell(connection, arc, self.asked.params.window, oldest)
        kept = await queries.keep(
            connection,
            row["id"],
            added=number - row["last_number"],
            last_came=now,
            due_at=self.lives.due(now, arc.points_from),
            state=state.text(),
            arc=arc.columns,
            ends=(arc.points_from, arc.points_to),
        )
        return _Told(items, kept["message_count"], state.mode, blocks)

    async def _hold(self, connection: Connection, now: int) -> Row:
        return await queries.hold(
            connection,
            context_id=secrets.token_hex(16),
            project_id=self.place.project_id,
            environment=self.place.environment,
            name=self.place.name,
            digest_key=secrets.token_bytes(32),
            now=now,
        )

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


async def state_of(db: Database, place: Place, now: datetime, lives: Lives) -> dict[str, object]:
    """Give the latest state.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND``: unknown, or expired.
    """

    async def find(connection: Connection) -> tuple[Row, dict[str, object]]:
        row = await _alive(connection, place, now, lives)
        return row, await trajectory.tell(connection, Arc.of(row), "month", lives.oldest(now))

    row, blocks = await db.read(find)
    state = _State.of(row["state"])
    reply = _head("emotions.state", place, row, {role: latest["item"] for role, latest in state.latest.items()}) | blocks
    return reply if state.mode is None else reply | {"conversationMode": state.mode}


async def message_of(db: Database, place: Place, external_id: bytes, now: datetime, lives: Lives) -> dict[str, object]:
    """Give the reading of one message.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND`` or ``MESSAGE_NOT_FOUND``.
    """

    async def find(connection: Connection) -> tuple[Row, Row | None]:
        row = await _alive(connection, place, now, lives)
        return row, await queries.find_message(connection, row["id"], external_id)

    row, message = await db.read(find)
    if message is None:
        raise ApiError(Code.MESSAGE_NOT_FOUND)
    reply = _head("emotions.state", place, row, {message["role"]: from_json(message["item"])})
    return reply | {"metadata": {"context_id": place.name.decode(), "message_id": external_id.decode()}}


async def points_of(db: Database, place: Place, now: datetime, lives: Lives, asked: PointsAsked) -> dict[str, object]:
    """Give the points themselves, or what those of each hour or day add up to; a page at a time.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND``: nothing is held, neither state nor points.
    """
    begins = max(asked.begins, lives.oldest(now))

    async def find(connection: Connection) -> tuple[Row, list[dict[str, object]]]:
        row = await _find(connection, place, now, lives)
        if asked.bucket is not None:
            begin = max(begins, asked.after[0])
            found = await trajectory.buckets(connection, row["id"], asked.bucket, begins=begin, ends=asked.ends, limit=asked.limit + 1)
        else:
            found = await trajectory.points(connection, row["id"], begins=begins, ends=asked.ends, after=asked.after, limit=asked.limit + 1)
        return row, found

    _, found = await db.read(find)
    name = place.name.decode()
    reply: dict[str, object] = {"object": "emotions.trajectory", "model": NAME, "context_id": name, "metadata": {"context_id": name}}
    if asked.bucket is not None:
        reply["buckets"] = found[: asked.limit]
        return reply | {"next": f"{micros_of(str(found[asked.limit]['start']))}.0"} if len(found) > asked.limit else reply
    cursors = [point.pop("cursor") for point in found]
    reply["points"] = found[: asked.limit]
    return reply | {"next": cursors[asked.limit - 1]} if len(found) > asked.limit else reply


async def export(  # noqa: PLR0913 - of which context, and which page
    db: Database, place: Place, now: datetime, lives: Lives, *, after: int, limit: int
) -> dict[str, object]:
    """Give everything that is held of a context, in the order in which its messages came, *limit* of them at most.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND``: nothing is held, neither state nor points.
    """
    oldest = lives.oldest(now)

    async def find(connection: Connection) -> tuple[Row, list[Row], list[tuple[int, dict[str, object]]]]:
        row = await _find(connection, place, now, lives)
        alive = row["last_came"] > lives.came_after(now)
        messages = list(await queries.list_messages(connection, row["id"], after, limit + 1)) if alive else []
        return row, messages, await trajectory.points_by_number(connection, row["id"], oldest, after, limit + 1)

    row, messages, points = await db.read(find)
    alive = row["last_came"] > lives.came_after(now)
    state = _State.of(row["state"]) if alive else _State()
    numbers = sorted({m["number"] for m in messages} | {number for number, _ in points})
    last = numbers[limit - 1] if len(numbers) > limit else None
    reply = _head("emotions.export", place, row, {role: latest["item"] for role, latest in state.latest.items()}) | {
        "created_at": _iso(from_micros(row["created_at"])),
        "expires_at": _iso(from_micros(row["last_came"]) + lives.state),
        "conversation": [asdict(said) for said in state.conversation],
        "messages": [
            {
                "externalId": bytes(m["external_id"]).decode(),
                "role": m["role"],
                "timestamp": _iso(from_micros(m["said_at"])),
                "emotions": from_json(m["item"]),
            }
            for m in messages
            if last is None or m["number"] <= last
        ],
        "points": [point for number, point in points if last is None or number <= last],
    }
    if not alive:
        reply["context_message_count"] = 0
    return reply if last is None else reply | {"next": last}


async def delete(db: Database, place: Place) -> None:
    """Erase a context with all that is held of it; one that does not exist is erased already."""

    async def remove(connection: Connection) -> None:
        row = await queries.hold_known(connection, place.project_id, place.environment, place.name)
        if row is not None:
            await trajectory.forget_all(connection, Arc(row["id"]))
            await queries.remove(connection, row["id"])

    await db.write(remove)


async def delete_all(db: Database, project_id: str) -> int:
    """Erase every context of a project, some in a transaction, and give how many there were."""

    async def remove(connection: Connection) -> int:
        rows = await queries.list_of_project(connection, project_id, _SWEPT_AT_ONCE)
        for row in rows:
            await queries.hold_again(connection, row["id"])
            await trajectory.forget_all(connection, Arc(row["id"]))
            await queries.remove(connection, row["id"])
        return len(rows)

    removed = 0
    while some := await db.write(remove):
        removed += some
    return removed


async def look_again(db: Database, project_id: str) -> None:
    """Have what has expired of a project's contexts swept away, when its retention has changed: readers see that at once anyway."""
    await db.write(lambda connection: queries.make_due(connection, project_id))


async def sweep(db: Database, clock: Callable[[], datetime], settings: Settings) -> int:
    """Take what has expired off the disk, some contexts in a transaction, and give at how many it looked.

    It cannot be read any more in any case.
    """
    swept = 0
    while some := await db.write(lambda connection: _sweep_some(connection, clock(), settings)):
        swept += some
    return swept


async def _sweep_some(connection: Connection, moment: datetime, settings: Settings) -> int:
    """Take a step with each of some contexts; what is left of one is due at once again."""
    found = await queries.due(connection, to_micros(moment), _SWEPT_AT_ONCE)
    left = _ROWS_AT_ONCE
    for known in found:
        row = await queries.hold_again(connection, known["id"])
        if row is not None:
            left -= await _sweep_one(connection, row, moment, Lives.of(settings, retention_of(known)), max(left, 1))
    return len(found)


async def _sweep_one(connection: Connection, row: Row, moment: datetime, lives: Lives, at_most: int) -> int:
    """Take what has expired of one context, *at_most* rows or an hour's points, and give about how many rows went."""
    alive, oldest, arc = row["last_came"] > lives.came_after(moment), lives.oldest(moment), Arc.of(row)
    if not alive and lives.strict:
        oldest = _END_OF_TIME
    gone, done = 0, True
    if not alive:
        gone = await queries.forget_messages(connection, row["id"], at_most)
        done = gone < at_most
        if done:
            await queries.forget_state(connection, row["id"])
    if done and arc.points_from is not None and arc.points_from < oldest:
        done = await trajectory.forget(connection, arc, oldest, at_most)
        gone = at_most
    if done and not alive and arc.points_from is None:
        await queries.remove(connection, row["id"])
        return gone
    # An hour's points go together, so that what is due may have to wait for the end of its hour.
    due_at = max(lives.due(row["last_came"] if alive else None, arc.points_from), to_micros(moment) + HOUR) if done else 0
    await queries.set_arc(connection, row["id"], arc.columns, (arc.points_from, arc.points_to), due_at)
    return gone


async def _find(connection: Connection, place: Place, now: datetime, lives: Lives) -> Row:
    """Find a context of which anything is held."""
    # Where points die with the state, none of them counts for itself.
    oldest = 2**62 if lives.strict else lives.oldest(now)
    row = await queries.find(connection, place.project_id, place.environment, place.name, lives.came_after(now), oldest)
    if row is None:
        raise ApiError(Code.CONTEXT_NOT_FOUND)
    return row


async def _alive(connection: Connection, place: Place, now: datetime, lives: Lives) -> Row:
    """Find a context whose state is held."""
    row = await _find(connection, place, now, lives)
    if row["last_came"] <= lives.came_after(now):
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
