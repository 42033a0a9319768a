"""``/v1/*``: the API of before, which ended; whatever is asked there, the answer says where it is to be found now."""

from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Final

from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Receive, Scope, Send

from kaiko_server.errors import ApiError, Code

_ENDED: Final = datetime(2026, 3, 31, tzinfo=UTC)
_BATCH: Final = frozenset({"batch-analyse", "batch-analysis"})
_ANALYSIS: Final = frozenset({"analyse", "analysis"})


class Sunset:
    """An ASGI application that takes every method, so that the gate's 405 never hides the 410."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        successor = successor_of(scope["path"])
        raise ApiError(
            Code.API_VERSION_SUNSET,
            f"Version 1 of the API ended on {_ENDED:%Y-%m-%d}. Use {successor} instead.",
            headers={
                "Deprecation": f"@{int(_ENDED.timestamp())}",
                "Sunset": format_datetime(_ENDED, usegmt=True),
                "Link": f'<{successor}>; rel="successor-version"',
            },
        )


def successor_of(path: str) -> str:
    """Name the V2 route for a V1 *path*: a template, since the path itself may hold a client's words."""
    parts = [part for part in path.split("/") if part][1:]
    head, tail = (parts[0], parts[-1]) if parts else ("", "")
    if head in {"chat", "models"}:
        return {"chat": "/v2/chat/completions", "models": "/v2/models"}[head]
    if tail in _BATCH:
        return "/v2/emotions/batch-analysis"
    if len(parts) > 2 and tail in _ANALYSIS:  # noqa: PLR2004 - emotions, context, analyse
        return "/v2/emotions/{context_id}/analysis"
    return "/v2/emotions/analysis"


ROUTES: Final[list[BaseRoute]] = [Route("/v1", Sunset()), Mount("/v1", app=Sunset())]
