"""Processes and sockets around the application: starts, drains on SIGTERM, and says in one line why it cannot start."""

import asyncio
import logging
import multiprocessing
import os
import signal
import socket
import ssl
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from ipaddress import ip_address
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Thread
from time import monotonic
from types import FrameType
from typing import Final

import uvicorn
from fastapi import FastAPI

from kaiko_server.app import create_app
from kaiko_server.errors import Code
from kaiko_server.gate.logs import Forward
from kaiko_server.gate.protocol import Protocol
from kaiko_server.gate.traffic import Traffic
from kaiko_server.settings import Settings, SettingsError
from kaiko_server.tls import Certificate

_BACKLOG: Final = 2048
_SWITCH_S: Final = 0.0005
"""How long one thread may keep others from running Python: while the database's writer has it, the model's threads stand still."""
_LOOK_S: Final = 0.05
"""How often a draining server looks whether it is done."""
_LOOK_FOR_CERTIFICATE_S: Final = 1.0
_SOON_S: Final = 5.0
"""A worker that ends sooner after its start than this would end again; the server stops rather than spin."""
_STARTED_WITHIN_S: Final = 60.0
FAILED: Final = 1
Ready = Callable[[str], None]


def run(settings: Settings, *, ready: Ready) -> int:
    """Serve until told to stop, and give the exit code: 0 after SIGTERM or Ctrl-C, 1 when it could not start.

    Parameters
    ----------
    settings
        Where and how.
    ready
        Told the server's address once it answers.
    """
    try:
        listener = _listen(settings.host, settings.port)
    except OSError as error:
        mend = "choose another with --port or KAIKO_PORT, or stop what runs there"
        return _fail(f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}; {mend}")
    url = _url(listener, "http" if settings.tls_cert is None else "https")
    with listener:
        if settings.workers == 1:
            return _serve(settings, listener, partial(ready, url))
        return _Workers(settings, listener).run(partial(_tell_when_ready, url, ready))


def _fail(message: str) -> int:
    sys.stderr.write(f"Error: {message}\n")
    return FAILED


def _listen(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    address = ip_address(host)
    shown = ("[::1]" if address.version == 6 else "127.0.0.1") if address.is_unspecified else f"[{host}]" if address.version == 6 else host  # noqa: PLR2004 - IP
    return f"{scheme}://{shown}:{port}"


def _serve(settings: Settings, listener: socket.socket, started: Callable[[], None]) -> int:
    """Run one server on *listener* in this process."""
    sys.setswitchinterval(_SWITCH_S)
    try:
        app = create_app(settings)
        certificate = None if settings.tls_cert is None or settings.tls_key is None else Certificate(settings.tls_cert, settings.tls_key)
    except SettingsError as error:
        return _fail(str(error))
    _forward_logs(app)
    protocol = partial(Protocol, refused=partial(_refused, app), read_timeout_s=settings.request_timeout_s)
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol,  # type: ignore[arg-type] # uvicorn only calls it
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # whom to believe is for gate/transport to say
        timeout_graceful_shutdown=max(1, round(settings.drain_timeout_s)),
        backlog=_BACKLOG,
    )
    config.load()
    config.ssl = None if certificate is None else certificate.context
    server = _Server(config, app, certificate, settings.drain_timeout_s, started)
    try:
        server.run(sockets=[listener])
    except SystemExit:
        return _fail(str(app.state.failure or "the server could not start"))
    return 0


def _forward_logs(app: FastAPI) -> None:
    """Send what libraries log through our logger, which drops everything that could be a client's words."""
    root = logging.getLogger()
    root.handlers = [Forward(app.state.log)]
    root.setLevel(logging.WARNING)


def _refused(app: FastAPI, code: Code, request_id: str) -> None:
    app.state.log.info("refused", request_id=request_id, code=code.slug)
    app.state.metrics.refused(code.slug)


