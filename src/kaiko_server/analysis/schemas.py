"""What goes over the wire of the analysis routes: requests, checked whole; replies, described for the OpenAPI document."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError, ValidationInfo
from pydantic_core import ErrorDetails, PydanticCustomError, from_json

from kaiko_server.engine.model import ALIASES, BELIEFS, CORE, DANGERS, GO, MODES, NAME
from kaiko_server.errors import ApiError, Code
from kaiko_server.reading.guidance import GUIDANCE

MAX_MESSAGES: Final = 100
MAX_TEXT: Final = 10_000
"""Characters (Unicode code points)."""
_MAX_EXTERNAL_ID: Final = 255
"""Bytes."""
_AHEAD: Final = timedelta(minutes=5)
"""How far a client's clock may be ahead of ours."""

_BLANK_CLASS: Final = r"\s\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufe0e\ufe0f\ufeff"
"""White space and what nobody sees: a text of these alone holds nothing to read."""
_VISIBLE: Final = re.compile(f"[^{_BLANK_CLASS}]")
_MOMENT: Final = re.compile(r"\d{4}-?(?:\d{2}-?\d{2}|W\d{2}-?\d)(?:[Tt ]\S+)?", re.ASCII)
"""The forms of ISO 8601; datetime.fromisoformat alone takes any character between date and time."""
ROLES: Final = ("user", "assistant", "system")


_REASONS: Final = {
    "blank": "a text must not be blank",
    "external_id": "an external id has 1 to 255 bytes",
    "no_moment": "a timestamp is written as in ISO 8601",
    "future": "a timestamp must not be more than 5 minutes in the future",
}
"""Why a value is refused, where Pydantic has no word for it; none quotes the value."""


def _fault(kind: str) -> PydanticCustomError:
    """Give a fault that :func:`parse` tells: *kind* is a code's slug, or one of :data:`_REASONS`."""
    return PydanticCustomError(kind, _REASONS.get(kind, kind))


def _model(value: str) -> str:
    if value not in (NAME, *ALIASES):
        raise _fault(Code.INVALID_MODEL.slug)
    return value


def _text(value: str) -> str:
    if len(value) > MAX_TEXT:
        raise _fault(Code.TEXT_TOO_LONG.slug)
    if _VISIBLE.search(value) is None:
        raise _fault(kind="blank")
    return value


def _content(value: object) -> object:
    return {"text": value} if isinstance(value, str) else value


def _role(value: object) -> object:
    if value not in ROLES:
        raise _fault(Code.INVALID_ROLE.slug)
    return value


def _external_id(value: str) -> str:
    if not 0 < len(value.encode()) <= _MAX_EXTERNAL_ID:
        raise _fault(kind="external_id")
    return value


def _timestamp(value: object, info: ValidationInfo) -> datetime:
    assert info.context is not None  # parse() gives it
    if not isinstance(value, str) or _MOMENT.fullmatch(value) is None:
        raise _fault(kind="no_moment")
    try:
        moment = datetime.fromisoformat(value.upper())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _fault(kind="no_moment") from None
    if moment > info.context["now"] + _AHEAD:
        raise _fault(kind="future")
    return moment


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Content(_Wire):
    text: Annotated[str, AfterValidator(_text)]


ExternalId = Annotated[str, AfterValidator(_external_id)]


class Message(_Wire):
    content: Annotated[Content, BeforeValidator(_content)]
    role: Annotated[Literal["user", "assistant", "system"], BeforeValidator(_role)] = "user"
    # Both are checked, though the first wins. Empty is not allowed on the wire, so it can stand for "not given".
    camel: Annotated[ExternalId, Field(alias="externalId")] = ""
    snake: Annotated[ExternalId, Field(alias="external_id")] = ""
    timestamp: Annotated[datetime | None, PlainValidator(_timestamp)] = None

    @property
    def external_id(self) -> str | None:
        return self.camel or self.snake or None


