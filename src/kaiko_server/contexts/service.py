"""Analysis with memory: each message is read by itself, and told in the light of those before it."""

import hmac
import secrets
from collections.abc import Callable, Collection
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from pydantic_core import from_json, to_json

from kaiko_server.analysis import service as analysis
from kaiko_server.analysis.schemas import AnalysisRequest, Message
from kaiko_server.analysis.service import FREE, Analysis, Policy, Reading
from kaiko_server.audit import service as audit
from kaiko_server.audit.service import NOBODY, Actor
from kaiko_server.contexts import queries
from kaiko_server.contexts.conversation import Said, hostility_state, mode_of, remember
from kaiko_server.contexts.schemas import PointsAsked, micros_of
from kaiko_server.engine.model import DANGERS, NAME, Model
from kaiko_server.errors import ApiError, Code
from kaiko_server.idempotency import service as idempotency
from kaiko_server.idempotency.service import Ticket
from kaiko_server.projects.service import Retention, has_project, retention_of
from kaiko_server.settings import Settings
from kaiko_server.store.db import Connection, ConstraintError, Database, Row, from_micros, to_micros
from kaiko_server.trajectory import service as trajectory
from kaiko_server.trajectory.maths import HOUR
from kaiko_server.trajectory.service import Arc

Item = dict[str, Any]
_SWEPT_AT_ONCE = 50
_ROWS_AT_ONCE = 5_000
"""Contexts that the sweeper looks up together, and rows that a transaction of its removes, at most: others get their turn between two."""
_END_OF_TIME = 2**62
_NOBODY = b"\xff"
"""Begins the name of a context that has died and waits for the sweeper: no UTF-8 does."""


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
        if points_from is not None:
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

    def tell_again(self, late: Said) -> None:
        """Where a message came *late*, tell the hostility of the latest user message anew: it goes on from there."""
        known = self.latest.get("user")
        if known is None or (known["at"], known["number"]) <= (late.at, late.number):
            return
        latest = next((said for said in self.conversation if said.number == known["number"]), None)
        if latest is not None:
            alone = known["item"]["hostilityState"]
            block = hostility_state(alone, self.conversation, latest, _iso(from_micros(latest.at)))
            self.latest["user"] = known | {"item": known["item"] | {"hostilityState": block}}

    @property
    def mode(self) -> dict[str, object] | None:
        """What the conversation asks for; None as long as no user has spoken."""
        if not self.conversation:
            return None
        item = self.latest["user"]["item"]
        return mode_of(self.conversation, item["category"], item["intensityLevel"])


async def analyse(  # noqa: PLR0913 - the parts it works with, each by name
    db: Database,
    model: Model,
    place: Place,
    asked: AnalysisRequest,
    *,
    now: datetime,
    lives: Lives,
    ticket: Ticket | None = None,
    policy: Policy = FREE,
) -> Analysis:
    """Read every message, keep what is to be kept, and answer; with a *ticket*, what was answered is sealed and kept with it.

    Nothing is kept when anything fails.

    Raises
    ------
    ApiError
        ``DUPLICATE_ID``; or ``IDEMPOTENCY_IN_PROGRESS``: the ticket has another holder by now.
    ModelOverloadedError, ModelUnavailableError
        See :class:`~kaiko_server.engine.model.Model`.
    StoreError
        The database cannot answer.
    """
    read = await analysis.read_all(model, asked, policy)
    try:
        held = await analysis.beliefs_of(model, asked, read, now, policy)
        return await db.write(_Adding(place, asked, read, held, now, lives, ticket, policy.denied).run)
    except ConstraintError:
        if await has_project(db, place.project_id):
            raise
        raise ApiError(Code.INVALID_API_KEY) from None  # deleted a moment ago, and the key with it


def without(blocks: dict[str, object], denied: Collection[str]) -> dict[str, object]:
    """Leave out what is *denied*."""
    return {name: block for name, block in blocks.items() if name not in denied} if denied else blocks


