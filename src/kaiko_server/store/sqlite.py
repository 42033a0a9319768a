"""SQLite: one thread writes, committing many writes at once; a few read beside it. The reasons are in decision 0003."""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import apsw

from kaiko_server.store import migrations
from kaiko_server.store.db import Connection, ConstraintError, Row, SchemaError, StoreError, UnavailableError, to_micros
from kaiko_server.store.files import locked, make_private_file, make_private_folder

T = TypeVar("T")

FILE_NAME = "kaiko.db"
_READERS = 4
_GROUP = 256
"""Writes that one transaction takes at most, so that another process gets its turn and the first in a group its answer."""
_BUSY_TIMEOUT_S = 10.0
"""How long to wait while another process writes; long enough for any group, short of the request's time limit."""

_UNAVAILABLE = (
    apsw.BusyError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.FullError,
    apsw.IOError,
    apsw.NoMemError,
    apsw.NotADBError,
    apsw.PermissionsError,
    apsw.ReadOnlyError,
)


def _translate(error: apsw.Error) -> StoreError:
    if isinstance(error, apsw.ConstraintError):
        return ConstraintError(str(error))
    if isinstance(error, _UNAVAILABLE):
        return UnavailableError(str(error))
    return StoreError(str(error))


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        raise _translate(error) from error


class _Connection:
    """One apsw connection as :class:`~kaiko_server.store.db.Connection`; used by one thread at a time, never suspends."""

    def __init__(self, raw: apsw.Connection) -> None:
        self._raw = raw
        self.failed: StoreError | None = None

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        return self._run(sql, args)

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        rows = self._run(sql, args)
        return rows[0] if rows else None

    async def execute(self, sql: str, *args: object) -> int:
        self._run(sql, args)
        return self._raw.changes()

    def _run(self, sql: str, args: tuple[Any, ...]) -> list[Row]:
        if self.failed is not None:
            raise self.failed
        try:
            return self._statement(sql, args)
        except StoreError as error:
            self.failed = error
            raise

    def _statement(self, sql: str, args: tuple[Any, ...]) -> list[Row]:
        # A full disk can roll back the whole transaction; a statement after that would commit on its own.
        if not self._raw.in_transaction:
            message = "the transaction is over"
            raise UnavailableError(message)
        # To SQLite "$2" is a name, not a place: binding by name makes it mean the second argument, as on PostgreSQL.
        bindings = {str(place): value for place, value in enumerate(args, 1)}
        with _translated():
            cursor = self._raw.execute(sql, bindings)
            try:
                names = [column[0] for column in cursor.get_description()]
            except apsw.ExecutionCompleteError:
                return []
            return [dict(zip(names, values, strict=True)) for values in cursor]


def _drive(fn: Callable[[Connection], Awaitable[T]], connection: Connection) -> T:
    """Run *fn* to its end in this thread; its connection never suspends, and nothing else may be awaited."""
    steps = fn(connection).__await__()
    try:
        next(steps)
    except StopIteration as end:
        result: T = end.value
        return result
    close = getattr(steps, "close", None)
    if close is not None:
        close()
    message = "a function given to read() or write() may await nothing but its connection"
    raise RuntimeError(message)


@dataclass(slots=True)
class _Write:
    fn: Callable[[Connection], Awaitable[Any]]
    future: "Future[Any]"
    result: object = None


class _Savepoint:
    """What one write of a group runs in: when it raises, it alone is undone, its caller is told, and the group goes on."""

    def __init__(self, raw: apsw.Connection, write: _Write) -> None:
        self._raw = raw
        self._write = write

    def __enter__(self) -> None:
        self._raw.execute("SAVEPOINT member")

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None) -> bool:
        if error is not None and self._raw.in_transaction:
            self._raw.execute("ROLLBACK TO member")
        if self._raw.in_transaction:
            self._raw.execute("RELEASE member")
        if error is not None:
            self._write.future.set_exception(error)
        return isinstance(error, Exception)


