"""Files that nobody but their owner may read, made whole or not at all."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def make_private_folder(folder: Path) -> None:
    """Make *folder* with mode 0700. One that exists keeps its mode: it may be shared on purpose, and the files in it are 0600."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def make_private_file(path: Path) -> None:
    """Make an empty file with mode 0600 unless there is one, which is not even opened.

    For closing any descriptor of a file drops all POSIX locks that this process has on it, those of SQLite included.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return
    _sync_folder(path.parent)


def write_private_file(path: Path, content: bytes) -> None:
    """Make or replace *path* with mode 0600, on disk when this returns. To be called under :func:`locked`.

    It is written beside its place and moved there: a crash leaves no half file under its name, only one that the next call removes.
    """
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _sync_folder(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold *folder* against other processes and threads that prepare it too; the lock ends with the process at the latest."""
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def only_server(folder: Path) -> Iterator[None]:
    """Hold *folder* as the only server on it, whose other processes and the command line may use it too; the lock ends with the process.

    Raises
    ------
    BlockingIOError
        Another server has it.
    """
    make_private_folder(folder)
    descriptor = os.open(folder / "serving", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    # A new name is lost with the power, however well its content was synced, unless its folder is synced too.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
