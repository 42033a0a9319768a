"""What each run-time dependency costs: ``python -m bench.dependencies`` prints size on disk and processor time of its import.

Sizes count files as installed, compiled Python left out. An import is timed in a fresh process, less what an empty process takes,
the least of several: it includes what the package imports itself.
"""

import os
import subprocess
import sys
import tomllib
from importlib.metadata import Distribution, distribution
from pathlib import Path

_ROUNDS = 5
_MODULES = {"prometheus-client": "prometheus_client", "rich": "rich.console"}
_PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def _megabytes(found: Distribution) -> float:
    paths = (Path(str(found.locate_file(file))) for file in found.files or [] if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.exists()) / 1e6


def _import_ms(statement: str) -> float:
    """Give the processor time, user and system, of a process that runs *statement*, in milliseconds."""
    spent = []
    for _ in range(_ROUNDS):
        before = os.times()
        subprocess.run([sys.executable, "-c", statement], check=True)  # noqa: S603 - our own words
        after = os.times()
        spent.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return 1000 * min(spent)


def main() -> None:
    """Print one row a dependency."""
    names = [d.partition(">")[0] for d in tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))["project"]["dependencies"]]
    empty = _import_ms("pass")
    print("| package | version | MB | import, ms of CPU |\n|---|---|---|---|")
    for name in names:
        found = distribution(name)
        cost = max(0.0, _import_ms(f"import {_MODULES.get(name, name)}") - empty)
        print(f"| {name} | {found.version} | {_megabytes(found):.1f} | {cost:.0f} |", flush=True)


if __name__ == "__main__":
    main()
