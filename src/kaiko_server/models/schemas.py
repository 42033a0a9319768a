"""What ``GET /v2/models`` answers."""

from typing import Any, Final

SCHEMAS: Final[dict[str, Any]] = {
    "Models": {
        "type": "object",
        "required": ["object", "data"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": {"$ref": "#/components/schemas/Model"}},
        },
    },
    "Model": {
        "type": "object",
        "required": ["id", "object", "aliases", "version", "languages"],
        "properties": {
            "id": {"type": "string", "description": "The name to send as `model`."},
            "object": {"const": "model"},
            "aliases": {"type": "array", "items": {"type": "string"}, "description": "Other names for the same model."},
            "version": {"type": "string", "description": "Name and digest of the weights: the same version gives the same reading."},
            "languages": {
                "type": "array",
                "items": {"type": "string"},
                "description": "BCP 47; others are read, but with `dataQuality: low_confidence`.",
            },
        },
    },
}
EXAMPLE: Final = {
    "object": "list",
    "data": [{"id": "emotion-v2", "object": "model", "aliases": ["emotion-1"], "version": "emotion-v2+0123abcd", "languages": ["en"]}],
}
