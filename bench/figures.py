"""From measurements to figures: what is kept in ``results/latest.json`` and printed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench.measure import Figure, Rounds, figure, ratio
from bench.process import Machine
from bench.rounds import BATCH_TEXTS, CONNECTIONS

BAR, BAR_CONNECTIONS = 0.70, 16
"""What share of the session's throughput the server must keep, and with how many connections."""


@dataclass(frozen=True, slots=True)
class Speed:
    """One row.

    Attributes
    ----------
    per_s
        Messages a second.
    p50_ms, p99_ms
        Latency of one call or request, in milliseconds.
    client_cpu
        Cores that the load generator took; 0 where there was none.
    server_cpu_ms
        Processor time of the server for one message, model included; 0 where there was no server.
    """

    per_s: Figure
    p50_ms: Figure
    p99_ms: Figure
    client_cpu: float
    server_cpu_ms: float

    @classmethod
    def of(cls, rounds: Rounds) -> "Speed":
        return cls(
            figure(rounds, lambda m: m.per_s),
            figure(rounds, lambda m: m.latency_ms(50)),
            figure(rounds, lambda m: m.latency_ms(99)),
            figure(rounds, lambda m: m.client_cpu_s / m.seconds).median,
            figure(rounds, lambda m: m.server_cpu_s / m.texts * 1e3).median,
        )


@dataclass(frozen=True, slots=True)
class Kept:
    """How much of the session's throughput arrives over HTTP, as a ratio in each round.

    Attributes
    ----------
    arrival
        Against batches as large as the number of connections, in order of arrival: what a server can know.
    by_length
        Against the same batches when all texts are known beforehand and those of like length go together.
    best
        Against whichever way was the fastest to read the texts without HTTP, the engine's own included: no server can be faster.
    """

    arrival: Figure
    by_length: Figure
    best: Figure


@dataclass(frozen=True, slots=True)
class Texts:
    """What was read."""

    count: int
    tokens_mean: float
    tokens_max: int


@dataclass(frozen=True, slots=True)
class Start:
    """Seconds from the start of the process to the first reading.

    Attributes
    ----------
    first
        When Python has compiled none of the modules yet.
    again
        At any later time.
    """

    first: float
    again: Figure


@dataclass(frozen=True, slots=True)
class Memory:
    """Resident memory of the server, in MiB: when it had given its first reading, after everything, and at most."""

    loaded: float
    after: float
    peak: float


@dataclass(frozen=True, slots=True)
class Report:
    """All figures of one run."""

    command: str
    date: str
    machine: Machine
    model: str
    texts: Texts
    rounds: int
    speeds: dict[str, Speed]
    kept: dict[str, Kept]
    start_s: Start
    memory_mib: Memory
    statuses: dict[str, int]
    """How often each HTTP status came in all measurements."""


def texts(tokens: Sequence[int]) -> Texts:
    return Texts(len(tokens), round(sum(tokens) / len(tokens), 1), max(tokens))


def speeds(measured: Mapping[str, Rounds]) -> dict[str, Speed]:
    return {name: Speed.of(measured[name]) for name in names()}


def names() -> list[str]:
    """Name the rows in the order in which people read them."""
    batches = [n for n in CONNECTIONS if n > 1]
    return [
        *(f"session {n}" for n in CONNECTIONS),
        *(f"session {n} sorted" for n in batches),
        *(f"engine {n}" for n in batches),
        *(f"http {n}" for n in CONNECTIONS),
        f"batch {BATCH_TEXTS}",
    ]


def kept(measured: Mapping[str, Rounds]) -> dict[str, Kept]:
    without_http = [rounds for name, rounds in measured.items() if name.startswith(("session", "engine"))]
    # Chosen by its median: the best of each single round would be the luckiest one.
    fastest = max(without_http, key=lambda rounds: figure(rounds, lambda m: m.per_s).median)
    found = {}
    for n in CONNECTIONS:
        arrival = measured[f"session {n}"]
        by_length = measured.get(f"session {n} sorted", arrival)
        http = measured[f"http {n}"]
        found[f"http {n}"] = Kept(ratio(http, arrival), ratio(http, by_length), ratio(http, fastest))
    return found


def statuses(measured: Mapping[str, Rounds]) -> dict[str, int]:
    total: Counter[str] = Counter()
    for rounds in measured.values():
        for m in rounds:
            total.update({str(status): count for status, count in m.statuses.items()})
    return dict(total)
