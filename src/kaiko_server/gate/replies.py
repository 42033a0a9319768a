"""Replies that the gate writes itself: errors, in the one shape that all of them have."""

from typing import Final

from pydantic_core import to_json
from starlette.responses import Response

from kaiko_server.engine.model import ModelOverloadedError, ModelUnavailableError
from kaiko_server.errors import ApiError, Code
from kaiko_server.keys.service import KeyNotFoundError
from kaiko_server.store.counters import CountersError
from kaiko_server.store.db import UnavailableError

JSON: Final = b"application/json; charset=utf-8"
_RETRY_AFTER_S: Final = {Code.SERVICE_UNAVAILABLE: 5, Code.MODEL_UNAVAILABLE: 5, Code.OVERLOADED: 1, Code.TIMEOUT: 1}


def known(error: Exception) -> ApiError | None:
    """Give the catalogue's entry for *error*, or None when it is no error that we expect."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, KeyNotFoundError):
        return ApiError(Code.KEY_NOT_FOUND)
    if isinstance(error, ModelOverloadedError):
        return ApiError(Code.OVERLOADED)
    if isinstance(error, ModelUnavailableError):
        return ApiError(Code.MODEL_UNAVAILABLE)
    if isinstance(error, UnavailableError | CountersError):
        return ApiError(Code.SERVICE_UNAVAILABLE)
    return None


def error_reply(error: ApiError, request_id: str) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Give the headers and the body that tell *error* to a client."""
    body = to_json(error.body(request_id))
    headers = [(b"content-type", JSON), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items()]
    if error.code in _RETRY_AFTER_S and "Retry-After" not in error.headers:
        headers.append((b"retry-after", str(_RETRY_AFTER_S[error.code]).encode()))
    if error.code is Code.INVALID_API_KEY:
        headers.append((b"www-authenticate", b"Bearer"))
    return headers, body


def json_reply(body: bytes) -> Response:
    """Give a 200 that holds *body*, already encoded."""
    reply = Response(body)
    reply.headers["content-type"] = JSON.decode()
    return reply
