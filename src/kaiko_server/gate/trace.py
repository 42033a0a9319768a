"""The outermost gate: names the request, bounds its body and its time, and tells what became of it.

Every error of every route ends in :meth:`Trace._answer_error`: the one handler.
"""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.typing import FilteringBoundLogger

from kaiko_server.errors import ApiError, Code
from kaiko_server.gate import logs
from kaiko_server.gate.metrics import Metrics
from kaiko_server.gate.record import Record, attach, client_request_id
from kaiko_server.gate.replies import error_reply, known
from kaiko_server.gate.table import RouteTable, keep_slashes
from kaiko_server.gate.traffic import Traffic
from kaiko_server.settings import Settings

SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""On every reply, unless its route says otherwise."""

CLIENT_GONE: Final = 499
"""Status in logs and metrics of a request whose client hung up; never sent."""
HUNG_UP: Final = "the client hung up"
"""With this message the connection cancels its request; whoever cancels without it is a server that has waited long enough."""
_ALIVE_WHILE_DRAINING: Final = frozenset({"/healthz", "/metrics"})


class ClientGoneError(Exception):
    """The client hung up before its request was whole."""


class Trace:
    """Pure ASGI; see the module.

    Parameters
    ----------
    app
        What stands behind it.
    table
        Finds the template of a path.
    settings
        Of it, the body's bound and the deadline.
    traffic
        Counts, and says whether the server still takes requests.
    metrics, log
        Told of each request.
    """

    def __init__(  # noqa: PLR0913 - what it is made of, each by name
        self, app: ASGIApp, *, table: RouteTable, settings: Settings, traffic: Traffic, metrics: Metrics, log: FilteringBoundLogger
    ) -> None:
        self._app = app
        self._table = table
        self._timeout_s = settings.request_timeout_s
        self._max_body = settings.max_body_bytes
        self._traffic = traffic
        self._metrics = metrics
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        keep_slashes(scope)
        entry = self._table.find(scope["path"], scope["method"])
        record = Record(scope["method"], entry.template, client_request_id(headers.get(b"x-client-request-id")))
        attach(scope, record)
        declared = headers.get(b"content-length", b"")
        self._traffic.in_flight += 1
        try:
            await self._pass(scope, _Bounded(receive, record, self._max_body, declared), _Exit(send, record))
        finally:
            self._traffic.in_flight -= 1
            self._metrics.count(record)
            logs.request_line(self._log, record)

    async def _pass(self, scope: Scope, receive: "_Bounded", leave: "_Exit") -> None:
        record = leave.record
        try:
            self._refuse_when_draining(record)
            async with asyncio.timeout(self._timeout_s) as deadline:
                await self._app(scope, receive, leave)
        except ClientGoneError:
            record.status = CLIENT_GONE
        except asyncio.CancelledError as cancelled:
            if cancelled.args == (HUNG_UP,):
                record.status = CLIENT_GONE
            else:
                await self._answer_error(ApiError(Code.SERVICE_UNAVAILABLE), leave)
        except Exception as fault:  # noqa: BLE001 - the last place where an error can become a reply
            late = isinstance(fault, TimeoutError) and deadline.expired()
            await self._answer_error(ApiError(Code.TIMEOUT) if late else self._explain(fault, record), leave)

    def _refuse_when_draining(self, record: Record) -> None:
        if self._traffic.draining and record.template not in _ALIVE_WHILE_DRAINING:
            raise ApiError(Code.SERVICE_UNAVAILABLE, headers={"Connection": "close"})

    def _explain(self, fault: Exception, record: Record) -> ApiError:
        error = known(fault)
        if error is None:
            self._log.error("unhandled", request_id=record.request_id, route=record.template, error=logs.where(fault))
            return ApiError(Code.INTERNAL)
        return error

    async def _answer_error(self, error: ApiError, leave: "_Exit") -> None:
        leave.record.code = error.code.slug
        if leave.record.status:
            # The reply is under way: ending without its end makes the server close the connection, which tells the client.
            return
        headers, body = error_reply(error, leave.record.request_id)
        await leave({"type": "http.response.start", "status": error.code.value.status, "headers": headers})
        await leave({"type": "http.response.body", "body": body})


class _Bounded:
    """Gives the body's parts until there are more than allowed; then refuses, and reads no further."""

    __slots__ = ("_declared", "_most", "_receive", "_record")

    def __init__(self, receive: Receive, record: Record, most: int, declared: bytes) -> None:
        self._receive = receive
        self._record = record
        self._most = most
        self._declared = int(declared) if declared.isdigit() else 0

    async def __call__(self) -> Message:
        if self._declared > self._most:
            raise ApiError(Code.PAYLOAD_TOO_LARGE)
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        self._record.bytes_in += len(message.get("body", b""))
        if self._record.bytes_in > self._most:
            raise ApiError(Code.PAYLOAD_TOO_LARGE)
        return message


class _Exit:
    """Writes the headers that were noted on the way."""

    __slots__ = ("_send", "record")

    def __init__(self, send: Send, record: Record) -> None:
        self._send = send
        self.record = record

    async def __call__(self, message: Message) -> None:
        record = self.record
        if message["type"] == "http.response.start":
            record.status = message["status"]
            headers = list(message.get("headers", ()))
            headers.append((b"x-request-id", record.request_id.encode()))
            headers.append((b"server-timing", _timing(record)))
            headers += record.headers
            present = {name for name, _ in headers}
            headers += [pair for pair in SECURITY_HEADERS if pair[0] not in present]
            message["headers"] = headers
        else:
            record.bytes_out += len(message.get("body", b""))
        await self._send(message)


def _timing(record: Record) -> bytes:
    told = [f"{stage};dur={ms:.2f}" for stage, ms in record.stages.items()]
    return ", ".join([*told, f"total;dur={record.total_ms:.2f}"]).encode()
