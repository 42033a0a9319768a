"""Which measurements are made, and in which order."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context

from bench import client, process
from bench.client import Load
from bench.measure import Measurement
from bench.raw import Raw
from bench.server import ANALYSIS, BATCH, Server

CONNECTIONS = (1, 16, 64)
BATCH_TEXTS = 100
"""As many as one request may hold."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured.

    Attributes
    ----------
    texts
        Size of the sample that every measurement reads.
    rounds
        How often each measurement is made.
    starts
        How often the server is started again after its first start.
    least_s
        Seconds that one measurement lasts at least.
    """

    texts: int
    rounds: int
    starts: int
    least_s: float


FULL = Plan(texts=800, rounds=7, starts=3, least_s=1.0)
QUICK = Plan(texts=BATCH_TEXTS, rounds=2, starts=1, least_s=0.0)


@contextmanager
def client_process() -> Iterator[Executor]:
    """Give a process of its own for :func:`bench.client.run`."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield pool


def send(pool: Executor, server: Server, load: Load) -> Measurement:
    """Have *load* sent, and see what the server took for it."""
    before = process.cpu_s(server.pid)
    sent = pool.submit(client.run, load).result()
    return replace(sent, server_cpu_s=process.cpu_s(server.pid) - before)


@dataclass(frozen=True, slots=True)
class Bench:
    """Everything that a measurement needs."""

    plan: Plan
    texts: Sequence[str]
    raw: Raw
    server: Server
    pool: Executor

    def steps(self) -> dict[str, Callable[[], Measurement]]:
        """Name the measurements; those that are set against each other stand next to each other."""
        steps: dict[str, Callable[[], Measurement]] = {}
        for n in CONNECTIONS:
            steps[f"session {n}"] = partial(self.raw.session, n, by_length=False)
            steps[f"http {n}"] = partial(self._http, n)
            if n > 1:
                steps[f"session {n} sorted"] = partial(self.raw.session, n, by_length=True)
                steps[f"engine {n}"] = partial(self.raw.engine, n)
        steps[f"batch {BATCH_TEXTS}"] = self._batch
        return steps

    def rounds(self) -> Iterator[tuple[str, Measurement]]:
        """Make every measurement once a round, there and back, so that a drift of the machine meets all alike."""
        steps = list(self.steps().items())
        self.raw.session(16, by_length=False)
        self._http(16)
        for number in range(self.plan.rounds):
            for name, measure in steps if number % 2 == 0 else reversed(steps):
                yield name, measure()

    def _http(self, connections: int) -> Measurement:
        requests = [client.post(ANALYSIS, self.server.key, [text]) for text in self.texts]
        return send(self.pool, self.server, self._load(requests, connections))

    def _batch(self) -> Measurement:
        parts = [self.texts[i : i + BATCH_TEXTS] for i in range(0, len(self.texts), BATCH_TEXTS)]
        return send(self.pool, self.server, self._load([client.post(BATCH, self.server.key, part) for part in parts], 1))

    def _load(self, requests: Sequence[bytes], connections: int) -> Load:
        return Load(self.server.port, requests, len(self.texts), connections, self.plan.least_s)


def collect(measured: Iterator[tuple[str, Measurement]]) -> dict[str, list[Measurement]]:
    """Put the rounds of each measurement together, in the order in which they were made."""
    found: dict[str, list[Measurement]] = defaultdict(list)
    for name, measurement in measured:
        found[name].append(measurement)
    return found
