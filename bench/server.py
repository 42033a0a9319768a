"""A real server: its own process, its own port, its own data directory, and a key made by the command line."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import perf_counter, sleep
from typing import IO

_KAIKO = (sys.executable, "-c", "from kaiko_server.cli import main; main()")
"""What the ``kaiko`` command runs, found even where its folder is not on the PATH."""

_POLL_S = 0.005
_START_LIMIT_S = 120.0
_STOP_LIMIT_S = 60.0
ANALYSIS = "/v2/emotions/analysis"
BATCH = "/v2/emotions/batch-analysis"


class ServerError(RuntimeError):
    """The server did not start, or did not end as it should."""


@dataclass(frozen=True, slots=True)
class Server:
    """One that runs.

    Attributes
    ----------
    pid, port, key
        Where it is and what it takes.
    start_s
        From the start of the process to the first answer: a real reading, with everything that it needs imported and loaded.
    """

    pid: int
    port: int
    key: str
    start_s: float


_LIMITS = ("--rpm", "1000000", "--concurrent", "1000", "--tokens-per-month", "1000000000")
"""More than a benchmark can ask for, so that every limit is counted and none refuses."""


def make_key(data_dir: Path, more_environment: Mapping[str, str] | None = None) -> str:
    """Make a key as an operator does."""
    command = (*_KAIKO, "keys", "create", "--project", "bench", "--name", "bench", "--data-dir", str(data_dir), "--json", *_LIMITS)
    done = subprocess.run(command, env=_environment(more_environment or {}), capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode:
        message = f"`kaiko keys create` failed: {done.stderr.strip()}"
        raise ServerError(message)
    return str(json.loads(done.stdout)["key"])


@contextmanager
def serving(data_dir: Path, more_environment: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start a server, give it once it has answered, and let it drain afterwards.

    Raises
    ------
    ServerError
        It gave no reading within two minutes, or it ended with an exit code other than 0.
    """
    key, port = make_key(data_dir, more_environment), _free_port()
    command = (*_KAIKO, "serve", "--host", "127.0.0.1", "--port", str(port), "--data-dir", str(data_dir))
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        began = perf_counter()
        process = subprocess.Popen(command, env=_environment(more_environment or {}), stdout=log, stderr=subprocess.STDOUT, text=True)  # noqa: S603 - our own command
        try:
            _wait(process, log, port, key)
            yield Server(process.pid, port, key, perf_counter() - began)
        except BaseException:
            process.kill()
            raise
        finally:
            process.terminate()
            code = process.wait(_STOP_LIMIT_S)
    if code:
        message = f"the server ended with exit code {code}"
        raise ServerError(message)


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    """Give the environment without settings of ours, and without what forbids Python to keep compiled modules."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("KAIKO_") and k != "PYTHONDONTWRITEBYTECODE"}
    return kept | dict(more)


def _free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        return int(listening.getsockname()[1])


def _wait(process: "subprocess.Popen[str]", log: IO[str], port: int, key: str) -> None:
    deadline = perf_counter() + _START_LIMIT_S
    while not _answers(port, key):
        if process.poll() is not None or perf_counter() > deadline:
            log.seek(0)
            message = f"the server did not start; it said: {log.read()[-2000:].strip() or 'nothing'}"
            raise ServerError(message)
        sleep(_POLL_S)


def _answers(port: int, key: str) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=_START_LIMIT_S)
    body = json.dumps({"model": "emotion-v2", "messages": [{"content": {"text": "I got the job!"}}]})
    try:
        connection.request("POST", ANALYSIS, body, {"content-type": "application/json", "x-api-key": key})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
