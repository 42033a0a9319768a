"""Log lines: one wide line a request, and nothing in any of them that a client wrote."""

import logging
import sys
import traceback
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from kaiko_server.gate.record import Record
from kaiko_server.settings import Settings

Log = FilteringBoundLogger
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""Asked every few seconds by machines; their lines are of interest only to who debugs them."""
_SERVER_FAULT = 500
_TEMPLATE_LOGGERS = ("uvicorn",)
"""Libraries whose log templates are fixed texts; of others only the name is told, since a message can quote a value."""


def make_logger(settings: Settings, stream: TextIO | None = None) -> FilteringBoundLogger:
    """Give the server's logger, which writes to standard error unless told another *stream*."""
    out = sys.stderr if stream is None else stream
    text = settings.log_format == "text" or (settings.log_format == "auto" and out.isatty())
    last: Processor = structlog.dev.ConsoleRenderer(colors=out.isatty()) if text else structlog.processors.JSONRenderer()
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=[structlog.processors.add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True), last],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        cache_logger_on_first_use=True,
    )
    return logger


def request_line(log: FilteringBoundLogger, record: Record) -> None:
    """Write the one line of a request that ended."""
    fields: dict[str, Any] = {
        "request_id": record.request_id,
        "method": record.method,
        "route": record.template,
        "status": record.status,
        "ms": round(record.total_ms, 2),
        "stages": {stage: round(ms, 2) for stage, ms in record.stages.items()},
        "bytes_in": record.bytes_in,
        "bytes_out": record.bytes_out,
    }
    if record.code is not None:
        fields["code"] = record.code
    if record.client_request_id is not None:
        fields["client_request_id"] = record.client_request_id
    if record.caller is not None:
        fields |= {
            "key_id": record.caller.key_id,
            "project_id": record.caller.project_id,
            "environment": record.caller.environment,
        }
    if record.texts:
        fields |= {"texts": record.texts, "tokens": record.tokens}
    if record.status >= _SERVER_FAULT:
        log.warning("request", **fields)
    elif record.template in _QUIET:
        log.debug("request", **fields)
    else:
        log.info("request", **fields)


def where(error: BaseException) -> list[str]:
    """Say what went wrong and where, innermost last: types, files and lines, never a message, which may quote a value."""
    told: list[str] = []
    link: BaseException | None = error
    while link is not None:
        told.append(f"{type(link).__module__}.{type(link).__qualname__}")
        told.extend(_frames(link.__traceback__))
        link = link.__cause__ or link.__context__
    return told


def _frames(trace: TracebackType | None) -> list[str]:
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)]


class Forward(logging.Handler):
    """Sends what libraries log through ours, less everything that could be a client's words."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Tell who logged and at what level; the fixed text too where it is known to be one."""
        fields: dict[str, Any] = {"logger": record.name}
        if record.name.startswith(_TEMPLATE_LOGGERS):
            fields["template"] = str(record.msg).strip()
        if record.exc_info and record.exc_info[1] is not None:
            fields["error"] = where(record.exc_info[1])
        self._log.log(record.levelno, "library", **fields)
