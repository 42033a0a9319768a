"""One frozen :class:`Settings`, the only reader of the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any


class SettingsError(ValueError):
    """A setting is missing or cannot be understood; the message names it and says how to mend it."""


def _setting(default: Any, help_text: str) -> Any:  # noqa: ANN401 - dataclasses.field gives the type of the default
    return field(default=default, metadata={"help": help_text})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything an operator can turn. Each field is read from ``KAIKO_`` and its name in capitals."""

    environment: str = _setting(
        "development", "`development` or `production`. In development the pepper is made once and kept in the data directory."
    )
    host: str = _setting("127.0.0.1", "Address to listen on.")
    port: int = _setting(8000, "Port to listen on; 0 takes a free one.")
    tls_cert: Path | None = _setting(
        None, "File of the certificate and those above it (PEM): the server speaks HTTPS itself. Read anew when it changes."
    )
    tls_key: Path | None = _setting(None, "File of the certificate's private key (PEM, without a password).")
    data_dir: Path = _setting(Path("var"), "Folder of the database and, in development, the pepper.")
    context_ttl_hours: float = _setting(24.0, "Hours after its last message at which the state of a context is forgotten.")
    context_points_days: float = _setting(90.0, "Days that the points of a context's trajectory are kept.")
    context_strict: bool = _setting(False, "Points live no longer than the state: when that is forgotten, all of the context is.")
    database_url: str | None = _setting(
        None, "`postgresql://user:password@host:5432/database`: PostgreSQL, for several servers on the same data. Without it, SQLite."
    )
    database_connections: int = _setting(10, "Connections to PostgreSQL that one server process holds at most.")
    workers: int = _setting(1, "Server processes; each holds a model of its own.")
    pepper: str | None = _setting(None, "Secret that API keys are hashed with; 32 characters or more. Required in production.")
    log_level: str = _setting("info", "`debug`, `info`, `warning` or `error`.")
    log_format: str = _setting("auto", "`json`, `text`, or `auto`: text on a terminal, json elsewhere.")
    model_threads: int = _setting(0, "Threads of the model; 0 is one per core, shared out among the workers.")
    batch_tokens: int = _setting(128, "Padded tokens that one batch may hold at most.")
    queue_texts: int = _setting(2048, "Texts that may wait for the model; more are refused with 503 `overloaded`.")
    requests_per_minute: int = _setting(
        1000, "Requests that a key may make in any 60 seconds, unless key or plan say otherwise; 0 is no limit."
    )
    concurrent_requests: int = _setting(
        10, "Requests of a key that may be answered at once, unless key or plan say otherwise; 0 is no limit."
    )
    tokens_per_month: int = _setting(
        0, "Tokens that a key may use in a calendar month (UTC), unless key or plan say otherwise; 0 is no limit."
    )
    admin_requests_per_minute: int = _setting(60, "Requests under /admin that a key may make in any 60 seconds; 0 is no limit.")
    failed_keys_per_minute: int = _setting(
        30, "Requests without a good key that one address is told 401 or 403 in any 60 seconds; more are told 429. 0 is no limit."
    )
    valkey_url: str | None = _setting(
        None,
        "`valkey://user:password@host:6379/0` (or `valkeys://` for TLS): counters of limits that several servers share. "
        "Without it each process counts for itself.",
    )
    limits_when_lost: str = _setting(
        "open", "While Valkey cannot be reached: `open` lets each process count requests for itself, `closed` answers 503."
    )
    quotas_when_lost: str = _setting("closed", "The same for keys with tokens a month: `open` or `closed`.")
    max_body_bytes: int = _setting(1024 * 1024, "Largest request body.")
    request_timeout_s: float = _setting(30.0, "Seconds that a request may take before 503 `timeout`.")
    drain_timeout_s: float = _setting(30.0, "Seconds that requests in flight get to finish after SIGTERM.")
    trusted_proxies: tuple[str, ...] = _setting(
        (), "Addresses or networks, comma-separated, whose `X-Forwarded-Proto` and `X-Forwarded-For` are believed."
    )

    @property
    def development(self) -> bool:
        return self.environment == "development"


def load(environment: Mapping[str, str] | None = None, **given: object) -> Settings:
    """Read the settings from *environment* (that of the process when absent); what is *given* and not None wins.

    Raises
    ------
    SettingsError
        A value cannot be understood.
    """
    source = os.environ if environment is None else environment
    values: dict[str, object] = {}
    for f in fields(Settings):
        name = f"KAIKO_{f.name.upper()}"
        if given.get(f.name) is not None:
            values[f.name] = given[f.name]
        elif source.get(name):
            values[f.name] = _parse(name, source[name], f.default)
    return _checked(Settings(**values))  # type: ignore[arg-type] # each was parsed to the type of its default


def _parse(name: str, text: str, default: object) -> object:
    try:
        if isinstance(default, bool):
            return {"true": True, "1": True, "false": False, "0": False}[text.lower()]
        if isinstance(default, int | float):
            return type(default)(text)
    except (ValueError, KeyError):
        kind = {bool: "true or false", int: "a whole number"}.get(type(default), "a number")
        message = f"{name}={text!r} is not {kind}"
        raise SettingsError(message) from None
    if name in _PATHS:
        return Path(text)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return Path(text) if isinstance(default, Path) else text


_PATHS = ("KAIKO_TLS_CERT", "KAIKO_TLS_KEY")
_MIN_PEPPER = 32
_ABOVE_0 = (
    "context_ttl_hours",
    "context_points_days",
    "workers",
    "database_connections",
    "batch_tokens",
    "queue_texts",
    "max_body_bytes",
    "request_timeout_s",
    "drain_timeout_s",
)
_AT_MOST = {"context_ttl_hours": 876_000, "context_points_days": 36_500}
"""A hundred years."""
_FROM_0 = ("requests_per_minute", "concurrent_requests", "tokens_per_month", "admin_requests_per_minute", "failed_keys_per_minute")
_CHOICES = {
    "environment": ("development", "production"),
    "log_level": ("debug", "info", "warning", "error"),
    "log_format": ("auto", "json", "text"),
    "limits_when_lost": ("open", "closed"),
    "quotas_when_lost": ("open", "closed"),
}


def _checked(settings: Settings) -> Settings:
    for name, choices in _CHOICES.items():
        if getattr(settings, name) not in choices:
            message = f"KAIKO_{name.upper()} must be one of {', '.join(choices)}"
            raise SettingsError(message)
    _check_numbers(settings)
    if (settings.tls_cert is None) != (settings.tls_key is None):
        message = "KAIKO_TLS_CERT and KAIKO_TLS_KEY belong together: set both or neither"
        raise SettingsError(message)
    if settings.pepper is not None and len(settings.pepper) < _MIN_PEPPER:
        message = f"KAIKO_PEPPER must be {_MIN_PEPPER} characters or more: `openssl rand -hex 32` makes one"
        raise SettingsError(message)
    return settings


def _check_numbers(settings: Settings) -> None:
    for name in _ABOVE_0:
        if getattr(settings, name) <= 0:
            message = f"KAIKO_{name.upper()} must be above 0"
            raise SettingsError(message)
    for name in _FROM_0:
        if getattr(settings, name) < 0:
            message = f"KAIKO_{name.upper()} must be 0 or more"
            raise SettingsError(message)
    for name, most in _AT_MOST.items():
        if getattr(settings, name) > most:
            message = f"KAIKO_{name.upper()} must be {most} or less"
            raise SettingsError(message)