@dataclass(frozen=True, slots=True)
class _Adding:
    """The transaction of one request; may run more than once."""

    place: Place
    asked: AnalysisRequest
    read: Reading
    beliefs: dict[str, object] | None
    now: datetime
    lives: Lives
    ticket: Ticket | None
    denied: frozenset[str]

    async def run(self, connection: Connection) -> Analysis:
        now, oldest = to_micros(self.now), self.lives.oldest(self.now)
        row, key, state, begun = await self._begin(connection, now)
        arc, first = Arc.of(row), row["last_number"] + 1 if begun else row["first_number"]
        items: list[Item] = list(self.read.items)
        number = row["last_number"]
        for index in analysis.in_order(self.asked.messages, self.now):
            message = self.asked.messages[index]
            digest = _digest(key, message)
            known = await self._known(connection, row["id"], message, first)
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
            due_at=now if begun and row["last_number"] else self.lives.due(now, arc.points_from),
            state=state.text(),
            arc=arc.columns,
            ends=(arc.points_from, arc.points_to),
        )
        found = self._answer(items, kept["message_count"], state.mode, blocks)
        if self.ticket is not None:
            await self.ticket.end(connection, self.now, HTTPStatus.OK, to_json(found.reply), row["id"])
        return found

    async def _begin(self, connection: Connection, now: int) -> tuple[Row, bytes, _State, bool]:
        """Give the context's row, the key of its digests, its state, and whether that begins here: what a death leaves is the sweeper's."""
        row = await self._hold(connection, now)
        if row["last_came"] > self.lives.came_after(self.now):
            return row, row["digest_key"], _State.of(row["state"]), False
        if self.lives.strict and row["last_number"]:
            await queries.bury(connection, row["id"], _NOBODY + secrets.token_bytes(16))
            row = await self._hold(connection, now)
        key = secrets.token_bytes(32)
        await queries.begin_again(connection, row["id"], key, now)
        return row, key, _State(), True

    def _answer(self, items: list[Item], count: int, mode: dict[str, object] | None, blocks: dict[str, object]) -> Analysis:
        spoken = mode if analysis.in_order(self.asked.messages, self.now, "user") else None
        answer = analysis.answer(self.asked, replace(self.read, items=items), self.now, spoken, self.beliefs)
        name = self.place.name.decode()
        head = {"metadata": {"context_id": name}, "context_id": name, "context_message_count": count}
        return replace(answer, reply=answer.reply | head | without(blocks, self.denied))

    async def _known(self, connection: Connection, context_id: str, message: Message, first: int) -> Row | None:
        if message.external_id is None:
            return None
        return await queries.find_message(connection, context_id, message.external_id.encode(), first)

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
            state.tell_again(said)
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
    return _told(place, row, state, {role: latest["item"] for role, latest in state.latest.items()}, blocks)


def _told(place: Place, row: Row, state: _State, emotions: dict[str, Item], blocks: dict[str, object]) -> dict[str, object]:
    reply = _head("emotions.state", place, row, emotions) | blocks
    return reply if state.mode is None else reply | {"conversationMode": state.mode}


async def message_of(db: Database, place: Place, external_id: bytes, now: datetime, lives: Lives) -> dict[str, object]:
    """Give the reading of one message.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND`` or ``MESSAGE_NOT_FOUND``.
    """

    async def find(connection: Connection) -> tuple[Row, Row, dict[str, object]]:
        row = await _alive(connection, place, now, lives)
        message = await queries.find_message(connection, row["id"], external_id, row["first_number"])
        if message is None:
            raise ApiError(Code.MESSAGE_NOT_FOUND)
        return row, message, await trajectory.tell(connection, Arc.of(row), "month", lives.oldest(now))

    row, message, blocks = await db.read(find)
    reply = _told(place, row, _State.of(row["state"]), {message["role"]: from_json(message["item"])}, blocks)
    return reply | {"metadata": {"context_id": place.name.decode(), "message_id": external_id.decode()}}


