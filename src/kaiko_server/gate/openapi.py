"""The OpenAPI document: what FastAPI knows of the routes, and what every route has in common."""

from collections.abc import Sequence
from typing import Any, Final

from fastapi.openapi.utils import get_openapi
from starlette.routing import BaseRoute

from kaiko_server.errors import ApiError, Code

ERROR: Final[dict[str, Any]] = {
    "type": "object",
    "description": "What every error looks like.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["type", "code", "message", "request_id"],
            "properties": {
                "type": {"type": "string", "enum": sorted({code.value.type for code in Code})},
                "code": {
                    "type": "string",
                    "description": "Stable; each has a page in the reference.",
                    "enum": [code.slug for code in Code],
                },
                "message": {"type": "string", "description": "For people; may change."},
                "param": {"type": "string", "description": "The field that is wrong, such as `messages[3].content.text`."},
                "request_id": {"type": "string", "description": "The same as in `X-Request-Id`."},
            },
        }
    },
}
SECURITY: Final[list[dict[str, list[str]]]] = [{"apiKey": []}, {"bearer": []}]
"""Of every route with data: one of the two."""

_SCHEMES: Final = {
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "Recommended."},
    "bearer": {"type": "http", "scheme": "bearer", "description": "The same key as `Authorization: Bearer <key>`."},
}
_REQUEST_ID: Final = {
    "X-Request-Id": {"description": "Name of this request; give it to the operator with a question.", "schema": {"type": "string"}}
}
_TIMING: Final = {"Server-Timing": {"description": "Milliseconds by stage.", "schema": {"type": "string"}}}
_REPLAYED: Final = {
    "Idempotent-Replayed": {"description": "`true` on what a retry is told.", "schema": {"type": "string", "enum": ["true"]}}
}
_RETRY: Final = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_ALLOW: Final = {"Allow": {"description": "The methods that this route takes.", "schema": {"type": "string"}}}
_EXTRA_HEADERS: Final = {405: _ALLOW, 409: _RETRY, 429: _RETRY, 503: _RETRY}

_EVERYWHERE: Final = (
    Code.INVALID_JSON,
    Code.HTTPS_REQUIRED,
    Code.METHOD_NOT_ALLOWED,
    Code.INTERNAL,
    Code.SERVICE_UNAVAILABLE,
    Code.TIMEOUT,
)
"""400 on a GET too: a request that is not valid HTTP."""
KEYED: Final = (
    Code.INVALID_API_KEY,
    Code.KEY_REVOKED,
    Code.KEY_EXPIRED,
    Code.INSUFFICIENT_SCOPE,
    Code.IP_NOT_ALLOWED,
    Code.FEATURE_RESTRICTED,
    Code.TOO_MANY_REQUESTS,
    Code.TOO_MANY_CONCURRENT_REQUESTS,
    Code.QUOTA_EXCEEDED,
)
"""What a route with data can answer besides."""

_DESCRIPTION: Final = """Reads emotions from text, with a model of its own: nothing leaves this server, and no text is kept.

Every reply carries `X-Request-Id`; every error has one shape. Fields and values may be added in time, so ignore those you do not know.

Make a key with `kaiko keys create`, press **Authorize**, and try a request."""


IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "A retry with the same key and body is told what the first was told, and has no effect of its own; for 24 hours. "
    "1 to 255 printable ASCII characters, such as a UUID.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!#-~]([ -~]{0,253}[!-~])?$"},
}
"""A parameter of every POST."""


def ok(
    description: str, schema: dict[str, Any], *, media_type: str = "application/json", example: object = None
) -> dict[int | str, dict[str, Any]]:
    """Give the entry of a 200 for a route's ``responses``."""
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    return {200: {"description": description, "content": {media_type: content}, "headers": _REQUEST_ID | _TIMING | _REPLAYED}}


def made(description: str, schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Give the entry of a 201 for a route's ``responses``."""
    return {201: ok(description, schema)[200]}


def gone(description: str) -> dict[int | str, dict[str, Any]]:
    """Give the entry of a 204 for a route's ``responses``."""
    return {204: {"description": description, "headers": _REQUEST_ID | _TIMING}}


def errors(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """Give the entries of *codes*, and of those that every route can answer, for a route's ``responses``."""
    by_status: dict[int, list[Code]] = {}
    for code in Code:  # in the catalogue's order, whatever the caller's
        if code in codes or code in _EVERYWHERE:
            by_status.setdefault(code.value.status, []).append(code)
    return {status: _error(status, told) for status, told in by_status.items()}


def _error(status: int, codes: Sequence[Code]) -> dict[str, Any]:
    examples = {code.slug: {"summary": code.value.public, "value": ApiError(code).body("req-0123456789abcdef01234567")} for code in codes}
    return {
        "description": ", ".join(f"`{code.slug}`" for code in codes),
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}, "examples": examples}},
        "headers": _REQUEST_ID | _EXTRA_HEADERS.get(status, {}),
    }


def document(title: str, version: str, routes: Sequence[BaseRoute], schemas: dict[str, Any]) -> dict[str, Any]:
    """Give the whole document; *schemas* are the features' own."""
    made = get_openapi(title=title, version=version, description=_DESCRIPTION, routes=routes)
    components = made.setdefault("components", {})
    components["schemas"] = components.get("schemas", {}) | schemas | {"Error": ERROR}
    components["securitySchemes"] = _SCHEMES
    return made
