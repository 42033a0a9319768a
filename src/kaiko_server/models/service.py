"""Which models there are."""

from kaiko_server.engine.model import ALIASES, NAME, Model

LANGUAGES = ("en",)


def list_models(model: Model) -> dict[str, object]:
    """Give the list as it goes over the wire."""
    entry = {"id": NAME, "object": "model", "aliases": list(ALIASES), "version": model.version, "languages": list(LANGUAGES)}
    return {"object": "list", "data": [entry]}
