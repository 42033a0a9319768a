"""Who asks: the key of a request becomes a frozen Caller."""

from starlette.types import ASGIApp, Receive, Scope, Send

from kaiko_server.errors import ApiError, Code
from kaiko_server.gate.record import record_of
from kaiko_server.gate.table import Entry, RouteTable
from kaiko_server.parts import parts_of
from kaiko_server.store.db import to_micros

_BEARER = "bearer"


class CallerGate:
    """Pure ASGI; only routes with data ask for a key, and a route that does not exist is told to everybody as such."""

    def __init__(self, app: ASGIApp, *, table: RouteTable) -> None:
        self._app = app
        self._table = table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            entry = self._table.find(scope["path"], scope["method"])
            if entry.methods and scope["method"] not in entry.methods:
                # Not left to the router, which knows only the methods of the first of several routes with this path.
                raise ApiError(Code.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(sorted(entry.methods))})
            if entry.needs_key:
                await _let_in(scope, entry)
        await self._app(scope, receive, send)


async def _let_in(scope: Scope, entry: Entry) -> None:
    """Find out who asks, and whether the key is for this route and this place.

    Raises
    ------
    ApiError
        One of 401, 403; or ``TOO_MANY_REQUESTS``, when its address has been told so too often.
    """
    record, parts = record_of(scope), parts_of(scope)
    try:
        caller = await parts.keys.verify(presented(scope["headers"]), record.address)
    except ApiError:
        limit = parts.settings.failed_keys_per_minute
        wait = await parts.counters.fail(record.address or "", limit, to_micros(parts.clock())) if limit else 0
        if wait:
            raise ApiError(Code.TOO_MANY_REQUESTS, headers={"Retry-After": str(-(-wait // 1_000_000))}) from None
        raise
    record.caller = caller
    if entry.scope is not None and entry.scope not in caller.scopes:
        message = f"This API key is not for this route: it needs the scope `{entry.scope}`."
        raise ApiError(Code.INSUFFICIENT_SCOPE, message)
    if entry.feature is not None:
        caller.must_have(entry.feature)
    record.mark("auth")


def presented(headers: list[tuple[bytes, bytes]]) -> str:
    """Give the key that a request presents, or an empty text.

    Raises
    ------
    ApiError
        ``INVALID_API_KEY``: it presents two that differ.
    """
    keys: set[str] = set()
    for name, value in headers:
        if name == b"x-api-key":
            keys.add(value.decode("latin-1").strip())
        elif name == b"authorization":
            # Another scheme is not meant for us: a proxy in front may ask for a password of its own.
            scheme, _, rest = value.decode("latin-1").strip().partition(" ")
            if scheme.lower() == _BEARER:
                keys.add(rest.strip())
    if len(keys) > 1:
        raise ApiError(Code.INVALID_API_KEY)
    return keys.pop() if keys else ""
