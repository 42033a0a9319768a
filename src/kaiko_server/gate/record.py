"""What is known of one request while it passes through: its names, its times, and the headers its reply will get."""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from time import perf_counter

from starlette.types import Scope

from kaiko_server.idempotency.service import Ticket
from kaiko_server.keys.service import Caller

_KEY = "kaiko.record"
_CLIENT_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
"""What a client's own request id may be made of to be logged: anything wider could carry a sentence."""


@dataclass(slots=True)
class Record:
    """One request; made by :class:`~kaiko_server.gate.trace.Trace`, read and added to by those behind it.

    Attributes
    ----------
    template
        The route, such as ``/v1/{path}``; never the path itself, which may hold a client's words.
    stages
        Milliseconds by stage, in the order they ended.
    headers
        Noted during the request, written at the exit.
    bytes_in, bytes_out, texts, tokens
        Counts.
    """

    method: str
    template: str
    client_request_id: str | None
    request_id: str = field(default_factory=lambda: f"req-{secrets.token_hex(12)}")
    began: float = field(default_factory=perf_counter)
    stages: dict[str, float] = field(default_factory=dict)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    caller: Caller | None = None
    address: str | None = None
    """Where the client is, as far as one can tell: a proxy that is not declared is its client."""
    ticket: Ticket | None = None
    """Of a request with an idempotency key."""
    ticket_ended: bool = False
    """Whether what became of it is written down."""
    status: int = 0
    code: str | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    texts: int = 0
    tokens: int = 0
    last: float = 0.0

    def __post_init__(self) -> None:
        self.last = self.began

    def mark(self, stage: str) -> None:
        """End *stage*: it took the time since the one before it ended."""
        now = perf_counter()
        self.stages[stage] = (now - self.last) * 1000
        self.last = now

    def split(self, **seconds: float) -> None:
        """End several stages that were measured elsewhere."""
        for stage, value in seconds.items():
            self.stages[stage] = value * 1000
        self.last = perf_counter()

    @property
    def denied(self) -> frozenset[str]:
        """Features that the caller's project may not use."""
        return frozenset() if self.caller is None else self.caller.denied

    def moment(self, clock: Callable[[], datetime]) -> datetime:
        """Give the time that the request is answered as of: now, or when it was first made."""
        return clock() if self.ticket is None else self.ticket.began_at

    @property
    def charged_tokens(self) -> int:
        """Give the tokens that count towards a quota: a reply that is computed again costs none."""
        return 0 if self.ticket is not None and self.ticket.replayed else self.tokens

    @property
    def total_ms(self) -> float:
        """Milliseconds since the request began."""
        return (perf_counter() - self.began) * 1000


def attach(scope: Scope, record: Record) -> None:
    """Hand *record* down with the request."""
    scope[_KEY] = record


def record_of(scope: Scope) -> Record:
    """Give the record of the request that *scope* belongs to."""
    record: Record = scope[_KEY]
    return record


def client_request_id(value: bytes | None) -> str | None:
    """Give a client's own id if it is one, and not a text."""
    return value.decode("ascii") if value is not None and _CLIENT_ID.fullmatch(value) else None
