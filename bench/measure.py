"""What one measurement is, and how several become one figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles


@dataclass(frozen=True, slots=True)
class Measurement:
    """One uninterrupted stretch of work.

    Attributes
    ----------
    texts
        How many were read.
    seconds
        From the first request sent to the last answer received.
    latencies_s
        Of each call or request.
    statuses
        How often each HTTP status came; empty where there was no HTTP.
    client_cpu_s, server_cpu_s
        Processor time that the load generator and the server took; 0 where there was none.
    """

    texts: int
    seconds: float
    latencies_s: Sequence[float]
    statuses: dict[int, int] = field(default_factory=dict)
    client_cpu_s: float = 0.0
    server_cpu_s: float = 0.0

    @property
    def per_s(self) -> float:
        return self.texts / self.seconds

    def latency_ms(self, percentile: int) -> float:
        """Give the latency, in milliseconds, that *percentile* (1..99) of a hundred calls stay below."""
        if len(self.latencies_s) == 1:
            return self.latencies_s[0] * 1e3
        return quantiles(self.latencies_s, n=100, method="inclusive")[percentile - 1] * 1e3


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of the rounds, and how far they lay apart."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Figure":
        return cls(median(values), min(values), max(values))


Rounds = Sequence[Measurement]


def figure(rounds: Rounds, value: Callable[[Measurement], float]) -> Figure:
    return Figure.of([value(m) for m in rounds])


def ratio(of: Rounds, to: Rounds) -> Figure:
    """Set the throughput of each round against that of the same round: neighbours in time share the machine's noise."""
    return Figure.of([a.per_s / b.per_s for a, b in zip(of, to, strict=True)])
