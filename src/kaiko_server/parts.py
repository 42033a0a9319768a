"""The frozen bundle of what is built once and handed down."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from kaiko_server.engine.model import Model
from kaiko_server.keys.service import Verifier
from kaiko_server.settings import Settings
from kaiko_server.store.db import Database


@dataclass(frozen=True, slots=True)
class Parts:
    """What ``create_app`` wires and the features use."""

    settings: Settings
    db: Database
    model: Model
    keys: Verifier
    clock: Callable[[], datetime]
    """Now, in UTC."""
