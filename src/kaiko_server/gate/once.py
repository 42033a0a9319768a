"""Idempotency: a request with an ``Idempotency-Key`` is run once, and its retries are told what it was told."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kaiko_server.errors import ApiError
from kaiko_server.gate.caller import presented
from kaiko_server.gate.record import Record, record_of
from kaiko_server.gate.replies import JSON, error_reply
from kaiko_server.gate.table import RouteTable
from kaiko_server.idempotency import service
from kaiko_server.idempotency.service import Names, Replay, Ticket, key_of
from kaiko_server.parts import Parts, parts_of

_REPLAYED: Final = (b"idempotent-replayed", b"true")
_NOT_FINAL: Final = frozenset({400, 401, 403, 404, 413, 415, 422, 429, 500, 503})
"""Answers after which a retry is run: nothing was done."""


class OnceGate:
    """Pure ASGI; holds the reply back until it is written down how the request ended."""

    def __init__(self, app: ASGIApp, *, table: RouteTable) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = record_of(scope) if scope["type"] == "http" else None
        key = key_of(scope["headers"]) if record is not None and record.caller is not None and record.method == "POST" else None
        if record is None or key is None:
            await self._app(scope, receive, send)
            return
        parts, body = parts_of(scope), await _whole(receive)
        names = Names(presented(scope["headers"]), record.method, scope["raw_path"], key)
        found = await service.claim(parts.db, names, body, parts.model.version, parts.clock())
        record.mark("claim")
        if isinstance(found, Replay):
            await _tell(send, record, found)
            return
        record.ticket = found
        if found.replayed:
            record.headers.append(_REPLAYED)
            await self._app(scope, _again(body, receive), send)
            return
        await self._run(scope, _again(body, receive), send, parts, record, found)

    async def _run(self, scope: Scope, receive: Receive, send: Send, parts: Parts, record: Record, ticket: Ticket) -> None:  # noqa: PLR0913, PLR0917 - a request and its ticket
        held = _Held()
        stateless = self._table.find(scope["path"], scope["method"]).stateless
        try:
            await self._app(scope, receive, held)
            if not record.ticket_ended:
                await self._end(parts, record, ticket, held.status, None if stateless else held.body)
        except ApiError as error:
            if not record.ticket_ended and not isinstance(error, service.OutrunError):
                _, body = error_reply(error, record.request_id)
                await self._end(parts, record, ticket, error.code.value.status, body)
            raise
        finally:
            if not record.ticket_ended:
                await service.let_go(parts.db, ticket)
        for message in held.messages:
            await send(message)

    async def _end(self, parts: Parts, record: Record, ticket: Ticket, status: int, body: bytes | None) -> None:
        if status not in _NOT_FINAL:
            await service.end(parts.db, ticket, parts.clock(), status, body)
            record.ticket_ended = True


class _Held:
    """Keeps a reply instead of sending it."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def __call__(self, message: Message) -> None:
        self.messages.append(message)

    @property
    def status(self) -> int:
        return int(self.messages[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


async def _whole(receive: Receive) -> bytes:
    """Read the body to its end; the gate before this one bounds it."""
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """Give what was read once more, and after it what comes."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


async def _tell(send: Send, record: Record, replay: Replay) -> None:
    record.headers.append(_REPLAYED)
    headers = [(b"content-type", JSON), (b"content-length", str(len(replay.body)).encode())]
    await send({"type": "http.response.start", "status": replay.status, "headers": headers})
    await send({"type": "http.response.body", "body": replay.body})