class _Writer:
    """The only thread that writes. What is queued while it commits is the next group: no timer, no wait when idle."""

    def __init__(self, raw: apsw.Connection) -> None:
        self.commits = 0
        self._raw = raw
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._door = threading.Lock()
        self._open = True
        # A daemon: a process that ends without close() must not hang; what it has acknowledged is committed.
        self._thread = threading.Thread(target=self._run, name="kaiko-writer", daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[[Connection], Awaitable[T]]) -> "Future[T]":
        future: Future[T] = Future()
        with self._door:
            if not self._open:
                raise _closed()
            self._queue.put(_Write(fn, future))
        return future

    def close(self) -> None:
        """Let the queue run empty, then end the thread and close its connection."""
        with self._door:
            if self._open:
                self._open = False
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while group := self._take():
                while group:
                    self._commit(group)
        finally:
            self._fail_the_rest()
            self._raw.close()

    def _take(self) -> deque[_Write]:
        """Wait for a write and take with it all that are there; nothing when it is time to end."""
        group: deque[_Write] = deque()
        item = self._queue.get()
        while item is not None:
            group.append(item)
            if len(group) == _GROUP or self._queue.empty():
                return group
            item = self._queue.get()
        if group:
            self._queue.put(None)
        return group

    def _commit(self, group: deque[_Write]) -> None:
        """Take writes from *group*, commit them in one transaction, then tell their callers.

        All are taken, unless one of them loses the whole transaction (disk full): then those after it are left for another.
        """
        members: list[_Write] = []
        failure: StoreError | None = UnavailableError("the writer stopped")
        try:
            self._transact(group, members)
            failure = None
        except apsw.Error as error:
            failure = _translate(error)
            if self._raw.in_transaction:
                self._raw.execute("ROLLBACK")
        except UnavailableError as error:
            failure = error
        finally:
            _settle(members, failure)

    def _transact(self, group: deque[_Write], members: list[_Write]) -> None:
        try:
            self._raw.execute("BEGIN IMMEDIATE")
        except apsw.Error:
            members.extend(write for write in group if write.future.set_running_or_notify_cancel())
            group.clear()
            raise
        while group and self._raw.in_transaction:
            write = group.popleft()
            if write.future.set_running_or_notify_cancel():
                members.append(write)
                with _Savepoint(self._raw, write):
                    connection = _Connection(self._raw)
                    write.result = _drive(write.fn, connection)
                    if connection.failed is not None:
                        raise connection.failed
        if not self._raw.in_transaction:
            message = "undone together with another write that found the disk full or failing"
            raise UnavailableError(message)
        self._raw.execute("COMMIT")
        self.commits += 1

    def _fail_the_rest(self) -> None:
        with self._door:
            self._open = False
        while not self._queue.empty():
            write = self._queue.get()
            if write is not None and write.future.set_running_or_notify_cancel():
                write.future.set_exception(_closed())


def _settle(members: list[_Write], failure: StoreError | None) -> None:
    for write in members:
        if write.future.done():
            continue
        if failure is None:
            write.future.set_result(write.result)
        else:
            write.future.set_exception(type(failure)(*failure.args))


def _closed() -> UnavailableError:
    return UnavailableError("the database is closed")


