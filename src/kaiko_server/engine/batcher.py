"""Many callers, one model: permit at the door, queue, batches by free capacity, a thread a core, futures.

There is no timer. Whenever a thread is free it takes what waits, up to a number of tokens, so that a lone message
starts at once and a crowd keeps every core busy. The reasons and the figures: docs/decisions/0005-engine-batching.md.
"""

import asyncio
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from time import perf_counter
from typing import Protocol

from kaiko_server.engine.layout import Layout
from kaiko_server.engine.model import Model, ModelOverloadedError, ModelUnavailableError, Scores, Thresholds, Timing
from kaiko_server.engine.scores import Output, reading

_CLOSED = "closed"
_PADDED_TO = 16
"""A row counts as if padded so far: the session runs rows of like length together, and pads them by less on average."""


class Session(Protocol):
    """What runs on the threads, on several at once; the real one is :class:`kaiko_server.engine.onnx.OnnxSession`."""

    version: str
    thresholds: Thresholds

    def encode(self, texts: Sequence[str]) -> list[list[list[int]]]:
        """Give each text's windows as token ids."""

    def layout(self, text: str) -> Layout:
        """Say where in *text* its tokens and windows are."""

    def run(self, rows: Sequence[Sequence[int]]) -> Sequence[Output]:
        """Give what the network says of each row of token ids."""


class Batcher:
    """The :class:`~kaiko_server.engine.model.Model` that the server uses.

    Parameters
    ----------
    session
        Reads the texts.
    queue_texts
        Texts accepted and not yet answered, at most.
    batch_tokens
        Tokens that one batch holds at most, padding counted; a single window always fits.
    threads
        How many batches run at once.
    """

    def __init__(self, session: Session, *, queue_texts: int, batch_tokens: int, threads: int = 1) -> None:
        self._session = session
        self._queue_texts = queue_texts
        self._worker = _Worker(session, batch_tokens)
        self._threads: list[Thread] = []
        self._wanted = threads
        self._running = 0
        self._gone = asyncio.Event()
        self._open = False
        self._calls: set[_Call] = set()
        self._waiting = 0

    @property
    def version(self) -> str:
        return self._session.version

    @property
    def thresholds(self) -> Thresholds:
        return self._session.thresholds

    @property
    def ready(self) -> bool:
        return self._open and all(thread.is_alive() for thread in self._threads)

    @property
    def waiting(self) -> int:
        """Texts accepted and not yet answered."""
        return self._waiting

    def start(self) -> None:
        """Start the threads; call it once, in the event loop that will call :meth:`predict`."""
        self._open = True
        self._running = self._wanted
        loop = asyncio.get_running_loop()
        self._threads = [Thread(target=self._live, args=(loop,), name=f"kaiko-model-{n}", daemon=True) for n in range(self._wanted)]
        for thread in self._threads:
            thread.start()

    async def close(self) -> None:
        """Let the batches that are running end, fail what waits, and end the threads."""
        if not self._threads:
            return
        self._open = False
        self._worker.stop()
        await self._gone.wait()
        for thread in self._threads:
            thread.join()

    async def layout(self, text: str) -> Layout:
        """Say where in *text* its tokens and windows are, off the event loop: a long text takes milliseconds."""
        return await asyncio.to_thread(self._session.layout, text)

    async def predict(self, texts: Sequence[str]) -> list[Scores]:
        """Read *texts*, in order; see :class:`~kaiko_server.engine.model.Model` for the errors."""
        scores, _ = await self.predict_timed(texts)
        return scores

    async def predict_timed(self, texts: Sequence[str]) -> tuple[list[Scores], Timing]:
        """Do as :meth:`predict`, and say how long it waited and how long it ran."""
        self.must_have_room(texts)
        return await self.ask(texts)

    def must_have_room(self, texts: Sequence[str]) -> None:
        """Refuse what the queue cannot hold."""
        self._must_be_ready()
        if self._waiting + len(texts) > self._queue_texts:
            raise ModelOverloadedError

    async def again(self, texts: Sequence[str]) -> list[Scores]:
        """Read more *texts* for a request that was let in; see :class:`~kaiko_server.engine.model.Model`."""
        self._must_be_ready()
        scores, _ = await self.ask(texts)
        return scores

    def by_itself(self) -> "Model":
        """Give this model for a request whose texts share no batch with others'."""
        return _ByItself(self)

    def _must_be_ready(self) -> None:
        if not self.ready:
            message = "the model is not running"
            raise ModelUnavailableError(message)

    async def ask(self, texts: Sequence[str], *, alone: bool = False) -> tuple[list[Scores], Timing]:
        """Queue *texts*, and wait for them; *alone* they share no batch with those of others."""
        if not texts:
            return [], Timing(0.0, 0.0)
        call = _Call(texts, asyncio.get_running_loop().create_future(), alone=alone)
        self._calls.add(call)
        self._waiting += len(texts)
        self._worker.inbox.put(call)
        try:
            return await call.future
        finally:
            # Of a caller who has gone, whatever did not run yet is never run.
            call.over = True
            self._calls.discard(call)
            self._waiting -= len(texts)

    def _live(self, loop: asyncio.AbstractEventLoop) -> None:
        # A loop that is closed has nobody left who waits.
        with suppress(RuntimeError):
            try:
                while (done := self._worker.turn()) is not None:
                    if done:
                        loop.call_soon_threadsafe(_deliver, done)
                reason = _CLOSED
            except BaseException as error:  # noqa: BLE001 - printed as a traceback it might show a text
                reason = type(error).__name__
            loop.call_soon_threadsafe(self._ended, reason)

    def _ended(self, reason: str) -> None:
        """Whatever ended a thread, nobody waits for it for ever, and the others end too: what is half dead is told to be dead."""
        self._open = False
        self._worker.stop()
        self._running -= 1
        if reason != _CLOSED or not self._running:  # told to close, the others may still be running what was asked for
            for call in self._calls:
                call.fail(f"the model's thread has ended: {reason}")
            _deliver(self._calls)
        if not self._running:
            self._gone.set()


