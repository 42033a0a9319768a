"""How much a caller may do: a minute that slides, requests at once, tokens a month; and the headers that say where it stands.

The headers are ``X-RateLimit-*``, as many services have them, and the pair of the IETF's draft-ietf-httpapi-ratelimit-headers-10.
"""

import calendar
from datetime import datetime
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from kaiko_server.errors import ApiError, Code
from kaiko_server.gate.record import Record, record_of
from kaiko_server.gate.table import ADMIN
from kaiko_server.parts import Parts, parts_of
from kaiko_server.store.counters import Ask, Limit, Limits, Standing
from kaiko_server.store.db import to_micros
from kaiko_server.usage.service import month_ends, month_of

_SECOND: Final = 1_000_000
_BYTES_A_TOKEN: Final = 4
"""Of English text in JSON; what a request reserves before anybody has counted it."""
_CODES: Final = {
    Limit.MINUTE: Code.TOO_MANY_REQUESTS,
    Limit.CONCURRENT: Code.TOO_MANY_CONCURRENT_REQUESTS,
    Limit.TOKENS: Code.QUOTA_EXCEEDED,
}


class LimitGate:
    """Pure ASGI; refuses with 429, and counts what passes."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        record = record_of(scope) if scope["type"] == "http" else None
        if record is None or record.caller is None:
            await self._app(scope, receive, send)
            return
        parts, caller = parts_of(scope), record.caller
        ask = await _ask(record, caller.limits, parts, scope["headers"])
        standing = await parts.counters.enter(ask)
        record.headers += headers(ask.limits, standing, parts.clock())
        record.mark("limits")
        if standing.refused is not None:
            raise refusal(standing, parts.clock())
        try:
            await self._app(scope, receive, send)
        finally:
            await parts.counters.leave(ask, record.charged_tokens)
            parts.meter.add(caller.key_id, record.texts, record.charged_tokens)


async def _ask(record: Record, limits: Limits, parts: Parts, sent: list[tuple[bytes, bytes]]) -> Ask:
    assert record.caller is not None  # the gate before this one has seen to it
    now, key_id = parts.clock(), record.caller.key_id
    if record.template.startswith(ADMIN):
        # Counted apart, so that neither stands in the other's way; nobody needs to make keys by the thousand.
        few = parts.settings.admin_requests_per_minute
        return Ask(f"{key_id}:admin", Limits(few, limits.concurrent), record.request_id, to_micros(now))
    if not limits.tokens_per_month:
        return Ask(key_id, limits, record.request_id, to_micros(now))
    length = next((value for name, value in sent if name == b"content-length"), b"")
    reserve = int(length) // _BYTES_A_TOKEN if length.isdigit() else 0
    used = await parts.meter.used_this_month(key_id)
    return Ask(key_id, limits, record.request_id, to_micros(now), month_of(now), used, reserve)


def refusal(standing: Standing, now: datetime) -> ApiError:
    """Give the error of a request that *standing* refuses, with the seconds after which it is worth trying again."""
    assert standing.refused is not None  # asked for refused ones alone
    if standing.refused is Limit.MINUTE:
        wait = _seconds(standing.minute_resets - to_micros(now))
    elif standing.refused is Limit.CONCURRENT:
        wait = 1
    else:
        wait = _seconds(to_micros(month_ends(now)) - to_micros(now))
    return ApiError(_CODES[standing.refused], headers={"Retry-After": str(wait)})


def headers(limits: Limits, standing: Standing, now: datetime) -> list[tuple[bytes, bytes]]:
    """Say where a caller stands; of limits that it does not have, nothing is said."""
    micros = to_micros(now)
    policies, left, found = [], [], []
    if limits.per_minute:
        remaining = 0 if standing.refused else standing.minute_left
        found += [
            (b"x-ratelimit-limit", str(limits.per_minute).encode()),
            (b"x-ratelimit-remaining", str(remaining).encode()),
            (b"x-ratelimit-reset", str(-(-standing.minute_resets // _SECOND)).encode()),
        ]
        policies.append(f'"minute";q={limits.per_minute};w=60')
        left.append(f'"minute";r={standing.minute_left};t={_seconds(standing.minute_resets - micros)}')
    if limits.concurrent:
        policies.append(f'"concurrent";q={limits.concurrent};qu="concurrent-requests"')
        left.append(f'"concurrent";r={standing.concurrent_left}')
    if limits.tokens_per_month:
        days = calendar.monthrange(now.year, now.month)[1]
        policies.append(f'"tokens";q={limits.tokens_per_month};w={days * 86400};qu="tokens"')
        left.append(f'"tokens";r={standing.tokens_left};t={_seconds(to_micros(month_ends(now)) - micros)}')
    if policies:
        found += [(b"ratelimit-policy", ", ".join(policies).encode()), (b"ratelimit", ", ".join(left).encode())]
    return found


def _seconds(micros: int) -> int:
    """Round up: who waits so long finds it free."""
    return max(1, -(-micros // _SECOND))