async def points_of(db: Database, place: Place, now: datetime, lives: Lives, asked: PointsAsked) -> dict[str, object]:
    """Give the points themselves, or what those of each hour or day add up to; a page at a time.

    Raises
    ------
    ApiError
        ``CONTEXT_NOT_FOUND``: nothing is held, neither state nor points.
    """

    async def find(connection: Connection) -> tuple[Row, list[dict[str, object]]]:
        row = await _find(connection, place, now, lives)
        if asked.bucket is not None:
            begin = max(asked.begins, asked.after[0])
            span = {"begins": begin, "ends": asked.ends, "oldest": lives.oldest(now)}
            found = await trajectory.buckets(connection, row["id"], asked.bucket, **span, limit=asked.limit + 1)
        else:
            found = await trajectory.points(
                connection,
                row["id"],
                begins=max(asked.begins, lives.oldest(now)),
                ends=asked.ends,
                after=asked.after,
                limit=asked.limit + 1,
            )
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
        first = max(after, row["first_number"] - 1)
        messages = list(await queries.list_messages(connection, row["id"], first, limit + 1)) if alive else []
        return row, messages, await trajectory.points_by_number(connection, Arc.of(row), oldest, after, limit + 1)

    row, messages, points = await db.read(find)
    alive = row["last_came"] > lives.came_after(now)
    state = _State.of(row["state"]) if alive else _State()
    numbers = sorted({m["number"] for m in messages} | {number for number, _ in points})
    last = numbers[limit - 1] if len(numbers) > limit else None
    reply = _head("emotions.export", place, row, {role: latest["item"] for role, latest in state.latest.items()}) | {
        "created_at": _iso(from_micros(row["created_at"])),
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
    if alive:
        reply["expires_at"] = _iso(from_micros(row["last_came"]) + lives.state)
    else:
        reply["context_message_count"] = 0
    if row["points_to"] is not None and row["points_to"] >= oldest and not lives.strict:
        reply["points_expire_at"] = _iso(from_micros(row["points_to"]) + lives.points)
    return reply if last is None else reply | {"next": last}


async def delete(db: Database, place: Place, now: datetime, by: Actor = NOBODY) -> None:
    """Erase a context with all that is held of it; one that does not exist is erased already."""

    async def remove(connection: Connection) -> None:
        row = await queries.hold_known(connection, place.project_id, place.environment, place.name)
        if row is not None:
            await trajectory.forget_all(connection, Arc(row["id"]))
            await idempotency.forget_context(connection, row["id"])
            await queries.remove(connection, row["id"])
            await audit.record(connection, by, "context.delete", row["id"], now, project=place.project_id, environment=place.environment)

    await db.write(remove)


async def delete_all(db: Database, project_id: str) -> int:
    """Erase every context of a project, one in a transaction, and give how many there were."""

    async def remove(connection: Connection) -> int:
        rows = await queries.list_of_project(connection, project_id, 1)
        for row in rows:
            await queries.hold_again(connection, row["id"])
            await trajectory.forget_all(connection, Arc(row["id"]))
            await idempotency.forget_context(connection, row["id"])
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
    swept, broken = 0, []
    while found := await db.read(lambda connection: queries.due(connection, to_micros(clock()), _SWEPT_AT_ONCE)):
        for known in found:
            try:
                await _sweep_step(db, known["id"], clock(), Lives.of(settings, retention_of(known)))
            except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError) as fault:
                # One that cannot be swept must not keep the others from it.
                broken.append(fault)
                await db.write(lambda connection, of=known["id"]: queries.postpone(connection, of, to_micros(clock()) + HOUR))  # type: ignore[misc]
        swept += len(found)
    if broken:
        message = f"{len(broken)} contexts could not be swept"
        raise SweepError(message) from broken[0]
    return swept


class SweepError(Exception):
    """Something of some contexts could not be taken off the disk; the others were swept."""


async def _sweep_step(db: Database, context_id: str, moment: datetime, lives: Lives) -> None:
    """Take a step with one context; what is left of it is due at once again."""

    async def step(connection: Connection) -> None:
        row = await queries.hold_again(connection, context_id)
        if row is not None:
            await _sweep_one(connection, row, moment, lives)

    await db.write(step)


async def _sweep_one(connection: Connection, row: Row, moment: datetime, lives: Lives) -> None:
    """Take what has expired of one context, so many rows at most or an hour's points."""
    alive, oldest, arc = row["last_came"] > lives.came_after(moment), lives.oldest(moment), Arc.of(row)
    if not alive and lives.strict:
        oldest = _END_OF_TIME
    gone = await queries.forget_messages(connection, row["id"], row["first_number"] if alive else _END_OF_TIME, _ROWS_AT_ONCE)
    done = gone < _ROWS_AT_ONCE
    if done and not alive:
        await queries.forget_state(connection, row["id"])
        await idempotency.forget_context(connection, row["id"])
    if done and arc.points_from is not None and arc.points_from < oldest:
        done = await trajectory.forget(connection, arc, oldest, _ROWS_AT_ONCE)
    if done and not alive and arc.points_from is None:
        await queries.remove(connection, row["id"])
        return
    # An hour's points go together, so that what is due may have to wait for the end of its hour.
    due_at = max(lives.due(row["last_came"] if alive else None, arc.points_from), to_micros(moment) + HOUR) if done else 0
    await queries.set_arc(connection, row["id"], arc.columns, (arc.points_from, arc.points_to), due_at)


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
