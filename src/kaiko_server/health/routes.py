"""``/healthz``, ``/readyz`` and ``/metrics``: for machines that look after this one; no key."""

from fastapi import APIRouter, Request, Response
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from pydantic_core import to_json

from kaiko_server.errors import Code
from kaiko_server.gate import openapi
from kaiko_server.gate.metrics import Metrics
from kaiko_server.gate.replies import json_reply
from kaiko_server.health import service
from kaiko_server.health.schemas import OK, SCHEMAS
from kaiko_server.parts import parts_of

__all__ = ["SCHEMAS", "router"]

router = APIRouter(tags=["Operations"])
_OK = openapi.ok("Yes.", {"$ref": "#/components/schemas/Health"}, example=OK)


@router.get("/healthz", summary="Does the process live?", response_class=Response, responses=_OK | openapi.errors())
async def healthz() -> Response:
    """Answer 200 as long as the process can answer at all, also while it is shutting down."""
    return json_reply(to_json(OK))


@router.get("/readyz", summary="Can it take requests?", response_class=Response, responses=_OK | openapi.errors(Code.MODEL_UNAVAILABLE))
async def readyz(request: Request) -> Response:
    """Answer 200 while the model and the database can answer and the server is not shutting down, else 503."""
    await service.check(parts_of(request.scope))
    return json_reply(to_json(OK))


@router.get(
    "/metrics",
    summary="Figures for Prometheus",
    response_class=Response,
    responses=openapi.ok("Prometheus' text format.", {"type": "string"}, media_type="text/plain") | openapi.errors(),
)
async def metrics(request: Request) -> Response:
    """Give the figures of this server process. No label holds anything that a client wrote."""
    figures: Metrics = request.app.state.metrics
    reply = Response(figures.text())
    reply.headers["content-type"] = CONTENT_TYPE_PLAIN_0_0_4
    return reply
