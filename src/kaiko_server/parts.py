"""The frozen bundle of what is built once and handed down."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.types import Scope

from kaiko_server.engine.model import Model
from kaiko_server.keys.service import Verifier
from kaiko_server.settings import Settings
from kaiko_server.store.counters import Counters
from kaiko_server.store.db import Database
from kaiko_server.usage.service import Meter


@dataclass(frozen=True, slots=True)
class Parts:
    """What ``create_app`` wires and the features use."""

    settings: Settings
    db: Database
    model: Model
    keys: Verifier
    counters: Counters
    meter: Meter
    clock: Callable[[], datetime]
    """Now, in UTC."""


def parts_of(scope: Scope) -> Parts:
    """Give the parts of the application that *scope* belongs to."""
    parts: Parts = scope["app"].state.parts
    return parts
