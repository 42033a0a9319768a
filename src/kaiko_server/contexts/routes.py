"""``/v2/emotions/{context_id}``: HTTP in and out, no logic."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from kaiko_server.analysis import routes as analysis
from kaiko_server.audit.service import Actor
from kaiko_server.contexts import service
from kaiko_server.contexts.schemas import MAX_AFTER, MAX_PAGE, SCHEMAS, context_name, external_id, page, points_asked
from kaiko_server.contexts.service import Lives, Place
from kaiko_server.errors import Code
from kaiko_server.gate import openapi
from kaiko_server.gate.record import record_of
from kaiko_server.gate.replies import json_reply
from kaiko_server.gate.route import BytesRoute
from kaiko_server.keys.service import Caller
from kaiko_server.parts import parts_of

__all__ = ["SCHEMAS", "router"]

router = APIRouter(prefix="/v2/emotions/{context_id}", tags=["Contexts"], route_class=BytesRoute)
_PREFIX: Final = 3
"""Where the context's id stands among the parts of a path that begins with a slash."""
_ID: Final[dict[str, Any]] = {
    "name": "context_id",
    "in": "path",
    "required": True,
    "description": "Your name for the conversation: 1 to 128 bytes of UTF-8, percent-encoded (a `/` as `%2F`). It belongs to the key's "
    "project and environment.",
    "schema": {"type": "string", "minLength": 1},
}
_KNOWN: Final = (*openapi.KEYED, Code.CONTEXT_NOT_FOUND, Code.INVALID_CONTEXT_ID)


def _described(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"security": openapi.SECURITY, "parameters": [_ID, *parameters]}


def _whole(name: str, description: str, least: int, most: int) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": {"type": "integer", "minimum": least, "maximum": most}}


@router.post(
    "/analysis",
    summary="Read the emotions of a conversation that is remembered",
    response_class=Response,
    responses=openapi.ok("The reading.", {"$ref": "#/components/schemas/AnalysisReply"})
    | openapi.errors(*analysis.REFUSALS, Code.DUPLICATE_ID, Code.INVALID_CONTEXT_ID),
    openapi_extra=analysis.BODY | _described(openapi.IDEMPOTENCY_KEY),
)
async def analyse(request: Request) -> Response:
    """Read up to 100 messages, each in the light of those before it. Numbers and labels are kept, no text."""
    place = _place(request)
    asked = await analysis.asked_of(request)
    record, parts = record_of(request.scope), parts_of(request.scope)
    now, model = record.moment(parts.clock), analysis.model_for(record, parts)
    found = await service.analyse(
        parts.db, model, place, asked, now=now, lives=_lives(request), ticket=record.ticket, policy=analysis.policy_of(record)
    )
    record.ticket_ended = record.ticket is not None
    return analysis.answer(record, asked, found)


@router.get(
    "",
    summary="The latest state of a context",
    response_class=Response,
    responses=openapi.ok("The latest reading of each role.", {"$ref": "#/components/schemas/ContextState"}) | openapi.errors(*_KNOWN),
    openapi_extra=_described(),
)
async def state(request: Request) -> Response:
    """Give what was last read of each role, without texts: they were not kept."""
    parts = parts_of(request.scope)
    found = await service.state_of(parts.db, _place(request), parts.clock(), _lives(request))
    return json_reply(to_json(service.without(found, record_of(request.scope).denied)))


@router.get(  # the ids are taken from the path as it came, undecoded
    "/message/{external_id}",  # noqa: FAST003 - see above
    summary="The reading of one message",
    response_class=Response,
    responses=openapi.ok("Its reading.", {"$ref": "#/components/schemas/ContextState"}) | openapi.errors(*_KNOWN, Code.MESSAGE_NOT_FOUND),
    openapi_extra=_described(
        {"name": "external_id", "in": "path", "required": True, "description": "As it was sent.", "schema": {"type": "string"}}
    ),
)
async def message(request: Request) -> Response:
    """Give the reading of a message that was sent with this `externalId`."""
    parts = parts_of(request.scope)
    place, name = _place(request), external_id(_segments(request)[_PREFIX + 2])
    found = await service.message_of(parts.db, place, name, parts.clock(), _lives(request))
    return json_reply(to_json(service.without(found, record_of(request.scope).denied)))


@router.get(
    "/export",
    summary="Everything held about a context",
    response_class=Response,
    responses=openapi.ok("All of it.", {"$ref": "#/components/schemas/ContextExport"}) | openapi.errors(*_KNOWN, Code.INVALID_VALUE),
    openapi_extra=_described(
        _whole("after", "`next` of the page before.", 0, MAX_AFTER), _whole("limit", "Messages of a page.", 1, MAX_PAGE)
    ),
)
async def export(request: Request) -> Response:
    """Give all that is held: there is no text in it, for none is kept."""
    parts = parts_of(request.scope)
    after, limit = page(dict(request.query_params))
    lives = _lives(request)
    return json_reply(to_json(await service.export(parts.db, _place(request), parts.clock(), lives, after=after, limit=limit)))


@router.get(
    "/trajectory",
    summary="The points of a context's arc",
    response_class=Response,
    responses=openapi.ok("Points, or sums of hours or days.", {"$ref": "#/components/schemas/ContextTrajectory"})
    | openapi.errors(*_KNOWN, Code.INVALID_VALUE),
    openapi_extra=_described(
        _whole("limit", "Points or sums of a page.", 1, MAX_PAGE),
        {
            "name": "bucket",
            "in": "query",
            "description": "Sums of a user's points by hour or day, instead of points.",
            "schema": {"type": "string", "enum": ["hour", "day"]},
        },
        # A schema cannot say what a moment or a cursor is without promising more than the server takes.
    ),
)
async def points(request: Request) -> Response:
    """Give the points, oldest first, for plots.

    `from` and `to` (ISO 8601; the moment `to` itself is left out) bound them; `after` is the `next` of the page before.
    """
    parts = parts_of(request.scope)
    place, asked = _place(request), points_asked(dict(request.query_params))
    return json_reply(to_json(await service.points_of(parts.db, place, parts.clock(), _lives(request), asked)))


@router.delete(
    "",
    summary="Erase a context",
    response_class=Response,
    status_code=204,
    responses=openapi.gone("It is erased, or never was.") | openapi.errors(*openapi.KEYED, Code.INVALID_CONTEXT_ID),
    openapi_extra=_described(),
)
async def delete(request: Request) -> Response:
    """Erase state and readings before this answers."""
    record, parts = record_of(request.scope), parts_of(request.scope)
    by = Actor(_caller(request).key_id, record.address, record.request_id)
    await service.delete(parts.db, _place(request), parts.clock(), by)
    return Response(status_code=204)


def _segments(request: Request) -> list[bytes]:
    raw: bytes = request.scope["raw_path"]
    return raw.split(b"/")


def _caller(request: Request) -> Caller:
    caller = record_of(request.scope).caller
    assert caller is not None  # the gate lets nobody else pass
    return caller


def _lives(request: Request) -> Lives:
    return Lives.of(parts_of(request.scope).settings, _caller(request).retention)


def _place(request: Request) -> Place:
    caller = _caller(request)
    return Place(caller.project_id, caller.environment, context_name(_segments(request)[_PREFIX]))
