"""``/openapi.json`` and ``/docs``: the reference, and a page to try it on that needs nothing from outside this server."""

from importlib.resources import files
from typing import Final

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from kaiko_server.errors import ApiError, Code
from kaiko_server.gate.replies import json_reply

router = APIRouter(include_in_schema=False)

_FOLDER: Final = files("kaiko_server.health") / "swagger_ui"
_TYPES: Final = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
    "start.js": "text/javascript; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "favicon-32x32.png": "image/png",
}
"""What is served; nothing else in the folder is, and no path reaches out of it."""
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@router.get("/openapi.json")
async def openapi_document(request: Request) -> Response:
    """Give the OpenAPI document."""
    return json_reply(to_json(request.app.openapi()))


@router.get("/docs")
async def page() -> Response:
    """Give the page for people."""
    return Response(_read("index.html"), headers={"content-type": "text/html; charset=utf-8", "content-security-policy": _POLICY})


@router.get("/docs/{name}")
async def asset(name: str) -> Response:
    """Give what the page is made of."""
    if name not in _TYPES:
        raise ApiError(Code.ROUTE_NOT_FOUND)
    return Response(_read(name), headers={"content-type": _TYPES[name], "cache-control": "no-cache"})


def _read(name: str) -> bytes:
    return (_FOLDER / name).read_bytes()
