"""``kaiko doctor``: what is wrong here, and how to mend it."""

import asyncio
import hashlib
import json
import os
import platform
import re
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import click

from kaiko_server.cli.common import as_json, data_dir
from kaiko_server.engine.onnx import OnnxSession, weights_folder
from kaiko_server.keys.service import PEPPER_FILE
from kaiko_server.settings import Settings, SettingsError, load
from kaiko_server.store.counters import NO_LIMITS, Ask, CountersError
from kaiko_server.store.db import StoreError
from kaiko_server.store.opening import name_of, pending_migrations
from kaiko_server.store.valkey import ValkeyCounters
from kaiko_server.tls import Certificate

_MIN_FREE_BYTES = 200 * 1024 * 1024
_WORKER_BYTES = 300 * 1024 * 1024
"""What one server process takes at full load, with room (docs/guide/performance.md)."""
_MEND_SQLITE = "restore the last backup, or start with an empty data folder"
_SHARED = stat.S_IRWXG | stat.S_IRWXO


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; *mend* says what to do when it is not *ok*."""

    what: str
    ok: bool
    found: str
    mend: str = ""


@click.command("doctor")
@as_json
@data_dir
def command(as_json: bool, data_dir: Path | None) -> None:  # noqa: FBT001 - click passes options by name
    """Look at everything that the server needs; exit code 1 when something is wrong."""
    try:
        settings = load(None, data_dir=data_dir)
        findings = list(examine(settings))
    except SettingsError as error:
        findings = [Finding("settings", ok=False, found=str(error), mend="correct the environment variable that is named")]
    if as_json:
        click.echo(json.dumps([asdict(f) for f in findings], indent=2))
    else:
        for f in findings:
            click.echo(click.style("  ok  " if f.ok else " WRONG", fg="green" if f.ok else "red", bold=True) + f"  {f.what}: {f.found}")
            if not f.ok:
                click.echo(f"          mend it: {f.mend}")
    sys.exit(0 if all(f.ok for f in findings) else 1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at one thing after the other; nothing is changed."""
    checks: tuple[Callable[[Settings], Finding], ...] = (
        _python,
        _model,
        _folder,
        _database,
        _pepper,
        _limits,
        _certificate,
        _port,
        _memory,
        _disk,
    )
    for check in checks:
        yield check(settings)


def _python(_: Settings) -> Finding:
    return Finding("Python", sys.version_info >= (3, 11), platform.python_version(), "install Python 3.11 or newer")


def _model(_: Settings) -> Finding:
    mend = "the installation is damaged: install the package again"
    try:
        session = OnnxSession.load(threads=1)
        digest = hashlib.sha256((weights_folder() / "model.onnx").read_bytes()).hexdigest()
        session.predict(["hello"])
    except (OSError, ValueError, KeyError, ArithmeticError) as error:
        return Finding("model", ok=False, found=f"cannot be used ({type(error).__name__})", mend=mend)
    return Finding("model", session.version.endswith(digest[:8]), session.version, mend)


def _folder(settings: Settings) -> Finding:
    folder = settings.data_dir
    if not folder.exists():
        above = next(p for p in folder.absolute().parents if p.exists())
        return Finding("data folder", os.access(above, os.W_OK), f"{folder} will be made at the first start", f"make {above} writable")
    if not os.access(folder, os.W_OK | os.X_OK):
        return Finding(
            "data folder", ok=False, found=f"{folder} is not writable", mend=f"chown it to the user who runs the server: {folder}"
        )
    mode = stat.S_IMODE(folder.stat().st_mode)
    return Finding("data folder", not mode & _SHARED, f"{folder}, mode {mode:04o}", f"others can enter it: chmod 700 {folder}")


def _database(settings: Settings) -> Finding:
    try:
        behind = asyncio.run(pending_migrations(settings))
    except StoreError as error:
        mend = "start PostgreSQL, or correct KAIKO_DATABASE_URL" if settings.database_url else _MEND_SQLITE
        return Finding("database", ok=False, found=" ".join(str(error).split()), mend=mend)
    if behind is None:
        return Finding("database", ok=True, found="none yet; made at the first start")
    found = f"{behind} migrations behind" if behind else "sound, schema current"
    return Finding("database", not behind, f"{name_of(settings)}: {found}", "kaiko migrate")