class Params(_Wire):
    granularity: Literal["core", "detailed", "basic"] = "core"
    sensitivity: Annotated[float, Field(ge=0, le=1)] = 0.5
    explain: bool = False
    window: Literal["week", "month", "quarter"] = "month"

    def echo(self) -> dict[str, object]:
        """Give what the client said and we act upon."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


class AnalysisRequest(_Wire):
    """The body of the analysis routes."""

    model: Annotated[str, AfterValidator(_model)]
    messages: Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]
    params: Params = Params()


def parse(body: bytes, now: datetime) -> AnalysisRequest:
    """Check *body* whole.

    Raises
    ------
    ApiError
        The first thing that is wrong, in the order of the table of the contract: model, messages one by one, params.
    """
    try:
        data = from_json(body, allow_inf_nan=False)
    except ValueError:  # its text quotes nothing, but says a position that helps nobody without the body
        raise ApiError(Code.INVALID_JSON) from None
    if not isinstance(data, dict):
        raise ApiError(Code.INVALID_JSON, "The body must be one JSON object.")
    try:
        return AnalysisRequest.model_validate(data, context={"now": now})
    except ValidationError as error:
        raise _told(error.errors(include_url=False, include_context=False, include_input=False)[0]) from None


_CODES: Final = {code.slug: code for code in (Code.INVALID_MODEL, Code.TEXT_TOO_LONG, Code.INVALID_ROLE)} | {"missing": Code.MISSING_FIELD}


def _told(fault: ErrorDetails) -> ApiError:
    param = _param(fault["loc"])
    code = Code.BATCH_TOO_LARGE if (fault["type"], param) == ("too_long", "messages") else _CODES.get(fault["type"], Code.INVALID_VALUE)
    if code is Code.INVALID_VALUE:
        return ApiError(code, f"`{param}` has a value that is not allowed: {fault['msg']}.", param=param)
    return ApiError(code, f"`{param}` is missing." if code is Code.MISSING_FIELD else None, param=param)


def _param(place: Sequence[int | str]) -> str:
    """Write a place as ``messages[3].content.text``; it is made of our own field names alone."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place).removeprefix(".")


