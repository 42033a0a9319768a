"""What the gate adds to a request: ``python -m bench.gate``; ``--valkey URL`` with shared counters.

A request passes the whole gate (request id, bounds, log line, metrics, transport, key, limits, idempotency) to a route that answers
at once, in one process and without a socket, in turns with that route alone. Its CPU time stands beside that of an analysis of one
message. What Valkey itself spends is not in it.
"""

import asyncio
import io
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import process_time
from types import SimpleNamespace

import click
from rich.console import Console
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bench.measure import Figure
from bench.texts import sample
from kaiko_server.analysis import service
from kaiko_server.analysis.schemas import AnalysisRequest
from kaiko_server.engine.batcher import Batcher
from kaiko_server.engine.model import NAME
from kaiko_server.engine.onnx import OnnxSession
from kaiko_server.gate import logs
from kaiko_server.gate.caller import CallerGate
from kaiko_server.gate.limits import LimitGate
from kaiko_server.gate.metrics import Metrics
from kaiko_server.gate.once import OnceGate
from kaiko_server.gate.table import RouteTable
from kaiko_server.gate.trace import Trace
from kaiko_server.gate.traffic import Traffic
from kaiko_server.gate.transport import Transport, networks
from kaiko_server.keys.service import Terms, Verifier, create_key
from kaiko_server.parts import Parts
from kaiko_server.settings import Settings, load
from kaiko_server.store.counters import Counters, MemoryCounters
from kaiko_server.store.db import Database
from kaiko_server.store.opening import open_database
from kaiko_server.store.valkey import ValkeyCounters
from kaiko_server.usage.service import Meter

_PATH = "/v2/emotions/analysis"
_REQUESTS, _ROUNDS, _TEXTS = 2_000, 7, 200
_PEPPER = b"a pepper for a benchmark, 32 bytes or more"


def _now() -> datetime:
    return datetime.now(UTC)


async def _answer(_scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def _gate(settings: Settings) -> ASGIApp:
    """Give the whole gate around the route."""
    table = RouteTable([Route(_PATH, _answer, methods=["POST"])])
    whole = CallerGate(LimitGate(OnceGate(_answer, table=table)), table=table)
    return Trace(
        Transport(whole, trusted=networks(())),
        table=table,
        settings=settings,
        traffic=Traffic(),
        metrics=Metrics(),
        log=logs.make_logger(settings, io.StringIO()),
    )


async def _pass(app: ASGIApp, parts: Parts, key: str) -> float:
    """Send requests through, one after the other; give the CPU seconds of one."""
    state = SimpleNamespace(state=SimpleNamespace(parts=parts))
    headers = [(b"x-api-key", key.encode()), (b"content-type", b"application/json"), (b"content-length", b"2")]

    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    async def send(_message: Message) -> None:
        return

    began = process_time()
    for _ in range(_REQUESTS):
        scope = {
            "type": "http", "method": "POST", "path": _PATH, "raw_path": _PATH.encode(), "scheme": "http", "client": ("127.0.0.1", 1),
            "headers": headers, "app": state, "query_string": b"",
        }  # fmt: skip
        await app(scope, receive, send)
    return (process_time() - began) / _REQUESTS


async def _analysis(model: Batcher) -> float:
    """Give the CPU seconds of one analysis, without HTTP."""
    texts, now = sample(_TEXTS), _now()
    asked = [AnalysisRequest.model_validate({"model": NAME, "messages": [{"content": text}]}, context={"now": now}) for text in texts]
    began = process_time()
    for one in asked:
        await service.analyse(model, one, now)
    return (process_time() - began) / len(asked)


async def _measure(db: Database, settings: Settings, counters: Counters) -> tuple[Figure, Figure]:
    model = Batcher(OnnxSession.load(threads=1), queue_texts=100, batch_tokens=128)
    model.start()
    terms = Terms(per_minute=1_000_000, concurrent=1_000, tokens_per_month=10**9)
    made = await create_key(db, _PEPPER, project="bench", environment="live", name="bench", clock=_now, terms=terms)
    verifier, meter = Verifier(db, _PEPPER, _now), Meter(db, _now)
    parts = Parts(settings=settings, db=db, model=model, keys=verifier, counters=counters, meter=meter, clock=_now)
    whole = _gate(settings)
    await _analysis(model)
    added, share = [], []
    for _ in range(_ROUNDS):
        cost = await _pass(whole, parts, made.key) - await _pass(_answer, parts, made.key)
        added.append(cost * 1000)
        share.append(cost / (cost + await _analysis(model)))
    await model.close()
    return Figure.of(added), Figure.of(share)


@click.command()
@click.option("--valkey", help="valkey://host:port/0 to count in; memory without it.")
def main(valkey: str | None) -> None:
    """Measure and print."""

    async def measure() -> tuple[Figure, Figure]:
        with tempfile.TemporaryDirectory() as folder:
            settings = load({}, data_dir=Path(folder) / "var")
            counters: Counters = MemoryCounters() if valkey is None else ValkeyCounters(valkey)
            db = await open_database(settings)
            try:
                return await _measure(db, settings, counters)
            finally:
                await counters.close()
                await db.close()

    added, share = asyncio.run(measure())
    Console().print(
        f"the whole gate adds {added.median:.3f} ms of CPU ({added.min:.3f}-{added.max:.3f}) to an analysis, "
        f"{share.median:.1%} ({share.min:.1%}-{share.max:.1%}) of the two; counters in {'Valkey' if valkey else 'memory'}, "
        f"{_REQUESTS:,} requests a round, {_ROUNDS} rounds in turns"
    )


if __name__ == "__main__":
    main()