class _ByItself:
    """A :class:`Batcher` for one request; see :meth:`Batcher.by_itself`."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    @property
    def version(self) -> str:
        return self._batcher.version

    @property
    def thresholds(self) -> Thresholds:
        return self._batcher.thresholds

    @property
    def ready(self) -> bool:
        return self._batcher.ready

    async def layout(self, text: str) -> Layout:
        return await self._batcher.layout(text)

    async def predict(self, texts: Sequence[str]) -> list[Scores]:
        scores, _ = await self.predict_timed(texts)
        return scores

    async def predict_timed(self, texts: Sequence[str]) -> tuple[list[Scores], Timing]:
        self._batcher.must_have_room(texts)
        return await self._batcher.ask(texts, alone=True)

    async def again(self, texts: Sequence[str]) -> list[Scores]:
        self._batcher.must_have_room(())
        scores, _ = await self._batcher.ask(texts, alone=True)
        return scores

    def by_itself(self) -> Model:
        return self


def _deliver(calls: Iterable["_Call"]) -> None:
    for call in calls:
        if call.future.done():
            continue
        if call.error is not None:
            call.future.set_exception(call.error)
        else:
            call.future.set_result((call.scores, call.timing))


class _Call:
    """The texts of one :meth:`Batcher.predict` on their way."""

    def __init__(self, texts: Sequence[str], future: "asyncio.Future[tuple[list[Scores], Timing]]", *, alone: bool) -> None:
        self.texts = texts
        self.alone = alone
        self.future = future
        self.over = False
        self.error: ModelUnavailableError | None = None
        self.scores: list[Scores] = [None] * len(texts)  # type: ignore[list-item]
        self.timing = Timing(0.0, 0.0)
        self._left = len(texts)
        self._accepted = perf_counter()
        self._inference_s = 0.0
        self._rows: Iterator[_Row] | None = None
        self._head: _Row | None = None

    def head(self, session: Session) -> "_Row | None":
        """Give the row that is next, tokenizing one text more when needed; None after the last."""
        if self._rows is None:
            self._rows = _rows(self, session)
        if self._head is None:
            self._head = next(self._rows, None)
        return self._head

    def take(self) -> None:
        """Have the head in a batch, so that another is next."""
        self._head = None

    def ran(self, seconds: float) -> None:
        self._inference_s += seconds

    def answer(self, index: int, scores: Scores) -> bool:
        """Keep the reading of one text; True with the last of them."""
        self.scores[index] = scores
        self._left -= 1
        if self._left:
            return False
        self.over = True
        self.timing = Timing(max(0.0, perf_counter() - self._accepted - self._inference_s), self._inference_s)
        return True

    def fail(self, message: str) -> None:
        if self.error is None and not (self.over and not self._left):
            self.error = ModelUnavailableError(message)
        self.over = True


class _Text:
    """One text, until the last of its windows was run."""

    def __init__(self, call: _Call, index: int, windows: Sequence[Sequence[int]]) -> None:
        self.call = call
        self._index = index
        self._lengths = [len(ids) for ids in windows]
        self._outputs: dict[int, Output] = {}

    def hear(self, place: int, output: Output) -> bool:
        """Take the scores of one window; True when with them the call is answered."""
        self._outputs[place] = output
        if len(self._outputs) < len(self._lengths):
            return False
        return self.call.answer(self._index, reading([self._outputs[i] for i in range(len(self._lengths))], self._lengths))


class _Row:
    """One window, as it goes into a batch."""

    __slots__ = ("ids", "place", "text")

    def __init__(self, text: _Text, place: int, ids: Sequence[int]) -> None:
        self.text = text
        self.place = place
        self.ids = ids


def _rows(call: _Call, session: Session) -> Iterator[_Row]:
    for index, text in enumerate(call.texts):
        windows = session.encode([text])[0]
        whole = _Text(call, index, windows)
        for place, ids in enumerate(windows):
            yield _Row(whole, place, ids)


class _Worker:
    """What the threads do, turn by turn.

    One thread at a time waits for work and takes it, the others run what they have taken or wait to be the next. What a call
    has heard so far is kept under a second lock, which is never held while waiting.
    """

    def __init__(self, session: Session, batch_tokens: int) -> None:
        self.inbox: SimpleQueue[_Call | None] = SimpleQueue()
        self._taking = Lock()
        self._hearing = Lock()
        self._session = session
        self._batch_tokens = batch_tokens
        self._ring: deque[_Call] = deque()

    def turn(self) -> list[_Call] | None:
        """Wait for work, run one batch, and give the calls that it ended; None when told to stop."""
        failed: list[_Call] = []
        with self._taking:
            if not self._admit():
                return None
            rows = self._batch(failed)
        return failed + self._run(rows) if rows else failed

    def stop(self) -> None:
        """Have every thread end once it has run what it has taken."""
        self.inbox.put(None)

    def _admit(self) -> bool:
        with suppress(Empty):
            while True:
                call = self.inbox.get(block=not self._ring)
                if call is None:
                    self.inbox.put(None)  # for the other threads
                    return False
                self._ring.append(call)
        return True

    def _batch(self, failed: list[_Call]) -> list[_Row]:
        """Take one row of each call in turn, so that a call of a hundred texts delays a call of one by one row."""
        rows: list[_Row] = []
        tokens = 0
        while self._ring:
            call = self._ring.popleft()
            if call.over:
                continue
            try:
                row = call.head(self._session)
            except Exception as error:  # noqa: BLE001 - a text that cannot be tokenized fails its own call alone
                with self._hearing:
                    call.fail(f"a text could not be tokenized: {type(error).__name__}")
                failed.append(call)
                continue
            if row is None:
                continue
            if rows and (call.alone or rows[0].text.call.alone) and rows[0].text.call is not call:
                self._ring.appendleft(call)
                break
            tokens += -(-len(row.ids) // _PADDED_TO) * _PADDED_TO
            if rows and tokens > self._batch_tokens:
                (self._ring.append if call.alone else self._ring.appendleft)(call)
                break
            call.take()
            rows.append(row)
            # A call by itself goes on with its own rows: which of them share a batch depends on nothing else.
            (self._ring.appendleft if call.alone else self._ring.append)(call)
        return rows

    def _run(self, rows: list[_Row]) -> list[_Call]:
        calls = {row.text.call: None for row in rows}
        began = perf_counter()
        try:
            outputs = self._session.run([row.ids for row in rows])
            seconds = perf_counter() - began
            with self._hearing:
                for call in calls:
                    call.ran(seconds)
                return [row.text.call for row, output in zip(rows, outputs, strict=True) if row.text.hear(row.place, output)]
        except Exception as error:  # noqa: BLE001 - the batch is lost, the thread is not
            with self._hearing:
                for call in calls:
                    call.fail(f"a batch failed: {type(error).__name__}")
            return list(calls)