_TEXT: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": f"[^{_BLANK_CLASS}]",
    "description": f"Not blank. Up to {MAX_TEXT:,} characters (Unicode code points); more: 413 `text_too_long`.",
}
_UNIT: Final[dict[str, Any]] = {"type": "number", "minimum": 0, "maximum": 1}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}
_STRING: Final[dict[str, Any]] = {"type": "string"}
_STRINGS: Final[dict[str, Any]] = {"type": "array", "items": _STRING}
_EXTERNAL_ID: Final[dict[str, Any]] = {"type": "string", "minLength": 1}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _block(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _raw(labels: Sequence[str]) -> dict[str, Any]:
    return {"type": "object", "required": list(labels), "properties": dict.fromkeys(labels, _UNIT)}


_REQUEST_SCHEMAS: Final[dict[str, Any]] = {
    "AnalysisRequest": {
        "type": "object",
        "required": ["model", "messages"],
        "properties": {
            "model": {"type": "string", "enum": [NAME, *ALIASES], "description": "Another: 404 `invalid_model`."},
            "messages": {"type": "array", "minItems": 1, "maxItems": MAX_MESSAGES, "items": _ref("Message")},
            "params": _ref("Params"),
        },
    },
    "Message": {
        "type": "object",
        # A schema cannot say "not in the future"; one that left it out would promise what the server refuses.
        "description": "Besides the properties below: `timestamp`, a string as in ISO 8601 (`2026-03-31T12:00:00Z`), UTC where "
        "it names no zone, not more than 5 minutes in the future; the default is now. Unknown properties are ignored.",
        "required": ["content"],
        "properties": {
            "content": {
                "description": "The text, in an object or by itself.",
                "anyOf": [{"type": "object", "required": ["text"], "properties": {"text": _TEXT}}, _TEXT],
            },
            "role": {"type": "string", "enum": list(ROLES), "default": "user"},
            "externalId": _EXTERNAL_ID | {"description": "Your name for the message; 1 to 255 bytes of UTF-8."},
            "external_id": _EXTERNAL_ID | {"description": "The same; `externalId` wins."},
        },
    },
    "Params": {
        "type": "object",
        "properties": {
            "granularity": {
                "type": "string",
                "enum": ["core", "detailed", "basic"],
                "default": "core",
                "description": "Which labels `raw` holds: the six core emotions, or the 27 of GoEmotions and `neutral`. `basic` is `core`.",
            },
            "sensitivity": _UNIT | {"default": 0.5, "description": "Shifts the thresholds of `activeLabels`, never the scores."},
            "explain": {
                "type": "boolean",
                "default": False,
                "description": "Adds `evidence` to each item; costs up to 12 more readings a text.",
            },
            "window": {
                "type": "string",
                "enum": ["week", "month", "quarter"],
                "default": "month",
                "description": "In a context: over how long the baseline reaches back (7, 30 or 90 days).",
            },
        },
    },
}
_LEVELS: Final = ["critical", "high", "moderate", "subtle", "minimal"]
_ITEM: Final[dict[str, Any]] = {
    "text": {"type": "string"},
    "category": {"type": "string", "enum": [*CORE, "neutral"], "description": "The dominant core emotion; `neutral` when none is present."},
    "raw": {"description": "Calibrated, independent probabilities.", "anyOf": [_raw(CORE), _raw(GO)]},
    "intensity": _UNIT | {"description": "Strength of the emotion expressed; a plain fact is near 0."},
    "intensityLevel": {"type": "string", "enum": _LEVELS},
    "valence": {"type": "number", "minimum": -1, "maximum": 1, "description": "From unpleasant to pleasant."},
    "arousal": _UNIT | {"description": "From calm to energised."},
    "complexity": {"type": "string", "enum": ["simple", "layered", "paradoxical", "transcendent"]},
    "wonderIndex": _UNIT | {"description": "Curiosity, openness, awe."},
    "discoveryLevel": {"type": "string", "enum": ["transcendent", "breakthrough", "significant", "normal", "routine"]},
    "activeLabels": {
        "type": "array",
        "items": {"type": "string", "enum": list(GO)},
        "description": "Above their own thresholds, strongest first.",
    },
    "confidence": _UNIT | {"description": "Calibrated probability that `category` is right."},
    "empathicConcern": _UNIT | {"description": "Warm concern for another."},
    "personalDistress": _UNIT | {"description": "Own upset."},
    "safetyConcernScore": _UNIT | {"description": "Probability of danger to self or others. An aid for routing to a person, no diagnosis."},
    "isBreakthrough": {"type": "boolean"},
    "metaEmotionalScore": _UNIT | {"description": "Talks about own feelings."},
    "patternEmotionScore": _UNIT | {"description": "Talks about recurrence or change."},
    "emotionalVector": {
        "type": "array",
        "items": {"type": "number", "minimum": -1, "maximum": 1},
        "minItems": 9,
        "maxItems": 9,
        "description": "Of unit length; for similarity search.",
    },
    "emotionalTags": {"type": "array", "items": {"type": "string"}},
    "emotionalSignature": {"type": "string", "pattern": "^[0-9a-f]{16}$", "description": "Same state, same signature."},
    "dimensionalSource": {"const": "ml_predicted"},
    "language": {"type": "string", "description": "BCP 47; `und` where it cannot be told."},
    "hostilityState": _ref("HostilityState"),
    "coverage": {
        "type": "object",
        "required": ["characters", "windows"],
        "properties": {"characters": {"type": "integer", "minimum": 1}, "windows": {"type": "integer", "minimum": 1}},
        "description": "Long text is read in windows and combined; nothing is cut.",
    },
}
_PLACE: Final[dict[str, Any]] = {"start": _COUNT, "end": _COUNT}
_SOMETIMES: Final[dict[str, Any]] = {
    "piiDetected": {
        "type": "object",
        "description": "Personal data in the text, by kind, where the project has it reported or masked; absent when there is none.",
        "additionalProperties": {"type": "integer", "minimum": 1},
    },
    "safety": _block(kind={"type": "string", "enum": list(DANGERS)}, evidence={"type": "array", "items": _block(**_PLACE)})
    | {"description": "In a crisis alone: the kind of danger and the sentences that tell it, in code points of `text`."},
    "evidence": {
        "type": "array",
        "items": _block(**_PLACE, label={"type": "string", "enum": list(CORE)}, weight=_UNIT),
        "description": "With `params.explain`: the words that the category rests on, strongest first, in code points of `text`; "
        "`weight` is by how much its score falls without them. Empty when the text is neutral or no one word matters.",
    },
}
_OF_TEXT: Final = frozenset({"text", "coverage"})
_REPLY: Final[dict[str, Any]] = {
    "model": {"const": NAME},
    "metadata": {"type": "object"},
    "params": {"type": "object", "description": "The accepted params as they were sent."},
    "usage": _ref("Usage"),
}
_ROLE_ITEMS: Final = {role: _ref("EmotionItem") for role in ROLES}
SCHEMAS: Final[dict[str, Any]] = _REQUEST_SCHEMAS | {
    "EmotionItem": {"type": "object", "required": list(_ITEM), "properties": _ITEM | _SOMETIMES},
    "KeptItem": {
        "type": "object",
        "description": "An emotion item as it is kept: without `text` and `coverage`.",
        "required": [name for name in _ITEM if name not in _OF_TEXT],
        "properties": {name: schema for name, schema in (_ITEM | _SOMETIMES).items() if name not in _OF_TEXT},
    },
    "HostilityState": {
        "type": "object",
        "description": "Hostility towards the listener or a group; anger at things and reported speech are none.",
        "required": ["level", "score", "escalationCount", "deEscalationDetected", "recommendedResponse"],
        "properties": {
            "level": {"type": "string", "enum": ["none", "low", "medium", "high"], "description": "From .30, .55 and .80 on."},
            "score": _UNIT,
            "escalationCount": _COUNT | {"description": "Consecutive hostile messages, this one included; 0 or 1 without a context."},
            "lastEscalation": {"type": "string", "format": "date-time", "description": "The message's own `timestamp`, if it has one."},
            "deEscalationDetected": {"type": "boolean"},
            "recommendedResponse": {"type": "string", "enum": ["normal", "defensive", "boundary_setting", "crisis"]},
        },
    },
    "Beliefs": _block(
        beliefs={
            "type": "array",
            "minItems": 1,
            "items": _block(type={"type": "string", "enum": list(BELIEFS)}, content=_STRING, confidence=_UNIT, rawMatch=_STRING),
        },
        totalBeliefs=_COUNT,
        beliefsByType={"type": "object", "properties": dict.fromkeys(BELIEFS, _COUNT), "additionalProperties": False},
        summary=_STRING,
    )
    | {"description": "What the latest user message states of the world and its writer; absent when it states nothing of the kind."},
    "ConversationMode": {
        "type": "object",
        "description": "Of the latest user message.",
        "required": [
            "mode",
            "confidence",
            "reasoning",
            "crisisDetected",
            "responseStrategy",
            "personalityMode",
            "personalityConfidence",
            "responseGuidance",
        ],
        "properties": {
            "mode": {"type": "string", "enum": ["crisis_intervention", *MODES]},
            "confidence": _UNIT,
            "reasoning": {"type": "string"},
            "crisisDetected": {
                "type": "boolean",
                "description": "Danger to self, violence, or being its victim: see `safety` of the item.",
            },
            "responseStrategy": _block(tone=_STRING, focus=_STRING, actionables=_STRINGS),
            "personalityMode": {"type": "string", "enum": list(GUIDANCE)},
            "personalityConfidence": _UNIT,
            "responseGuidance": _block(
                tone=_STRING, focus=_STRING, speechPatterns=_STRINGS, prohibitions=_STRINGS, exampleResponses=_STRINGS
            ),
        },
    },
    "Usage": {
        "type": "object",
        "required": ["analyse_tokens", "total_tokens"],
        "properties": {"analyse_tokens": {"type": "integer", "minimum": 0}, "total_tokens": {"type": "integer", "minimum": 0}},
    },
    "AnalysedMessage": {
        "type": "object",
        "required": ["index", "role", "emotions"],
        "properties": {
            "index": {"type": "integer", "minimum": 0},
            "role": {"type": "string", "enum": list(ROLES)},
            "externalId": {"type": "string"},
            "emotions": _ref("EmotionItem"),
        },
    },
    "AnalysisReply": {
        "type": "object",
        "required": ["object", "model", "response_type", "emotions", "isFallback", "dataQuality", "metadata", "params", "usage"],
        "properties": {
            "object": {"const": "emotions.analysis"},
            "response_type": {"const": "per_message"},
            "emotions": {
                "type": "object",
                "properties": _ROLE_ITEMS,
                "description": "Role → item; of several messages of one role the latest.",
            },
            "messages": {
                "type": "array",
                "items": _ref("AnalysedMessage"),
                "description": "Every message in request order, when there is more than one.",
            },
            "conversationMode": _ref("ConversationMode"),
            "beliefs": _ref("Beliefs"),
            "trajectory": _ref("Trajectory"),
            "growth": _ref("Growth"),
            "patterns": _ref("Patterns"),
            "context_id": _STRING,
            "context_message_count": _COUNT,
            "isFallback": {"const": False},
            "dataQuality": {
                "type": "string",
                "enum": ["ml_predicted", "low_confidence"],
                "description": "`low_confidence` when a message is not in a supported language.",
            },
        }
        | _REPLY,
    },
    "BatchReply": {
        "type": "object",
        "required": ["object", "model", "emotions", "metadata", "params", "usage"],
        "properties": {
            "object": {"const": "emotions.batch_analysis"},
            "emotions": {"type": "array", "items": _ref("EmotionItem"), "description": "One for each message, in request order."},
        }
        | _REPLY,
    },
}
EXAMPLES: Final[dict[str, Any]] = {
    "one": {
        "summary": "One message",
        "value": {"model": NAME, "messages": [{"role": "user", "content": {"text": "I got the job! I can't stop smiling."}}]},
    },
    "many": {
        "summary": "Several messages, all labels",
        "value": {
            "model": NAME,
            "params": {"granularity": "detailed"},
            "messages": [
                {"content": {"text": "The meeting is at 3 pm in room 204."}, "externalId": "m1"},
                {"content": "I'm not happy about this at all.", "externalId": "m2", "timestamp": "2026-03-31T12:00:00Z"},
            ],
        },
    },
}
