"""What the system knows of a process and of the machine; read from ``/proc``, so on Linux alone."""

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

_DESCRIBE = ("git", "describe", "--always", "--dirty", "--exclude=*")
_HERE = Path(__file__).parent
_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME = 11
"""Place of the user time in ``stat``, counted from behind the name in brackets; the system time follows it."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures were taken on; without it they say nothing."""

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    onnxruntime: str
    load_average: float
    """Of the last minute, before the first measurement: near 0 on a quiet machine."""
    commit: str


def machine() -> Machine:
    return Machine(
        cpu=_field(Path("/proc/cpuinfo"), "model name"),
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(_kib(Path("/proc/meminfo"), "MemTotal") / 2**20, 1),
        system=f"{platform.system()} {platform.release().split('-')[0]}",
        python=platform.python_version(),
        onnxruntime=version("onnxruntime"),
        load_average=round(os.getloadavg()[0], 2),
        commit=_commit(),
    )


def _commit() -> str:
    try:
        done = subprocess.run(_DESCRIBE, capture_output=True, text=True, check=True, cwd=_HERE)  # noqa: S603 - constant
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return done.stdout.strip()


def _field(file: Path, name: str) -> str:
    for line in file.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _kib(file: Path, name: str) -> int:
    return int(_field(file, name).split()[0])


def _family(pid: int) -> list[int]:
    """Give *pid* and all that came from it: a server may have workers."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, children.read_text(encoding="utf-8").split())
    return found


def memory_mib(pid: int, name: str = "VmRSS") -> float:
    """Sum what *pid* and its children hold now (``VmRSS``) or held at most (``VmHWM``)."""
    return sum(_kib(Path(f"/proc/{p}/status"), name) for p in _family(pid)) / 1024


def cpu_s(pid: int) -> float:
    """Give the processor time that *pid* and its children have taken so far, in seconds, to about 0.01."""
    return sum(sum(threads_cpu_s(p).values()) for p in _family(pid))


def threads_cpu_s(pid: int) -> dict[int, float]:
    """Give the processor time of each thread of *pid*; the one with the number *pid* runs the event loop."""
    found = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        fields = (task / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        found[int(task.name)] = (int(fields[_UTIME]) + int(fields[_UTIME + 1])) / _TICKS
    return found