class SqliteDatabase:
    """A :class:`~kaiko_server.store.db.Database` in one file of the data directory; several processes may hold it open."""

    def __init__(self, writer: _Writer, readers: list[apsw.Connection]) -> None:
        self._writer = writer
        self._readers = readers
        self._idle: queue.SimpleQueue[apsw.Connection] = queue.SimpleQueue()
        for reader in readers:
            self._idle.put(reader)
        self._threads = ThreadPoolExecutor(len(readers), thread_name_prefix="kaiko-reader")
        self._open = True

    @classmethod
    async def open(cls, data_dir: Path, *, busy_timeout_s: float = _BUSY_TIMEOUT_S) -> "SqliteDatabase":
        """Make what is missing (folder 0700, files 0600, schema) and open the database.

        A write that finds another process writing waits *busy_timeout_s* seconds at most.

        Raises
        ------
        SchemaError
            The database is newer than the code, or its history differs.
        UnavailableError
            The file cannot be opened or is no database.
        """
        return await asyncio.to_thread(cls._open_now, data_dir, busy_timeout_s)

    @classmethod
    def _open_now(cls, data_dir: Path, busy_timeout_s: float) -> "SqliteDatabase":
        path = data_dir / FILE_NAME
        with _told(path):
            make_private_folder(data_dir)
            with ExitStack() as opened:
                # Two processes that turn a new file to WAL at once can find it locked without the busy timeout being asked.
                with locked(data_dir):
                    make_private_file(path)
                    writer = opened.enter_context(closing(_connect(path, busy_timeout_s)))
                    _migrate(writer)
                readers = [opened.enter_context(closing(_connect(path, busy_timeout_s, reader=True))) for _ in range(_READERS)]
                opened.pop_all()  # all went well: they stay open
        return cls(_Writer(writer), readers)

    @property
    def commits(self) -> int:
        """Transactions that writes were committed in since opening; fewer than the writes, under load."""
        return self._writer.commits

    async def read(self, fn: Callable[[Connection], Awaitable[T]]) -> T:
        if not self._open:
            raise _closed()
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(self._read_now, fn))

    def _read_now(self, fn: Callable[[Connection], Awaitable[T]]) -> T:
        raw = self._idle.get()  # as many connections as threads: there is always one
        try:
            with _translated():
                raw.execute("BEGIN")
            return _drive(fn, _Connection(raw))
        finally:
            if raw.in_transaction:
                raw.execute("ROLLBACK")
            self._idle.put(raw)

    async def write(self, fn: Callable[[Connection], Awaitable[T]]) -> T:
        return await asyncio.wrap_future(self._writer.submit(fn))

    async def close(self) -> None:
        self._open = False
        await asyncio.to_thread(self._close_now)

    def _close_now(self) -> None:
        self._threads.shutdown()
        for reader in self._readers:
            reader.close()
        # Last, so that SQLite folds the write-ahead log into the database and removes it.
        self._writer.close()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Say which file is meant, and nothing that the message of SQLite leaves out."""
    try:
        yield
    except apsw.Error as error:
        known = _translate(error)
        message = f"{path}: {known}"
        raise type(known)(message) from error
    except SchemaError as error:
        message = f"{path}: {error}"
        raise SchemaError(message) from error
    except OSError as error:
        message = f"{path}: {error.strerror}"
        raise UnavailableError(message) from error


def _connect(path: Path, busy_timeout_s: float, *, reader: bool = False) -> apsw.Connection:
    raw = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    raw.set_busy_timeout(round(busy_timeout_s * 1000))
    # "x" is a column, never a text: as on PostgreSQL.
    raw.config(apsw.SQLITE_DBCONFIG_DQS_DML, 0)
    raw.config(apsw.SQLITE_DBCONFIG_DQS_DDL, 0)
    mode = raw.pragma("journal_mode", "wal")
    if mode != "wal":
        raw.close()
        message = f"{path}: the file system cannot hold a write-ahead log; put the data directory on a local disk"
        raise UnavailableError(message)
    raw.pragma("synchronous", "full")
    raw.pragma("fullfsync", 1)
    raw.pragma("foreign_keys", 1)
    raw.pragma("secure_delete", 1)
    raw.pragma("temp_store", "memory")
    raw.pragma("trusted_schema", 0)
    raw.transaction_mode = "DEFERRED" if reader else "IMMEDIATE"
    if reader:
        raw.pragma("query_only", 1)
    return raw


def _migrate(raw: apsw.Connection) -> None:
    """Apply what is pending, a transaction each; that it begins before looking keeps other processes from coming between."""
    known = migrations.history()
    raw.execute(migrations.HISTORY_TABLE)
    for _ in known:
        with raw:  # a transaction, IMMEDIATE as _connect said
            applied = dict(raw.execute("SELECT version, checksum FROM schema_migrations"))
            todo = migrations.pending(known, applied)
            if not todo:
                return
            step = todo[0]
            raw.execute(step.sql)
            raw.execute(
                "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES (?, ?, ?, ?)",
                (step.version, step.name, step.checksum, to_micros(datetime.now(UTC))),
            )


def compact(data_dir: Path) -> tuple[int, int]:
    """Write the database of *data_dir* anew and empty its write-ahead log, beside a server too; give the bytes before and after.

    What is deleted is overwritten at once, but older pages lie in the log until it is folded in.

    Raises
    ------
    UnavailableError
        It is not there, or other processes keep it busy for too long.
    """
    path = data_dir / FILE_NAME

    def size() -> int:
        return sum(p.stat().st_size for p in data_dir.glob(f"{FILE_NAME}*"))

    with _told(path), closing(_connect(path, _BUSY_TIMEOUT_S)) as raw:
        before = size()
        raw.pragma("temp_store", "file")  # the copy is as large as the database, too large for memory; its file has no name
        raw.execute("VACUUM")
        busy, _, _ = next(raw.execute("PRAGMA wal_checkpoint(TRUNCATE)"))
        if busy:
            message = f"{path}: other processes keep it busy; try again"
            raise UnavailableError(message)
        return before, size()


def pending_migrations(data_dir: Path) -> int:
    """Say how many migrations the database in *data_dir* lacks; nothing is changed.

    Raises
    ------
    SchemaError
        The database is newer than the code, or its history differs.
    UnavailableError
        It cannot be opened, or it is damaged.
    """
    path = data_dir / FILE_NAME
    with _told(path), closing(_connect(path, _BUSY_TIMEOUT_S, reader=True)) as raw:
        verdict = raw.pragma("quick_check", 1)
        if verdict != "ok":
            message = f"{path}: damaged: {verdict}"
            raise UnavailableError(message)
        tables = dict(raw.execute("SELECT name, type FROM sqlite_master"))
        applied = dict(raw.execute("SELECT version, checksum FROM schema_migrations")) if "schema_migrations" in tables else {}
        return len(migrations.pending(migrations.history(), applied))
