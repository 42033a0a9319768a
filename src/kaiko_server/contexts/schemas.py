"""What goes over the wire of the context routes; the analysis itself is described by ``analysis``."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import unquote_to_bytes

from kaiko_server.engine.model import NAME
from kaiko_server.errors import ApiError, Code
from kaiko_server.store.db import to_micros

MAX_NAME: Final = 128
"""Bytes of a context's id."""
MAX_EXTERNAL_ID: Final = 255
"""Bytes."""
RESERVED: Final = frozenset({"analysis", "batch-analysis", "analyse", "batch-analyse", "message", "models"})
"""Words that are parts of routes, or were: a client that forgot the id would otherwise make a context of that name."""
MAX_PAGE: Final = 1000
MAX_AFTER: Final = 2**53 - 1
"""What every client can count to."""
_WHOLE: Final = re.compile(r"[0-9]{1,16}")
_STRING: Final[dict[str, Any]] = {"type": "string"}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def context_name(segment: bytes) -> bytes:
    """Give the context's id out of its *segment* of the path, percent-encoded as it came.

    Raises
    ------
    ApiError
        ``INVALID_CONTEXT_ID``.
    """
    name = unquote_to_bytes(segment)
    if not 0 < len(name) <= MAX_NAME or _decoded(name) is None or name.decode() in RESERVED:
        raise ApiError(Code.INVALID_CONTEXT_ID, param="context_id")
    return name


def external_id(segment: bytes) -> bytes:
    """Give the message's id out of its *segment* of the path; one that no message can have names none.

    Raises
    ------
    ApiError
        ``MESSAGE_NOT_FOUND``.
    """
    name = unquote_to_bytes(segment)
    if not 0 < len(name) <= MAX_EXTERNAL_ID or _decoded(name) is None:
        raise ApiError(Code.MESSAGE_NOT_FOUND)
    return name


def _decoded(name: bytes) -> str | None:
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None


def page(query: dict[str, str]) -> tuple[int, int]:
    """Give after which message a page begins, and how many it holds at most.

    Raises
    ------
    ApiError
        ``INVALID_VALUE``, naming the parameter.
    """
    after, limit = query.get("after", "0"), query.get("limit", str(MAX_PAGE))
    for name, value, least, most in (("after", after, 0, MAX_AFTER), ("limit", limit, 1, MAX_PAGE)):
        if not _WHOLE.fullmatch(value) or not least <= int(value) <= most:
            raise ApiError(Code.INVALID_VALUE, f"`{name}` must be a whole number from {least} to {most}.", param=name)
    return int(after), int(limit)


@dataclass(frozen=True, slots=True)
class PointsAsked:
    """Which points are asked for; times in microseconds since 1970."""

    begins: int
    ends: int
    after: tuple[int, int]
    """Time and number of the last point of the page before."""
    limit: int
    bucket: str | None
    """``hour`` or ``day``: sums instead of points."""


_EARLIEST: Final = to_micros(datetime(1, 1, 1, tzinfo=UTC))
_LATEST: Final = to_micros(datetime(9999, 12, 31, tzinfo=UTC))
_CURSOR: Final = re.compile(r"-?[0-9]{1,18}\.[0-9]{1,18}")


def micros_of(text: str) -> int:
    """Give a moment in ISO 8601 as microseconds since 1970; UTC where it names no zone.

    Raises
    ------
    ValueError
        It is none.
    """
    moment = datetime.fromisoformat(text)
    return to_micros(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment)


def points_asked(query: dict[str, str]) -> PointsAsked:
    """Read the query of the trajectory.

    Raises
    ------
    ApiError
        ``INVALID_VALUE``, naming the parameter.
    """
    moments = []
    for name, default in (("from", _EARLIEST), ("to", _LATEST)):
        try:
            moments.append(micros_of(query[name]) if name in query else default)
        except (ValueError, OverflowError):
            raise ApiError(Code.INVALID_VALUE, f"`{name}` must be a moment as in ISO 8601.", param=name) from None
    bucket = query.get("bucket")
    if bucket not in {None, "hour", "day"}:
        raise ApiError(Code.INVALID_VALUE, "`bucket` must be `hour` or `day`.", param="bucket")
    cursor = query.get("after", f"{_EARLIEST}.0")
    if not _CURSOR.fullmatch(cursor):
        raise ApiError(Code.INVALID_VALUE, "`after` must be the `next` of the page before.", param="after")
    at, _, number = cursor.partition(".")
    _, limit = page({"limit": query.get("limit", str(MAX_PAGE))})
    return PointsAsked(moments[0], moments[1], (int(at), int(number)), limit, bucket)


_ITEMS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {role: _ref("KeptItem") for role in ("user", "assistant", "system")},
    "description": "Role → its latest item, without the text: it was not kept.",
}
_HEAD: Final[dict[str, Any]] = {
    "model": {"const": NAME},
    "context_id": _STRING,
    "context_message_count": _COUNT,
    "usage": {"type": "object"},
}


def _block(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


SCHEMAS: Final[dict[str, Any]] = {
    "ContextState": {
        "type": "object",
        "required": ["object", "model", "emotions", "metadata", "context_id", "context_message_count", "usage"],
        "properties": {
            "object": {"const": "emotions.state"},
            "emotions": _ITEMS,
            "metadata": {"type": "object", "properties": {"context_id": _STRING, "message_id": _STRING}},
            "conversationMode": _ref("ConversationMode"),
            "trajectory": _ref("Trajectory"),
            "growth": _ref("Growth"),
            "patterns": _ref("Patterns"),
        }
        | _HEAD,
    },
    "ContextTrajectory": {
        "type": "object",
        "required": ["object", "model", "context_id", "metadata"],
        "properties": {
            "object": {"const": "emotions.trajectory"},
            "model": {"const": NAME},
            "context_id": _STRING,
            "metadata": {"type": "object"},
            "points": {"type": "array", "items": {"type": "object"}, "description": "Without `bucket`: the points themselves."},
            "buckets": {"type": "array", "items": {"type": "object"}, "description": "With `bucket`: what those of a user add up to."},
            "next": {"type": "string", "description": "Where the next page begins: send it as `after`. Absent on the last page."},
        },
    },
    "ContextExport": {
        "type": "object",
        "required": [
            "object",
            "model",
            "emotions",
            "context_id",
            "context_message_count",
            "created_at",
            "expires_at",
            "messages",
            "points",
        ],
        "properties": {
            "object": {"const": "emotions.export"},
            "emotions": _ITEMS,
            "created_at": {"type": "string", "format": "date-time"},
            "expires_at": {
                "type": "string",
                "format": "date-time",
                "description": "When state and messages are forgotten, unless another message comes; absent when they are already.",
            },
            "points_expire_at": {
                "type": "string",
                "format": "date-time",
                "description": "When the newest point is forgotten; absent without one, and where points die with the state.",
            },
            "conversation": {
                "type": "array",
                "items": {"type": "object"},
                "description": "What the next reading needs of the last user messages: times, hostility, danger, modes.",
            },
            "messages": {
                "type": "array",
                "items": _block(
                    externalId=_STRING,
                    role=_STRING,
                    timestamp={"type": "string", "format": "date-time"},
                    emotions=_ref("KeptItem"),
                ),
                "description": "In the order in which they came; of messages without an external id no reading is kept.",
            },
            "points": {
                "type": "array",
                "items": {"type": "object"},
                "description": "As `trajectory` has them.",
            },
            "next": _COUNT | {"description": "Where the next page begins: send it as `after`. Absent on the last page."},
        }
        | _HEAD,
    },
}
