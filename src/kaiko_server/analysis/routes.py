"""``POST /v2/emotions/analysis`` and ``POST /v2/emotions/batch-analysis``: HTTP in and out, no logic."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from kaiko_server.analysis import service
from kaiko_server.analysis.schemas import EXAMPLES, SCHEMAS, AnalysisRequest, parse
from kaiko_server.engine.model import Model
from kaiko_server.errors import Code
from kaiko_server.gate import openapi
from kaiko_server.gate.body import read_json
from kaiko_server.gate.record import Record, record_of
from kaiko_server.gate.replies import json_reply
from kaiko_server.gate.route import BytesRoute
from kaiko_server.parts import Parts, parts_of

__all__ = ["SCHEMAS", "router"]

router = APIRouter(prefix="/v2/emotions", tags=["Emotions"], route_class=BytesRoute)
REFUSALS: Final = (
    *openapi.KEYED,
    Code.MISSING_FIELD,
    Code.BATCH_TOO_LARGE,
    Code.INVALID_IDEMPOTENCY_KEY,
    Code.IDEMPOTENCY_IN_PROGRESS,
    Code.IDEMPOTENCY_KEY_REUSED,
    Code.INVALID_MODEL,
    Code.PAYLOAD_TOO_LARGE,
    Code.TEXT_TOO_LONG,
    Code.UNSUPPORTED_MEDIA_TYPE,
    Code.INVALID_VALUE,
    Code.INVALID_ROLE,
    Code.MODEL_UNAVAILABLE,
    Code.OVERLOADED,
)
"""What a request for an analysis may be told."""
_ERRORS: Final = openapi.errors(*REFUSALS)
BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/AnalysisRequest"}, "examples": EXAMPLES}},
    },
}
_EXTRA: Final = BODY | {"security": openapi.SECURITY, "parameters": [openapi.IDEMPOTENCY_KEY]}


@router.post(
    "/analysis",
    summary="Read the emotions of a conversation",
    response_class=Response,
    responses=openapi.ok("The reading.", {"$ref": "#/components/schemas/AnalysisReply"}) | _ERRORS,
    openapi_extra=_EXTRA,
)
async def analyse(request: Request) -> Response:
    """Read up to 100 messages and answer by role. Nothing is kept."""
    asked = await asked_of(request)
    record, parts = record_of(request.scope), parts_of(request.scope)
    return answer(record, asked, await service.analyse(model_for(record, parts), asked, record.moment(parts.clock), policy_of(record)))


@router.post(
    "/batch-analysis",
    summary="Read the emotions of up to 100 texts",
    response_class=Response,
    responses=openapi.ok("The readings, in the order of the request.", {"$ref": "#/components/schemas/BatchReply"}) | _ERRORS,
    openapi_extra=_EXTRA,
)
async def analyse_batch(request: Request) -> Response:
    """Read each message by itself and answer in the order of the request. Nothing is kept."""
    asked = await asked_of(request)
    record = record_of(request.scope)
    return answer(record, asked, await service.analyse_batch(model_for(record, parts_of(request.scope)), asked, policy_of(record)))


def policy_of(record: Record) -> service.Policy:
    """Give what the caller's project wants of its readings."""
    return service.FREE if record.caller is None else service.Policy(record.caller.denied, record.caller.pii)


def model_for(record: Record, parts: Parts) -> Model:
    """Give the model that reads a request: one whose reply may have to be computed again is read by itself."""
    return parts.model if record.ticket is None else parts.model.by_itself()


async def asked_of(request: Request) -> AnalysisRequest:
    """Read and check the body."""
    record = record_of(request.scope)
    body = await read_json(request)
    record.mark("read")
    asked = parse(body, record.moment(parts_of(request.scope).clock))
    record.mark("validate")
    if asked.params.explain and record.caller is not None:
        record.caller.must_have("explain")
    return asked


def answer(record: Record, asked: AnalysisRequest, analysis: service.Analysis) -> Response:
    """Give the reply, and note what it took."""
    record.texts, record.tokens = len(asked.messages), analysis.tokens
    record.split(queue=analysis.timing.queue_s, inference=analysis.timing.inference_s)
    body = to_json(analysis.reply)
    record.mark("encode")
    return json_reply(body)
