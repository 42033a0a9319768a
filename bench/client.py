"""The load generator: HTTP/1.1 over kept connections, in a process of its own.

It shares the machine with the server that it measures, so it does as little as it can: the requests are bytes made
beforehand, and of a reply it reads the status and the length. What it still takes is in the figures.
"""

import asyncio
import json
import re
import resource
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import cast

import uvloop

from bench.measure import Measurement

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_STATUS = slice(9, 12)
"""Where the status stands in ``HTTP/1.1 200 OK``."""


@dataclass(frozen=True, slots=True)
class Load:
    """What to send.

    Attributes
    ----------
    port
        On the loopback interface.
    requests
        Sent in this order, each once a pass, by whichever connection is free.
    texts
        How many texts the requests of one pass hold together.
    connections
        Each has one request under way at any time.
    least_s
        Seconds to go on for at least; the last pass is always sent whole.
    """

    port: int
    requests: Sequence[bytes]
    texts: int
    connections: int
    least_s: float


def post(path: str, key: str, texts: Sequence[str]) -> bytes:
    """Make the bytes of one analysis request."""
    body = json.dumps({"model": "emotion-v2", "messages": [{"role": "user", "content": {"text": text}} for text in texts]}).encode()
    return _head("POST", path, key) + b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def get(path: str, key: str) -> bytes:
    """Make the bytes of one request without a body."""
    return _head("GET", path, key) + b"\r\n"


def _head(method: str, path: str, key: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {key}\r\n".encode()


def run(load: Load) -> Measurement:
    """Send *load* and wait for every answer.

    Raises
    ------
    ConnectionError
        The server closed a connection before it answered.
    """
    return uvloop.run(_run(load))


async def _run(load: Load) -> Measurement:
    loop = asyncio.get_running_loop()
    work = _Work(load)
    connections = [(await loop.create_connection(lambda: _Connection(work), "127.0.0.1", load.port))[1] for _ in range(load.connections)]
    cpu_before = _cpu_s()
    work.began = perf_counter()
    for connection in connections:
        connection.send()
    await asyncio.gather(*(connection.done for connection in connections))
    seconds = perf_counter() - work.began
    return Measurement(work.passes * load.texts, seconds, work.latencies, dict(work.statuses), _cpu_s() - cpu_before)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


class _Work:
    """What the connections share: the requests still to send and the answers received."""

    def __init__(self, load: Load) -> None:
        self.began = 0.0
        self.passes = 0
        self.latencies: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.requests = self._requests(load)

    def _requests(self, load: Load) -> Iterator[bytes]:
        while not self.passes or perf_counter() - self.began < load.least_s:
            self.passes += 1
            yield from load.requests


class _Connection(asyncio.Protocol):
    """One connection: sends, waits for the whole answer, sends again."""

    def __init__(self, work: _Work) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._work = work
        self._sent = 0.0
        self._received = b""
        self._expected = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def send(self) -> None:
        request = next(self._work.requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._received, self._expected = b"", 0
        self._sent = perf_counter()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self._expected:
            end = self._received.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._received, 0, end + 2)
            assert length is not None, "an answer without a length"
            self._expected = end + 4 + int(length[1])
        if len(self._received) >= self._expected:
            self._work.latencies.append(perf_counter() - self._sent)
            self._work.statuses[int(self._received[_STATUS])] += 1
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionResetError("closed before the answer"))
