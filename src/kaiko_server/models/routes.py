"""``GET /v2/models``."""

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from kaiko_server.gate import openapi
from kaiko_server.gate.replies import json_reply
from kaiko_server.gate.route import BytesRoute
from kaiko_server.models import service
from kaiko_server.models.schemas import EXAMPLE, SCHEMAS
from kaiko_server.parts import parts_of

__all__ = ["SCHEMAS", "router"]

router = APIRouter(route_class=BytesRoute)


@router.get(
    "/v2/models",
    tags=["Models"],
    summary="The models of this server",
    response_class=Response,
    responses=openapi.ok("The models.", {"$ref": "#/components/schemas/Models"}, example=EXAMPLE) | openapi.errors(*openapi.KEYED),
    openapi_extra={"security": openapi.SECURITY},
)
async def list_models(request: Request) -> Response:
    """List the models that `model` may name."""
    return json_reply(to_json(service.list_models(parts_of(request.scope).model)))
