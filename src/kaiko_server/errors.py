"""The catalogue of errors: everything that a client can be told went wrong, in one place."""

from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Kind:
    """One entry: what goes over the wire, and the page of the docs that explains it."""

    status: int
    type: str
    public: str
    mend: str
    """What the client can do about it; printed on the error's page in the docs."""


class Code(Enum):
    """Stable codes; the member's name in lower case is what the client sees."""

    MISSING_FIELD = Kind(400, "invalid_request_error", "A required field is missing.", "Add the field that `param` names.")
    INVALID_JSON = Kind(400, "invalid_request_error", "The body is not valid JSON.", "Send one JSON object, encoded as UTF-8.")
    BATCH_TOO_LARGE = Kind(
        400, "invalid_request_error", "A request may hold at most 100 messages.", "Split the messages over several requests."
    )
    INVALID_IDEMPOTENCY_KEY = Kind(
        400,
        "invalid_request_error",
        "An idempotency key has 1 to 255 printable ASCII characters.",
        "Send one `Idempotency-Key` a request, bare or in quotes; a UUID will do.",
    )
    INVALID_API_KEY = Kind(
        401,
        "authentication_error",
        "The API key is missing or not valid.",
        "Send the key as `x-api-key: <key>` or `Authorization: Bearer <key>`. If both are sent, they must be the same.",
    )
    KEY_REVOKED = Kind(403, "forbidden_error", "This API key has been revoked.", "Use another key; `kaiko keys create` makes one.")
    KEY_EXPIRED = Kind(403, "forbidden_error", "This API key has expired.", "Use another key; `kaiko keys create` makes one.")
    HTTPS_REQUIRED = Kind(
        403,
        "forbidden_error",
        "This server answers over HTTPS only.",
        "Use https://, or put the server behind a TLS-terminating proxy that is listed in `KAIKO_TRUSTED_PROXIES`.",
    )
    INSUFFICIENT_SCOPE = Kind(
        403,
        "forbidden_error",
        "This API key is not for this route.",
        "Use a key with the scope that the message names; `kaiko keys create --scope` makes one.",
    )
    FEATURE_RESTRICTED = Kind(
        403,
        "forbidden_error",
        "This feature is not available to this project.",
        "Leave out the feature that the message names, or ask the operator (`kaiko features list`).",
    )
    IP_NOT_ALLOWED = Kind(
        403,
        "forbidden_error",
        "This API key may not be used from this address.",
        "Send from an address that the key was made for; behind a proxy the server must know it (`KAIKO_TRUSTED_PROXIES`).",
    )
    ROUTE_NOT_FOUND = Kind(404, "not_found_error", "There is no such route.", "See `/docs` for the routes of this server.")
    INVALID_MODEL = Kind(404, "invalid_request_error", "There is no such model.", "Use `emotion-v2`; `GET /v2/models` lists the models.")
    CONTEXT_NOT_FOUND = Kind(
        404,
        "not_found_error",
        "There is no such context, or its state has expired.",
        "A context begins with its first message and is forgotten some time after its last (24 hours, unless the operator changes it).",
    )
    MESSAGE_NOT_FOUND = Kind(
        404,
        "not_found_error",
        "There is no such message in this context.",
        "Only messages sent with an `externalId` can be asked for, and only while the context's state lives.",
    )
    KEY_NOT_FOUND = Kind(404, "not_found_error", "There is no such key.", "`GET /admin/v1/keys` lists the keys with their ids.")
    METHOD_NOT_ALLOWED = Kind(
        405, "invalid_request_error", "This route does not take this method.", "See the `Allow` header for the methods that it takes."
    )
    DUPLICATE_ID = Kind(
        409,
        "conflict_error",
        "This external id was used in this context for other content.",
        "Give every message an id of its own; send a message again only as it was. Nothing of the request was kept.",
    )
    KEY_NOT_ROTATED = Kind(
        409,
        "conflict_error",
        "This key cannot be rotated.",
        "One that was revoked, has expired or was rotated before has no further successor: make a new key.",
    )
    IDEMPOTENCY_IN_PROGRESS = Kind(
        409,
        "conflict_error",
        "A request with this idempotency key is being answered.",
        "Send it again after the seconds in `Retry-After`: it is told what the first was told.",
    )
    API_VERSION_SUNSET = Kind(
        410, "invalid_request_error", "Version 1 of the API ended on 2026-03-31.", "Use the V2 route that the message names."
    )
    PAYLOAD_TOO_LARGE = Kind(
        413, "invalid_request_error", "The body is larger than 1 MiB.", "Send fewer or shorter messages in one request."
    )
    TEXT_TOO_LONG = Kind(
        413, "invalid_request_error", "A text may hold at most 10,000 characters.", "Split the text into several messages."
    )
    UNSUPPORTED_MEDIA_TYPE = Kind(
        415, "invalid_request_error", "The body must be application/json.", "Send `Content-Type: application/json`."
    )
    INVALID_VALUE = Kind(422, "invalid_request_error", "A field has a value that is not allowed.", "Change the field that `param` names.")
    INVALID_ROLE = Kind(
        422, "invalid_request_error", "A role must be `user`, `assistant` or `system`.", "Change the role that `param` names."
    )
    INVALID_CONTEXT_ID = Kind(
        422,
        "invalid_request_error",
        "A context id has 1 to 128 bytes of UTF-8 and is not a word of the routes.",
        "Percent-encode the id in the path. `analysis`, `batch-analysis`, `analyse`, `batch-analyse`, `message` and `models` are taken.",
    )
    IDEMPOTENCY_KEY_REUSED = Kind(
        422,
        "invalid_request_error",
        "This idempotency key was used for another body.",
        "Give every request a key of its own, and send a retry with the body of the first attempt.",
    )
    TOO_MANY_REQUESTS = Kind(
        429,
        "rate_limit_error",
        "Too many requests in the last minute.",
        "Wait the seconds in `Retry-After`. `X-RateLimit-Remaining` says how many more pass.",
    )
    TOO_MANY_CONCURRENT_REQUESTS = Kind(
        429,
        "rate_limit_error",
        "Too many requests at once.",
        "Send the next one when one has been answered: keep no more open than the limit.",
    )
    QUOTA_EXCEEDED = Kind(
        429,
        "rate_limit_error",
        "This month's tokens are used up.",
        "Wait for the next month (UTC), or ask the operator for a larger plan.",
    )
    INTERNAL = Kind(500, "server_error", "Something went wrong on our side.", "Try again; if it stays, give the operator the `request_id`.")
    SERVICE_UNAVAILABLE = Kind(
        503, "server_error", "The server is shutting down or not ready.", "Try again after the seconds in `Retry-After`."
    )
    MODEL_UNAVAILABLE = Kind(
        503,
        "server_error",
        "The emotion model cannot answer now.",
        "Try again after the seconds in `Retry-After`; `kaiko doctor` says what is wrong.",
    )
    OVERLOADED = Kind(503, "server_error", "The server is busy.", "Try again after the seconds in `Retry-After`.")
    TIMEOUT = Kind(
        503, "server_error", "The request took too long.", "Send less in one request, or try again after the seconds in `Retry-After`."
    )

    @property
    def slug(self) -> str:
        return self.name.lower()


class ApiError(Exception):
    """An error to be told to the client.

    Parameters
    ----------
    code
        Which one of the catalogue.
    message
        Public text, when it can say more than the catalogue's; never holds a client's text or a secret.
    param
        The field that is wrong, such as ``messages[3].content.text``.
    headers
        More headers for the reply.
    """

    def __init__(self, code: Code, message: str | None = None, *, param: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(code.slug)
        self.code = code
        self.message = message or code.value.public
        self.param = param
        self.headers = headers or {}

    def body(self, request_id: str) -> dict[str, dict[str, str]]:
        """Give the envelope as it goes over the wire."""
        error = {"type": self.code.value.type, "code": self.code.slug, "message": self.message, "request_id": request_id}
        if self.param is not None:
            error["param"] = self.param
        return {"error": error}
