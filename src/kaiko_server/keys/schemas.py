"""What goes over the wire about keys: for who administers them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from kaiko_server.errors import ApiError, Code
from kaiko_server.keys.format import ENVIRONMENTS, Environment
from kaiko_server.keys.service import SCOPES, USUAL_SCOPES, CreatedKey, KeyRecord, Terms

_MOST: Final = 2**53 - 1
_DAY: Final = 86_400
_LONGEST_S: Final = 30 * _DAY


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


def _whole(value: object) -> object:
    """Take 5.0 for 5, as JSON does; strict otherwise would not, and lax would take true for 1."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]


class NewKey(_Wire):
    """The body of a request for a key."""

    project: str = Field(default="default", min_length=1, max_length=100)
    environment: Environment = "live"
    name: str = Field(default="unnamed", min_length=1, max_length=100)
    scopes: list[Literal["analysis", "contexts", "chat", "admin"]] = Field(
        default=["analysis", "contexts", "chat"], min_length=1, max_length=len(SCOPES)
    )
    addresses: list[str] = Field(default=[], max_length=100)
    expires_in_seconds: Whole | None = Field(default=None, ge=1, le=3650 * _DAY)
    per_minute: Whole | None = Field(default=None, ge=0, le=_MOST)
    concurrent: Whole | None = Field(default=None, ge=0, le=_MOST)
    tokens_per_month: Whole | None = Field(default=None, ge=0, le=_MOST)

    def terms(self, now: datetime) -> Terms:
        """Give what the key is to be made for."""
        return Terms(
            scopes=tuple(self.scopes),
            addresses=tuple(self.addresses),
            expires_at=None if self.expires_in_seconds is None else now + timedelta(seconds=self.expires_in_seconds),
            per_minute=self.per_minute,
            concurrent=self.concurrent,
            tokens_per_month=self.tokens_per_month,
        )


class Rotation(_Wire):
    """The body of a request for a key that follows another."""

    overlap_seconds: Whole = Field(default=_DAY, ge=0, le=_LONGEST_S)


def parse_new_key(body: bytes) -> NewKey:
    """Check *body*; raises ``ApiError``."""
    return NewKey.model_validate(checked(body, NewKey))


def parse_rotation(body: bytes) -> Rotation:
    """Check *body*; raises ``ApiError``."""
    return Rotation.model_validate(checked(body, Rotation))


def checked(body: bytes, kind: type[_Wire]) -> dict[str, Any]:
    """Give the object that *body* holds, checked as a *kind*; none at all is an empty one.

    Raises
    ------
    ApiError
        ``INVALID_JSON``, or ``INVALID_VALUE`` with the field.
    """
    try:
        data = from_json(body or b"{}", allow_inf_nan=False)
    except ValueError:
        raise ApiError(Code.INVALID_JSON) from None
    if not isinstance(data, dict):
        raise ApiError(Code.INVALID_JSON, "The body must be one JSON object.")
    try:
        kind.model_validate(data)
    except ValidationError as error:
        place = error.errors(include_url=False, include_context=False, include_input=False)[0]["loc"]
        raise ApiError(Code.INVALID_VALUE, param=str(place[0]) if place else None) from None
    return data


def shown(record: KeyRecord, now: datetime) -> dict[str, object]:
    """Give a key as it goes over the wire; with its secret if it was just made."""
    told: dict[str, object] = {"object": "key", "id": record.id, "project": record.project, "environment": record.environment}
    told |= {"name": record.name, "hint": record.hint, "status": record.status(now), "created_at": _iso(record.created_at)}
    told |= {"scopes": list(record.scopes), "addresses": list(record.addresses)}
    moments = {"expires_at": record.expires_at, "revoked_at": record.revoked_at, "last_used_at": record.last_used_at}
    others = {"plan": record.plan, "successor": record.successor}
    limits = {"per_minute": record.per_minute, "concurrent": record.concurrent, "tokens_per_month": record.tokens_per_month}
    told |= {name: _iso(moment) for name, moment in moments.items() if moment is not None}
    told |= {name: value for name, value in (others | limits).items() if value is not None}
    return told | {"key": record.key} if isinstance(record, CreatedKey) else told


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_LIMIT: Final = {
    "type": "integer",
    "minimum": 0,
    "maximum": _MOST,
    "description": "0 is no limit; without it, as the plan or the server says.",
}
_SCOPES: Final = {"type": "array", "items": {"type": "string", "enum": list(SCOPES)}, "minItems": 1, "maxItems": len(SCOPES)}
_REQUIRED: Final = ["object", "id", "project", "environment", "name", "hint", "status", "created_at", "scopes", "addresses"]
SCHEMAS: Final[dict[str, Any]] = {
    "Key": {
        "type": "object",
        "description": "A key as it may be shown at any time; `key` itself is there once, when it was made.",
        "required": _REQUIRED,
        "properties": {
            "object": {"type": "string", "enum": ["key"]}, "id": _TEXT, "project": _TEXT,
            "environment": {"type": "string", "enum": list(ENVIRONMENTS)}, "name": _TEXT,
            "hint": _TEXT | {"description": "The last four characters of the key."},
            "status": {"type": "string", "enum": ["active", "revoked", "expired"]}, "created_at": _TIME, "expires_at": _TIME,
            "revoked_at": _TIME, "last_used_at": _TIME, "scopes": _SCOPES, "addresses": {"type": "array", "items": _TEXT}, "plan": _TEXT,
            "successor": _TEXT | {"description": "The id of the key that follows it."}, "per_minute": _LIMIT, "concurrent": _LIMIT,
            "tokens_per_month": _LIMIT, "key": _TEXT | {"description": "The secret. Keep it now."},
        },
    },
    "KeyList": {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"type": "string", "enum": ["list"]},
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Key"}},
        },
    },
    "NewKey": {
        "type": "object",
        "properties": {
            "project": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[ -~]*[!-~][ -~]*$", "default": "default"},
            "environment": {"type": "string", "enum": list(ENVIRONMENTS), "default": "live"},
            "name": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[ -~]*[!-~][ -~]*$", "default": "unnamed"},
            "scopes": _SCOPES | {"default": list(USUAL_SCOPES)},
            "addresses": {"type": "array", "maxItems": 100, "items": {"type": "string", "format": "ipv4"}, "description": "Or networks."},
            "expires_in_seconds": {"type": "integer", "minimum": 1, "maximum": 3650 * _DAY},
            "per_minute": _LIMIT, "concurrent": _LIMIT, "tokens_per_month": _LIMIT,
        },
    },
    "Rotation": {
        "type": "object",
        "properties": {"overlap_seconds": {"type": "integer", "minimum": 0, "maximum": _LONGEST_S, "default": _DAY}},
    },
}  # fmt: skip
