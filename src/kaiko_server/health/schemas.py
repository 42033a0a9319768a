"""What the routes for operations answer."""

from typing import Any, Final

SCHEMAS: Final[dict[str, Any]] = {
    "Health": {
        "type": "object",
        "required": ["status"],
        "properties": {"status": {"const": "ok"}},
    }
}
OK: Final = {"status": "ok"}
