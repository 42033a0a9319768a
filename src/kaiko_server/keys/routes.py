"""``/admin/v1/keys``: HTTP in and out, no logic. For keys with the scope ``admin`` alone, which administer every project."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from kaiko_server.audit.service import Actor
from kaiko_server.errors import ApiError, Code
from kaiko_server.gate import openapi
from kaiko_server.gate.body import read_json
from kaiko_server.gate.record import Record, record_of
from kaiko_server.gate.replies import json_reply
from kaiko_server.gate.route import BytesRoute
from kaiko_server.keys import service
from kaiko_server.keys.schemas import SCHEMAS, parse_new_key, parse_rotation, shown
from kaiko_server.keys.service import CreatedKey, KeyRecord, RotationError
from kaiko_server.parts import parts_of
from kaiko_server.store.db import Connection

__all__ = ["SCHEMAS", "router"]

router = APIRouter(prefix="/admin/v1/keys", tags=["Administration"], route_class=BytesRoute)
_KEY: Final = {"$ref": "#/components/schemas/Key"}
_BODY_ERRORS: Final = (
    *openapi.KEYED, Code.INVALID_IDEMPOTENCY_KEY, Code.IDEMPOTENCY_IN_PROGRESS, Code.IDEMPOTENCY_KEY_REUSED, Code.INVALID_VALUE,
    Code.PAYLOAD_TOO_LARGE, Code.UNSUPPORTED_MEDIA_TYPE,
)  # fmt: skip
_ID: Final[dict[str, Any]] = {"name": "key_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _body(schema: str) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
    return {"security": openapi.SECURITY, "requestBody": {"required": True, "content": content}}


@router.post(
    "",
    summary="Make a key",
    response_class=Response,
    status_code=201,
    responses=openapi.made("The key, with its secret: this once.", _KEY) | openapi.errors(*_BODY_ERRORS),
    openapi_extra=_body("NewKey") | {"parameters": [openapi.IDEMPOTENCY_KEY]},
)
async def create(request: Request) -> Response:
    """Make a key for a project, which is made too if there is none of the name.

    With an `Idempotency-Key` a lost answer can be asked for again.
    """
    asked, record, parts = parse_new_key(await read_json(request)), record_of(request.scope), parts_of(request.scope)
    now = record.moment(parts.clock)
    try:
        made = await service.create_key(
            parts.db, parts.keys.pepper, project=asked.project, environment=asked.environment, name=asked.name, clock=lambda: now,
            terms=asked.terms(now), by=_actor(record), finish=_finish(record, now),
        )  # fmt: skip
    except ValueError as error:
        raise ApiError(Code.INVALID_VALUE, f"{str(error)[0].upper()}{str(error)[1:]}.") from None
    return _made(record, made, now)


@router.get(
    "",
    summary="List keys",
    response_class=Response,
    responses=openapi.ok("All keys, or those of a project.", {"$ref": "#/components/schemas/KeyList"}) | openapi.errors(*openapi.KEYED),
    openapi_extra={"security": openapi.SECURITY, "parameters": [{"name": "project", "in": "query", "schema": {"type": "string"}}]},
)
async def list_keys(request: Request) -> Response:
    """Give all keys, or those of the `project` of this name, oldest first, without their secrets."""
    parts = parts_of(request.scope)
    found = await service.list_keys(parts.db, request.query_params.get("project"))
    return json_reply(to_json({"object": "list", "data": [shown(record, parts.clock()) for record in found]}))


@router.get(
    "/{key_id}",  # noqa: FAST003 - a BytesRoute hands over the request alone
    summary="One key",
    response_class=Response,
    responses=openapi.ok("The key, without its secret.", _KEY) | openapi.errors(*openapi.KEYED, Code.KEY_NOT_FOUND),
    openapi_extra={"security": openapi.SECURITY, "parameters": [_ID]},
)
async def one(request: Request) -> Response:
    """Give one key, without its secret."""
    parts = parts_of(request.scope)
    return _told(await service.find_key(parts.db, request.path_params["key_id"]), parts.clock())


@router.post(
    "/{key_id}/rotate",  # noqa: FAST003 - as above
    summary="Make the key that follows one",
    response_class=Response,
    status_code=201,
    responses=openapi.made("The new key, with its secret: this once.", _KEY)
    | openapi.errors(*_BODY_ERRORS, Code.KEY_NOT_FOUND, Code.KEY_NOT_ROTATED),
    openapi_extra=_body("Rotation") | {"parameters": [_ID, openapi.IDEMPOTENCY_KEY]},
)
async def rotate(request: Request) -> Response:
    """Make a key for the same as another, which works on for the overlap.

    With an `Idempotency-Key` a lost answer can be asked for again.
    """
    asked, record, parts = parse_rotation(await read_json(request)), record_of(request.scope), parts_of(request.scope)
    now, overlap = record.moment(parts.clock), timedelta(seconds=asked.overlap_seconds)
    try:
        made = await service.rotate_key(
            parts.db, parts.keys.pepper, request.path_params["key_id"], overlap=overlap, clock=lambda: now, by=_actor(record),
            finish=_finish(record, now),
        )  # fmt: skip
    except RotationError as error:
        raise ApiError(Code.KEY_NOT_ROTATED, f"The key {error}.") from None
    return _made(record, made, now)


@router.delete(
    "/{key_id}",  # noqa: FAST003 - a BytesRoute hands over the request alone
    summary="Revoke a key",
    response_class=Response,
    responses=openapi.ok("The key, revoked.", _KEY) | openapi.errors(*openapi.KEYED, Code.KEY_NOT_FOUND),
    openapi_extra={"security": openapi.SECURITY, "parameters": [_ID]},
)
async def revoke(request: Request) -> Response:
    """Refuse a key from now on, on every server within a second. Doing it again changes nothing."""
    record, parts = record_of(request.scope), parts_of(request.scope)
    return _told(await service.revoke_key(parts.db, request.path_params["key_id"], parts.clock, _actor(record)), parts.clock())


def _actor(record: Record) -> Actor:
    assert record.caller is not None  # the gate lets nobody else pass
    return Actor(record.caller.key_id, record.address, record.request_id)


def _finish(record: Record, now: datetime) -> Callable[[Connection, CreatedKey], Awaitable[None]] | None:
    """Give what seals the reply in the transaction that makes the key, for a request with an idempotency key."""
    ticket = record.ticket
    if ticket is None:
        return None

    async def finish(connection: Connection, made: CreatedKey) -> None:
        await ticket.end(connection, now, HTTPStatus.CREATED, to_json(shown(made, now)))

    return finish


def _told(record: KeyRecord, now: datetime) -> Response:
    return json_reply(to_json(shown(record, now)))


def _made(record: Record, made: CreatedKey, now: datetime) -> Response:
    record.ticket_ended = record.ticket is not None
    reply = _told(made, now)
    reply.status_code = HTTPStatus.CREATED
    return reply
