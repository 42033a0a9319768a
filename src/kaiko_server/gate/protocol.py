"""HTTP/1.1 as uvicorn speaks it, with our shape of error where uvicorn answers by itself, and bounds that it does not set."""

import asyncio
import secrets
from collections.abc import Callable
from typing import Any, Final

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from kaiko_server.errors import ApiError, Code
from kaiko_server.gate.replies import error_reply
from kaiko_server.gate.trace import HUNG_UP, SECURITY_HEADERS

_MAX_HEAD_BYTES: Final = 64 * 1024
"""Request line and headers together."""
_MAX_LINGER_BYTES: Final = 16 * 1024 * 1024
"""What a client may still send after it was refused; closing at once would reset the connection before it reads why."""
_GRACE_S: Final = 5.0
"""Longer than its time limit a request may take to arrive, so that whoever is too slow is told 503 before the line is cut."""
_UPGRADE: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})
"""Headers by which a client offers another protocol; there is none here, so it goes on as if it had not asked."""


class Protocol(HttpToolsProtocol):
    """One connection.

    Parameters
    ----------
    refused
        Told the code and the request id of each request that never reached the application.
    read_timeout_s
        Seconds that a request may take to arrive whole; the connection of one that does not is closed a little later.
    """

    def __init__(self, *args: Any, refused: Callable[[Code, str], None], read_timeout_s: float, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own
        super().__init__(*args, **kwargs)
        self._refused = refused
        self._read_timeout_s = read_timeout_s
        self._head_bytes = 0
        self._linger_bytes = 0
        self._fault = Code.INVALID_JSON
        self._reading: asyncio.TimerHandle | None = None
        self._answering: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)
        if self._answering is not None:
            # Nobody waits for the answer any more; one that was sent has ended its task, and then this does nothing.
            self._answering.cancel(HUNG_UP)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = self.loop.create_task(cycle.run_asgi(app))
        self._answering.add_done_callback(self.tasks.discard)
        self.tasks.add(self._answering)

    def data_received(self, data: bytes) -> None:
        """Parse what came; a client's offer of another protocol (Java's sends one with every request) changes nothing."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._stay(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")

    def _stay(self, rest: bytes) -> None:
        """Parse the request again without the offer, and then the *rest*, which the parser left alone."""
        kept = [name + b": " + value for name, value in self.headers if name not in _UPGRADE]
        head = [self.parser.get_method() + b" " + self.url + b" HTTP/1.1", *kept, b"", rest]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join(head))

    def on_headers_complete(self) -> None:
        if not self._offers_another():
            super().on_headers_complete()

    def _offers_another(self) -> bool:
        # CONNECT counts as an upgrade too, but asks for a tunnel: that is refused.
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def on_message_begin(self) -> None:
        self._head_bytes = self._linger_bytes = 0
        self._expect()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        if not self._offers_another():
            self._arrived()
            super().on_message_complete()

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        if self.cycle.response_complete:
            self._linger_bytes += len(body)
            if self._linger_bytes > _MAX_LINGER_BYTES:
                self.transport.close()
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer what could not be parsed, in our shape; *msg* is uvicorn's own wording, which ours replaces."""
        del msg
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn sets it with the first request
        if cycle is not None and not cycle.response_complete and (cycle.response_started or not cycle.more_body):
            # The fault is in what follows a request that is still being answered: that answer goes first, and is the last.
            cycle.keep_alive = False
            return
        self._refuse()
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()

    def _refuse(self) -> None:
        request_id = f"req-{secrets.token_hex(12)}"
        message = "The request's head is larger than 64 KiB." if self._fault is Code.PAYLOAD_TOO_LARGE else "The request is not valid HTTP."
        headers, body = error_reply(ApiError(self._fault, message), request_id)
        headers = [*self.server_state.default_headers, *headers, *SECURITY_HEADERS, (b"x-request-id", request_id.encode())]
        lines = [STATUS_LINE[self._fault.value.status], *(name + b": " + value + b"\r\n" for name, value in headers)]
        self.transport.write(b"".join([*lines, b"connection: close\r\n\r\n", body]))
        self.transport.close()
        self._refused(self._fault, request_id)

    def _count_head(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > _MAX_HEAD_BYTES:
            self._fault = Code.PAYLOAD_TOO_LARGE
            message = "head too large"
            raise ValueError(message)  # the parser stops and reports it as any other fault

    def _expect(self) -> None:
        self._arrived()
        self._reading = self.loop.call_later(self._read_timeout_s + _GRACE_S, self._give_up)

    def _arrived(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
