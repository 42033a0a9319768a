"""``python -m bench.cost``: what a request costs outside the model, to find what can be trimmed.

First from outside: the processor time of a real server, its event loop apart from its other threads, for routes that do
more and more. The text is the shortest there is, so that the model hardly counts. Then, with ``--functions``, from inside:
the same requests through the application in this process, under Python's profiler, which makes everything slower and
small functions most; it tells where the time goes, not how much.
"""

import asyncio
import cProfile
import json
import os
import pstats
import tempfile
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench import client, process
from bench.client import Load
from bench.rounds import client_process
from bench.server import ANALYSIS, Server, make_key, serving
from kaiko_server import settings
from kaiko_server.app import create_app

_TEXT = "ok"
_REFUSED = "not-a-key"
Message = MutableMapping[str, Any]


def _requests(key: str) -> dict[str, bytes]:
    """Name requests that go further and further into the server."""
    return {
        "GET /healthz": client.get("/healthz", key),
        "POST analysis, no valid key": client.post(ANALYSIS, _REFUSED, [_TEXT]),
        "GET /v2/models": client.get("/v2/models", key),
        "POST analysis": client.post(ANALYSIS, key, [_TEXT]),
    }


def _from_outside(server: Server, count: int, connections: int) -> Table:
    table = Table(title=f"Server CPU in µs a request; {connections} connections, text {_TEXT!r}", title_justify="left")
    for heading in ("request", "event loop", "other threads", "requests/s", "client"):
        table.add_column(heading, justify="left" if heading == "request" else "right")
    with client_process() as pool:
        for name, request in _requests(server.key).items():
            load = Load(server.port, [request] * count, count, connections, 0.0)
            pool.submit(client.run, load).result()
            before = process.threads_cpu_s(server.pid)
            sent = pool.submit(client.run, load).result()
            spent = {thread: s - before.get(thread, 0.0) for thread, s in process.threads_cpu_s(server.pid).items()}
            loop = spent.pop(server.pid)
            each = [f"{s / count * 1e6:.0f}" for s in (loop, sum(spent.values()))]
            table.add_row(name, *each, f"{sent.per_s:,.0f}", f"{sent.client_cpu_s / count * 1e6:.0f}")
    return table


async def _call(app: Callable[..., Awaitable[None]], key: str, body: bytes) -> None:
    headers = [
        (b"host", b"127.0.0.1"),
        (b"x-api-key", key.encode()),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http", "path": ANALYSIS,
        "raw_path": ANALYSIS.encode(), "query_string": b"", "root_path": "", "headers": headers,
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    to_app: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
    from_app: list[Message] = []

    async def receive() -> Message:
        # When the body is read, the client stays connected: nothing more comes.
        return to_app.pop() if to_app else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        from_app.append(message)

    await app(scope, receive, send)
    assert from_app[0]["status"] == 200, from_app


async def _from_inside(data_dir: Path, key: str, count: int) -> cProfile.Profile:
    app = create_app(settings.load({}, data_dir=data_dir))
    body = json.dumps({"model": "emotion-v2", "messages": [{"content": {"text": _TEXT}}]}).encode()
    profile = cProfile.Profile()
    async with app.router.lifespan_context(app):
        await _call(app, key, body)
        profile.enable()
        for _ in range(count):
            await _call(app, key, body)
        profile.disable()
    return profile


@click.command()
@click.option("--count", default=4000, show_default=True, help="Requests of each kind.")
@click.option("--connections", default=16, show_default=True, help="That send them.")
@click.option("--functions", is_flag=True, help="Also show which functions take the time.")
def main(*, count: int, connections: int, functions: bool) -> None:
    """Show what a request costs outside the model."""
    with tempfile.TemporaryDirectory() as name:
        with serving(Path(name)) as server:
            Console().print(_from_outside(server, count, connections))
        if functions:
            key = make_key(Path(name))
            # The log lines are part of the cost, and no part of the output.
            with Path(os.devnull).open("w", encoding="utf-8") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
                profile = asyncio.run(_from_inside(Path(name), key, count))
            pstats.Stats(profile).sort_stats("tottime").print_stats(40)


if __name__ == "__main__":
    main()
