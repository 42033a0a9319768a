"""Prometheus metrics: by route template and by names of the catalogue alone, so that no label can hold a client's words."""

from collections.abc import Callable
from functools import lru_cache

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from kaiko_server.gate.record import Record

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})


class Metrics:
    """The figures of one server process, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)
        self._requests = Counter("kaiko_http_requests", "Requests answered.", ["method", "route", "status"], registry=self._registry)
        self._seconds = Histogram(
            "kaiko_http_request_seconds", "From request to reply.", ["method", "route"], buckets=_SECONDS, registry=self._registry
        )
        self._stages = Histogram(
            "kaiko_stage_seconds", "Where the time of requests went.", ["stage"], buckets=_SECONDS, registry=self._registry
        )
        self._errors = Counter("kaiko_errors", "Errors answered, by code.", ["code"], registry=self._registry)
        self._texts = Counter("kaiko_texts", "Texts analysed.", registry=self._registry)
        self._tokens = Counter("kaiko_tokens", "Tokens analysed.", registry=self._registry)
        self._in_flight = Gauge("kaiko_http_requests_in_flight", "Requests being answered.", registry=self._registry)
        self._counters_lost = Gauge("kaiko_counters_lost", "1 while the shared counters cannot be reached.", registry=self._registry)
        self._model_ready = Gauge("kaiko_model_ready", "1 while the model can answer.", registry=self._registry)
        # Looking a child up by its labels costs more than counting; there are few of them.
        self._request_child = lru_cache(maxsize=1024)(self._requests.labels)
        self._seconds_child = lru_cache(maxsize=256)(self._seconds.labels)
        self._stage_child = lru_cache(maxsize=64)(self._stages.labels)

    def watch(self, *, in_flight: Callable[[], int], model_ready: Callable[[], bool]) -> None:
        """Ask for these whenever somebody reads the metrics."""
        self._in_flight.set_function(in_flight)
        self._model_ready.set_function(model_ready)

    def count(self, record: Record) -> None:
        """Add one request that ended."""
        method = record.method if record.method in _METHODS else "OTHER"
        self._request_child(method, record.template, str(record.status)).inc()
        self._seconds_child(method, record.template).observe(record.total_ms / 1000)
        for stage, ms in record.stages.items():
            self._stage_child(stage).observe(ms / 1000)
        if record.code is not None:
            self._errors.labels(record.code).inc()
        if record.texts:
            self._texts.inc(record.texts)
            self._tokens.inc(record.tokens)

    def refused(self, code: str) -> None:
        """Add one request that was not HTTP, and so has neither method nor route."""
        self._errors.labels(code).inc()

    def counters_lost(self, *, lost: bool) -> None:
        """Note that the shared counters are lost, or back."""
        self._counters_lost.set(int(lost))

    def text(self) -> bytes:
        """Give all figures in Prometheus' text format."""
        return generate_latest(self._registry)
