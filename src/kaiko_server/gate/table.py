"""The routes as the gate sees them: which template a path belongs to, and whether it needs a key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote

from starlette.routing import BaseRoute, Mount, Route
from starlette.types import Scope

_DATA = "/v2/"
ADMIN = "/admin/"
"""How routes begin that are for who administers the server."""
_SCOPES = (
    (ADMIN, "admin"),
    ("/v2/emotions/{context_id}", "contexts"),
    ("/v2/emotions/", "analysis"),
    ("/v2/chat/", "chat"),
)
_FEATURES = (
    ("/v2/emotions/batch-analysis", "batch"),
    ("/v2/emotions/{context_id}/trajectory", "trajectory"),
    ("/v2/emotions/{context_id}", "contexts"),
    ("/v2/chat/", "chat"),
)
UNMATCHED = "(none)"


@dataclass(frozen=True, slots=True)
class Entry:
    """One path of the server.

    Attributes
    ----------
    template
        As in the OpenAPI document.
    methods
        In capitals; empty when the path takes them all.
    """

    template: str
    methods: frozenset[str]

    @property
    def needs_key(self) -> bool:
        """Whether a request must say who makes it."""
        return self.template.startswith((_DATA, ADMIN))

    @property
    def feature(self) -> str | None:
        """What its project must not be denied."""
        return next((feature for prefix, feature in _FEATURES if self.template.startswith(prefix)), None)

    @property
    def stateless(self) -> bool:
        """Whether the same request always gives the same reply, so that none of it need be kept."""
        return self.scope == "analysis"

    @property
    def scope(self) -> str | None:
        """What a key must be for; None when any will do."""
        return next((scope for prefix, scope in _SCOPES if self.template.startswith(prefix)), None)


_NO_ROUTE = Entry(UNMATCHED, frozenset())


class RouteTable:
    """Finds the :class:`Entry` of a path; most paths hold no variable and take one look into a dict."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._exact: dict[str, Entry] = {}
        self._patterns: list[tuple[re.Pattern[str], Entry]] = []
        for route in routes:
            if isinstance(route, Mount):
                self._patterns.append((route.path_regex, Entry(f"{route.path}/{{path}}", frozenset())))
            elif isinstance(route, Route):
                self._add(route)

    def _add(self, route: Route) -> None:
        methods = frozenset(route.methods or ())
        if not route.param_convertors:
            known = self._exact.get(route.path)
            self._exact[route.path] = Entry(route.path, methods | known.methods if known else methods)
            return
        for place, (pattern, known) in enumerate(self._patterns):
            if known.template == route.path:
                self._patterns[place] = (pattern, Entry(route.path, methods | known.methods))
                return
        self._patterns.append((route.path_regex, Entry(route.path, methods)))

    def find(self, path: str, method: str) -> Entry:
        """Give the entry of *path* that takes *method*; the first, when none does; for an unknown path one that is :data:`UNMATCHED`."""
        exact = self._exact.get(path)
        if exact is not None and (not exact.methods or method in exact.methods):
            return exact
        found = [entry for pattern, entry in self._patterns if pattern.match(path)]
        takes = next((entry for entry in found if not entry.methods or method in entry.methods), None)
        return takes or exact or (found[0] if found else _NO_ROUTE)


def keep_slashes(scope: Scope) -> None:
    """Keep an encoded slash from parting a path where the client did not: for matching, it stays ``%2F`` in its segment.

    Whoever needs the segment itself takes it from the scope's ``raw_path``, where nothing is decoded.
    """
    raw: bytes = scope["raw_path"]
    if b"%2f" in raw.lower():
        scope["path"] = "/".join(unquote(part).replace("/", "%2F") for part in raw.decode("ascii").split("/"))
