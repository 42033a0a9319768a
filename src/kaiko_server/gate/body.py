"""The body of a request that must be JSON."""

from typing import Final

from starlette.requests import Request

from kaiko_server.errors import ApiError, Code

_UTF8: Final = frozenset({"utf-8", "utf8"})


async def read_json(request: Request) -> bytes:
    """Read the whole body; whether it is JSON is for its reader to say.

    Raises
    ------
    ApiError
        ``UNSUPPORTED_MEDIA_TYPE``, or ``PAYLOAD_TOO_LARGE`` from the gate's bound.
    """
    kinds = request.headers.getlist("content-type")
    if not all(_is_json(kind) for kind in kinds):
        raise ApiError(Code.UNSUPPORTED_MEDIA_TYPE)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError(Code.UNSUPPORTED_MEDIA_TYPE, "The body must not be compressed.")
    return await request.body()


def _is_json(kind: str) -> bool:
    media_type, *parameters = (part.strip().lower() for part in kind.split(";"))
    charsets = [value.strip('"') for name, _, value in (p.partition("=") for p in parameters) if name == "charset"]
    return media_type == "application/json" and all(charset in _UTF8 for charset in charsets)