def _pepper(settings: Settings) -> Finding:
    if settings.pepper is not None:
        return Finding("pepper", ok=True, found="given by KAIKO_PEPPER")
    if not settings.development:
        return Finding("pepper", ok=False, found="missing", mend="set KAIKO_PEPPER: `openssl rand -hex 32` makes one")
    path = settings.data_dir / PEPPER_FILE
    if not path.exists():
        return Finding("pepper", ok=True, found="none yet; made at the first start (development)")
    mode = stat.S_IMODE(path.stat().st_mode)
    return Finding("pepper", not mode & _SHARED, f"{path}, mode {mode:04o} (development)", f"others can read it: chmod 600 {path}")


def _limits(settings: Settings) -> Finding:
    if settings.valkey_url is None:
        several = settings.workers > 1 or settings.database_url is not None
        return Finding(
            "limits", ok=True, found="counted by each process for itself; KAIKO_VALKEY_URL shares them" if several else "counted in memory"
        )
    try:
        asyncio.run(_ask_valkey(settings.valkey_url))
    except SettingsError as error:
        return Finding("limits", ok=False, found=str(error), mend="correct KAIKO_VALKEY_URL")
    except CountersError as error:
        return Finding("limits", ok=False, found=f"Valkey cannot be asked ({error})", mend="start Valkey, or correct KAIKO_VALKEY_URL")
    return Finding("limits", ok=True, found="counted in Valkey")


async def _ask_valkey(url: str) -> None:
    counters = ValkeyCounters(url)
    try:
        await counters.enter(Ask("doctor", NO_LIMITS, "doctor", 0))
    finally:
        await counters.close()


def _certificate(settings: Settings) -> Finding:
    if settings.tls_cert is None or settings.tls_key is None:
        return Finding("TLS", ok=True, found="none of its own: plain HTTP on loopback, or behind a proxy in KAIKO_TRUSTED_PROXIES")
    try:
        Certificate(settings.tls_cert, settings.tls_key)
    except SettingsError as error:
        return Finding("TLS", ok=False, found=str(error), mend="give a PEM certificate and its key, readable by the server")
    return Finding("TLS", ok=True, found=f"{settings.tls_cert}")


def _port(settings: Settings) -> Finding:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            if _is_kaiko(settings):
                return Finding("port", ok=True, found=f"{settings.host}:{settings.port}, where Kaiko runs")
            mend = "another server runs there already, or choose another with KAIKO_PORT"
            return Finding("port", ok=False, found=f"{settings.host}:{settings.port} {error.strerror}", mend=mend)
    return Finding("port", ok=True, found=f"{settings.host}:{settings.port} is free")


def _is_kaiko(settings: Settings) -> bool:
    connection = HTTPConnection(settings.host, settings.port, timeout=2)
    try:
        connection.request("GET", "/healthz")
        return (connection.getresponse().headers["x-request-id"] or "").startswith("req-")
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _memory(settings: Settings) -> Finding:
    need = settings.workers * _WORKER_BYTES
    free = _available_bytes()
    mend = "stop something else, give the container more, or lower KAIKO_WORKERS"
    return Finding("memory", free >= need, f"{free / 1e9:.1f} GB available, {need / 1e9:.1f} GB needed", mend)


def _available_bytes() -> int:
    """Give what a new process can have: of the machine, and of the container where it is less."""
    found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    meminfo, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if meminfo.exists() and (line := re.search(r"MemAvailable: +(\d+) kB", meminfo.read_text(encoding="ascii"))):
        found.append(int(line[1]) * 1024)
    if (group / "memory.max").exists() and (limit := (group / "memory.max").read_text(encoding="ascii").strip()).isdigit():
        found.append(int(limit) - int((group / "memory.current").read_text(encoding="ascii")))
    return min(found)


def _disk(settings: Settings) -> Finding:
    place = next(p for p in (settings.data_dir.absolute(), *settings.data_dir.absolute().parents) if p.exists())
    free = shutil.disk_usage(place).free
    return Finding("disk", free >= _MIN_FREE_BYTES, f"{free / 1e9:.1f} GB free", "make room: the database needs it to grow")
