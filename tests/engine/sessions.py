"""Sessions that fail, block or count: what happens to a batch cannot be arranged with the real model."""

from collections.abc import Sequence
from threading import Event

import numpy as np

from kaiko_server.engine.layout import Layout
from kaiko_server.engine.model import ALARM, GO, Thresholds
from kaiko_server.engine.scores import COLUMNS, Output


class FakeSession:
    """Reads every text as four tokens and everything as calm, and remembers what it ran."""

    version = "fake"
    thresholds = Thresholds(go=(0.5,) * len(GO), crisis=0.5)

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.started = Event()
        self._ids: dict[int, str] = {}

    def encode(self, texts: Sequence[str]) -> list[list[list[int]]]:
        return [[self._number(text)] for text in texts]

    def _number(self, text: str) -> list[int]:
        self._ids[len(self._ids)] = text
        return [len(self._ids) - 1] * 4

    def layout(self, text: str) -> Layout:
        return Layout(text, [0, 0], [(0, 2)])

    def run(self, rows: Sequence[Sequence[int]]) -> list[Output]:
        self.batches.append([self._ids[row[0]] for row in rows])
        self.started.set()
        return [Output(np.zeros(COLUMNS, np.float32), np.zeros((len(row) - 2, ALARM + 1), np.float32)) for row in rows]

    @property
    def ran(self) -> list[str]:
        """Every text that was run, in order."""
        return [text for batch in self.batches for text in batch]


class GatedSession(FakeSession):
    """Holds each batch until it is let through."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = Event()

    def run(self, rows: Sequence[Sequence[int]]) -> list[Output]:
        output = super().run(rows)
        self.gate.wait()
        return output


class RaisingSession(GatedSession):
    """Raises what it is given for a batch that holds the text "poison"."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def run(self, rows: Sequence[Sequence[int]]) -> list[Output]:
        output = super().run(rows)
        if "poison" in self.batches[-1]:
            raise self.error
        return output


class UnreadableSession(FakeSession):
    """Cannot tokenize the text "poison"."""

    def encode(self, texts: Sequence[str]) -> list[list[list[int]]]:
        if "poison" in texts:
            raise ValueError
        return super().encode(texts)