class _Server(uvicorn.Server):
    """uvicorn, draining as we promise: requests in flight finish, new ones are told 503, and the exit code is 0."""

    def __init__(
        self, config: uvicorn.Config, app: FastAPI, certificate: Certificate | None, drain_s: float, told: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._traffic: Traffic = app.state.traffic
        self._log = app.state.log
        self._certificate = certificate
        self._looked = monotonic()
        self._drain_s = drain_s
        self._told = told

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle the signals that end a server; unlike uvicorn's own, do not raise them again at the end: that is not a crash."""
        before = {sig: signal.signal(sig, self.handle_exit) for sig in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for sig, handler in before.items():
                signal.signal(sig, handler)

    async def on_tick(self, counter: int) -> bool:
        """Do what uvicorn does ten times a second; now and then, look whether the certificate was renewed."""
        if self._certificate is not None and monotonic() - self._looked > _LOOK_FOR_CERTIFICATE_S:
            self._looked = monotonic()
            if (told := self._certificate.renew()) == "renewed":
                self._log.info("certificate renewed")
            elif told is not None:
                self._log.error("the new certificate cannot be used, the old one stays", reason=told)
        return await super().on_tick(counter)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        uvicorn_log = logging.getLogger("uvicorn.error")
        uvicorn_log.setLevel(logging.CRITICAL)  # a failed start is told by run(), in one line and not in a traceback
        await super().startup(sockets)
        uvicorn_log.setLevel(logging.WARNING)
        self._told()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._traffic.draining = True
        end = monotonic() + self._drain_s
        while self._traffic.in_flight and monotonic() < end and not self.force_exit:  # noqa: ASYNC110 - once in a server's life
            await asyncio.sleep(_LOOK_S)
        self.config.timeout_graceful_shutdown = max(1, round(end - monotonic()))  # what is left; then uvicorn cancels
        await super().shutdown(sockets)


def _work(settings: Settings, listener: socket.socket) -> None:
    """Be one of several workers."""
    Thread(target=_end_with_parent, daemon=True).start()
    sys.exit(_serve(settings, listener, lambda: None))


def _end_with_parent() -> None:
    """Drain when the parent is gone, even killed: nobody else would ever tell this worker to."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGTERM)


class _Workers:
    """Several processes on one socket; one that dies is replaced, and a signal is passed on to all."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._processes: dict[BaseProcess, float] = {}
        self._stopping = False

    def run(self, announce: Callable[[], None]) -> int:
        for sig in (signal.SIGINT, signal.SIGTERM):
            signal.signal(sig, self._stop)
        for _ in range(self._settings.workers):
            self._start()
        Thread(target=announce, daemon=True).start()
        code = 0
        while self._processes:
            wait([process.sentinel for process in self._processes], timeout=1)
            code = max(code, self._replace_the_dead())
        return code

    def _start(self) -> None:
        process = multiprocessing.get_context("spawn").Process(target=_work, args=(self._settings, self._listener))
        process.start()
        self._processes[process] = monotonic()

    def _replace_the_dead(self) -> int:
        code = 0
        for process in [p for p in self._processes if not p.is_alive()]:
            lived = monotonic() - self._processes.pop(process)
            if self._stopping:
                continue
            if lived < _SOON_S:
                code = _fail("a worker ended right after its start")
                self._stop(signal.SIGTERM, None)
            else:
                self._start()
        return code

    def _stop(self, sig: int, _frame: FrameType | None) -> None:
        del sig
        self._stopping = True
        for process in self._processes:
            process.terminate()


def _tell_when_ready(url: str, ready: Ready) -> None:
    """Ask until the workers answer, then tell."""
    # A proxy of the environment is not for our own address, and our own certificate is for another name.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    end = monotonic() + _STARTED_WITHIN_S
    while monotonic() < end:
        if _answers(opener, f"{url}/readyz"):
            ready(url)
            return


def _answers(opener: urllib.request.OpenerDirector, url: str) -> bool:
    try:
        with opener.open(url, timeout=_SOON_S):
            return True
    except urllib.error.HTTPError as error:
        # On an address that is not loopback a worker answers that it wants HTTPS; only 503 says that it is not ready.
        return error.code != HTTPStatus.SERVICE_UNAVAILABLE
    except OSError:
        return False
