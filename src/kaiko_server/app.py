"""The only composition root: builds what there is, wires it, and lists gates and routes in their order."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from typing import NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from kaiko_server.analysis import routes as analysis
from kaiko_server.audit import service as audit
from kaiko_server.contexts import routes as contexts
from kaiko_server.contexts import service as contexts_service
from kaiko_server.engine.batcher import Batcher
from kaiko_server.engine.onnx import OnnxSession
from kaiko_server.errors import ApiError, Code
from kaiko_server.gate import logs, openapi
from kaiko_server.gate.caller import CallerGate
from kaiko_server.gate.limits import LimitGate
from kaiko_server.gate.metrics import Metrics
from kaiko_server.gate.once import OnceGate
from kaiko_server.gate.table import RouteTable
from kaiko_server.gate.trace import Trace
from kaiko_server.gate.traffic import Traffic
from kaiko_server.gate.transport import Transport, networks
from kaiko_server.health import docs, sunset
from kaiko_server.health import routes as health
from kaiko_server.idempotency import service as idempotency
from kaiko_server.keys import routes as keys
from kaiko_server.keys.service import Verifier, load_pepper
from kaiko_server.models import routes as models
from kaiko_server.parts import Parts
from kaiko_server.settings import Settings, SettingsError
from kaiko_server.store.counters import CarefulCounters, Counters, Limits, MemoryCounters
from kaiko_server.store.db import Database, StoreError
from kaiko_server.store.opening import open_database
from kaiko_server.store.valkey import ValkeyCounters
from kaiko_server.trajectory import schemas as trajectory_schemas
from kaiko_server.usage.service import Meter

_NO_TELEMETRY: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False, "operation_spans": False, "auto_configure": False}
"""FastAPI would record paths and the messages of exceptions, which can hold a client's words; metrics and logs are the gate's."""


_FEATURES = (analysis, contexts, models, keys, health)
"""Whose routes there are, in the order of the document."""
_METER_EVERY_S = 1.0
_SWEEP_EVERY_S = 60.0
"""What has expired cannot be read any more in any case."""


class StartError(Exception):
    """The server cannot start; the message says why in one line."""


def create_app(settings: Settings) -> FastAPI:
    """Give the application; it opens its database and loads its model when its lifespan begins.

    Raises
    ------
    SettingsError
        A setting cannot be understood.
    """
    # Not include_router(): its routers are matched lazily, and the gate needs the list of what there is.
    routes = [*(route for feature in _FEATURES for route in feature.router.routes), *docs.router.routes, *sunset.ROUTES]
    table = RouteTable(routes)
    traffic, metrics, log = Traffic(), Metrics(), logs.make_logger(settings)
    app = FastAPI(
        title="Kaiko API",
        version=version("kaiko-server"),
        lifespan=_lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=_NO_TELEMETRY,
        exception_handlers={HTTPException: _framework_error, RequestValidationError: _framework_error},
        middleware=[
            Middleware(Trace, table=table, settings=settings, traffic=traffic, metrics=metrics, log=log),
            Middleware(Transport, trusted=networks(settings.trusted_proxies)),
            Middleware(CallerGate, table=table),
            Middleware(LimitGate),
            Middleware(OnceGate, table=table),
        ],
    )
    app.router.routes.extend(routes)
    app.state.settings, app.state.traffic, app.state.metrics, app.state.log = settings, traffic, metrics, log
    app.state.failure = None
    schemas = {name: schema for feature in _FEATURES for name, schema in feature.SCHEMAS.items()}
    document = openapi.document(app.title, app.version, routes, schemas | trajectory_schemas.SCHEMAS)
    app.openapi = lambda: document  # type: ignore[method-assign]
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        try:
            await _open(app, stack)
        except (StartError, SettingsError, StoreError) as error:
            app.state.failure = error  # whoever runs the server tells it in one line
            raise
        yield


async def _open(app: FastAPI, stack: AsyncExitStack) -> None:
    """Open what the application needs, and have *stack* close it in the opposite order."""
    settings: Settings = app.state.settings
    db = await open_database(settings)
    stack.push_async_callback(db.close)
    threads = settings.model_threads or max(1, _cores() // settings.workers)
    model = Batcher(_session(), queue_texts=settings.queue_texts, batch_tokens=settings.batch_tokens, threads=threads)
    model.start()
    stack.push_async_callback(model.close)
    usual = Limits(settings.requests_per_minute, settings.concurrent_requests, settings.tokens_per_month)
    verifier = Verifier(db, load_pepper(settings), _now, usual=usual)
    counters = _counters(app)
    stack.push_async_callback(counters.close)
    meter = Meter(db, _now)
    stack.push_async_callback(_write_down, meter, app.state.log)
    metering = asyncio.create_task(_meter(meter, app.state.log))
    stack.push_async_callback(_stop, metering)
    app.state.parts = Parts(settings=settings, db=db, model=model, keys=verifier, counters=counters, meter=meter, clock=_now)
    sweeping = asyncio.create_task(_sweep(db, app.state.log, settings))
    stack.push_async_callback(_stop, sweeping)
    traffic: Traffic = app.state.traffic
    metrics: Metrics = app.state.metrics
    metrics.watch(in_flight=lambda: traffic.in_flight, model_ready=lambda: model.ready)


def _counters(app: FastAPI) -> Counters:
    """Give the counters of limits: in memory, or in Valkey when several servers share them."""
    settings: Settings = app.state.settings
    if settings.valkey_url is None:
        return MemoryCounters()
    log: logs.Log = app.state.log
    metrics: Metrics = app.state.metrics

    def tell(lost: bool) -> None:  # noqa: FBT001 - its one meaning
        metrics.counters_lost(lost=lost)
        if lost:
            log.error("shared counters are lost", limits=settings.limits_when_lost, quotas=settings.quotas_when_lost)
        else:
            log.warning("shared counters are back")

    closed, quotas_closed = settings.limits_when_lost == "closed", settings.quotas_when_lost == "closed"
    return CarefulCounters(ValkeyCounters(settings.valkey_url), limits_closed=closed, quotas_closed=quotas_closed, tell=tell)


async def _meter(meter: Meter, log: logs.Log) -> None:
    """Write down what keys use, for as long as the server runs."""
    while True:
        await asyncio.sleep(_METER_EVERY_S)
        await asyncio.shield(_write_down(meter, log))


async def _write_down(meter: Meter, log: logs.Log) -> None:
    try:
        await meter.flush()
    except StoreError as error:  # it stays counted, and is written the next time
        log.warning("usage could not be written", error=type(error).__name__)


async def _sweep(db: Database, log: logs.Log, settings: Settings) -> None:
    """Take what has expired off the disk, for as long as the server runs."""
    while True:
        try:
            removed = await contexts_service.sweep(db, _now, settings)
            await idempotency.sweep(db, _now())
            await audit.sweep(db, _now())
        except (StoreError, contexts_service.SweepError) as error:
            log.warning("sweeping failed", error=logs.where(error))
        else:
            if removed:
                log.info("swept", contexts=removed)
        await asyncio.sleep(_SWEEP_EVERY_S)


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def _session() -> OnnxSession:
    try:
        return OnnxSession.load(threads=1)  # texts run beside each other; one text over several threads would be slower in all
    except (OSError, ValueError, KeyError) as error:
        message = f"the model cannot be loaded: {error}"
        raise StartError(message) from error


def _cores() -> int:
    """Count the processors that this process may use; macOS cannot say, and tells how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _now() -> datetime:
    return datetime.now(UTC)


_FRAMEWORK = {404: Code.ROUTE_NOT_FOUND, 405: Code.METHOD_NOT_ALLOWED}


def _framework_error(_request: Request, error: Exception) -> NoReturn:
    """Turn what the framework raises into an entry of the catalogue, for the one handler in the gate."""
    if isinstance(error, RequestValidationError):
        raise ApiError(Code.INVALID_VALUE) from None
    assert isinstance(error, HTTPException)
    raise ApiError(_FRAMEWORK.get(error.status_code, Code.INTERNAL), headers=dict(error.headers or {})) from None
