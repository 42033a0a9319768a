"""The routes as the gate sees them: which template a path belongs to, and whether it needs a key."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute, Mount, Route

_DATA = "/v2/"
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

    def needs_key(self, method: str) -> bool:
        """Whether a request must say who makes it. One with a method that is not served ends as 405 whoever asks."""
        return self.template.startswith(_DATA) and (not self.methods or method in self.methods)


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

    def find(self, path: str) -> Entry:
        """Give the entry of *path*; of an unknown one, an entry whose template is :data:`UNMATCHED`."""
        entry = self._exact.get(path)
        if entry is not None:
            return entry
        return next((entry for pattern, entry in self._patterns if pattern.match(path)), _NO_ROUTE)
