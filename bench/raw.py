"""The limit: the network alone, its input made ready beforehand, on the texts that the server gets."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime  # type: ignore[import-untyped] # it ships no types
from numpy.typing import NDArray

import kaiko_server.engine.onnx
from bench.measure import Measurement
from kaiko_server.engine.onnx import OnnxSession

_GRAPH = Path(kaiko_server.engine.onnx.__file__).with_name("weights") / "model.onnx"
_TRIAL, _TRIALS = 96, 5
"""Texts and turns for choosing the fastest session."""

_Feed = dict[str, NDArray[np.int64]]
_Call = Callable[[], object]


class Raw:
    """The network without a server, by the same weights.

    Parameters
    ----------
    texts
        What to read.
    least_s
        Seconds that a measurement lasts at least; it always ends with the last of *texts*.
    """

    def __init__(self, texts: Sequence[str], least_s: float) -> None:
        self._engine = OnnxSession.load(threads=0)
        self._texts = texts
        self._least_s = least_s
        self._rows = [windows[0] for windows in self._engine.encode(texts)]
        self._session = self._fastest_session()

    @property
    def version(self) -> str:
        return self._engine.version

    @property
    def tokens(self) -> list[int]:
        """How many tokens each text has."""
        return [len(row) for row in self._rows]

    def _fastest_session(self) -> onnxruntime.InferenceSession:
        """Choose whether waiting threads spin: quicker where the machine is quiet, far slower where it is not.

        A limit must not share the settings, and so perhaps the mistakes, of what it limits.
        """
        sessions = [_session(spinning=spinning) for spinning in (False, True)]
        feeds = _feeds(self._rows[:_TRIAL], 16)
        speeds = [[_measure([partial(s.run, ["scores"], f) for f in feeds], _TRIAL, 0.0).per_s for s in sessions] for _ in range(_TRIALS)]
        best = [max(of_one) for of_one in zip(*speeds, strict=True)]
        return sessions[best.index(max(best))]

    def session(self, batch: int, *, by_length: bool) -> Measurement:
        """Run onnxruntime alone, *batch* texts a call, in order of arrival or those of like length together."""
        rows = sorted(self._rows, key=len) if by_length else self._rows
        return self._measure([partial(self._session.run, ["scores"], feed) for feed in _feeds(rows, batch)])

    def engine(self, batch: int) -> Measurement:
        """Read *batch* texts a call with the server's engine: normalise, tokenise, run, name the scores."""
        parts = [self._texts[i : i + batch] for i in range(0, len(self._texts), batch)]
        return self._measure([partial(self._engine.predict, part) for part in parts])

    def _measure(self, calls: Sequence[_Call]) -> Measurement:
        return _measure(calls, len(self._texts), self._least_s)


def _session(*, spinning: bool) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", str(int(spinning)))
    return onnxruntime.InferenceSession(str(_GRAPH), options, providers=["CPUExecutionProvider"])


def _feeds(rows: Sequence[Sequence[int]], batch: int) -> list[_Feed]:
    return [_feed(rows[i : i + batch]) for i in range(0, len(rows), batch)]


def _feed(rows: Sequence[Sequence[int]]) -> _Feed:
    ids = np.zeros((len(rows), max(map(len, rows))), np.int64)
    mask = np.zeros_like(ids)
    for at, row in enumerate(rows):
        ids[at, : len(row)] = row
        mask[at, : len(row)] = 1
    return {"ids": ids, "mask": mask}


def _measure(calls: Sequence[_Call], texts: int, least_s: float) -> Measurement:
    """Make all *calls*, which read so many *texts*, again and again for *least_s* seconds; once at least."""
    latencies: list[float] = []
    began = now = perf_counter()
    passes = 0
    while not passes or now - began < least_s:
        for call in calls:
            before = now
            call()
            now = perf_counter()
            latencies.append(now - before)
        passes += 1
    return Measurement(passes * texts, now - began, latencies)
