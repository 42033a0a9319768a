"""``make bench``: how fast the server is, and how much of the model's own speed it keeps."""

import json
import shlex
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from bench import figures, process
from bench.figures import Memory, Report, Start
from bench.measure import Figure, Measurement
from bench.raw import Raw
from bench.rounds import FULL, QUICK, Bench, Plan, client_process, collect
from bench.server import Server, serving
from bench.show import markdown, print_report, write_between_markers
from bench.texts import sample

_HERE = Path(__file__).parents[1]
_LATEST = _HERE / "bench" / "results" / "latest.json"
_WIDTH = 120
"""Characters a line where there is no terminal to ask."""

_SHOWN_IN = (_HERE / "README.md", _HERE / "docs" / "guide" / "performance.md")


def _starts(plan: Plan, folder: Path, data_dir: Path) -> Start:
    """Start the server for the first time ever and then *plan.starts* times more."""
    compiled = {"PYTHONPYCACHEPREFIX": str(folder / "compiled")}
    found: list[float] = []
    for _ in range(1 + plan.starts):
        with serving(data_dir, compiled) as server:
            found.append(server.start_s)
    return Start(found[0], Figure.of(found[1:]))


def _watched(bench: Bench, console: Console) -> Iterator[tuple[str, Measurement]]:
    """Pass the measurements on and show how far they are."""
    with Progress(console=console, transient=True) as progress:
        total = len(bench.steps()) * bench.plan.rounds
        yield from progress.track(bench.rounds(), total=total, description="measuring")


def _measure(plan: Plan, server: Server, raw: Raw, texts: list[str], console: Console) -> tuple[dict[str, list[Measurement]], Memory]:
    loaded = process.memory_mib(server.pid)
    with client_process() as pool:
        measured = collect(_watched(Bench(plan, texts, raw, server, pool), console))
    return measured, Memory(loaded, process.memory_mib(server.pid), process.memory_mib(server.pid, "VmHWM"))


def run(plan: Plan, console: Console) -> Report:
    """Measure everything."""
    machine = process.machine()
    texts = sample(plan.texts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        data_dir = folder / "data"
        data_dir.mkdir(mode=0o700)
        with console.status("starting the server, several times"):
            start = _starts(plan, folder, data_dir)
        raw = Raw(texts, plan.least_s)
        with serving(data_dir) as server:
            measured, memory = _measure(plan, server, raw, texts, console)
    return Report(
        command=shlex.join(("python", "-m", "bench", *sys.argv[1:])),
        date=datetime.now(UTC).date().isoformat(),
        machine=machine,
        model=raw.version,
        texts=figures.texts(raw.tokens),
        rounds=plan.rounds,
        speeds=figures.speeds(measured),
        kept=figures.kept(measured),
        start_s=start,
        memory_mib=memory,
        statuses=figures.statuses(measured),
    )


@click.command()
@click.option("--quick", is_flag=True, help="A few requests of each kind: shows that everything works, not how fast it is.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file too.")
@click.option("--write", is_flag=True, help="Write the figures into bench/results, the README and docs/guide/performance.md.")
def main(*, quick: bool, json_file: Path | None, write: bool) -> None:
    """Measure the server against the model that it serves, on this machine. Nothing else should be running."""
    if quick and write:
        message = "--quick figures are no figures: leave --write away"
        raise click.UsageError(message)
    report = run(QUICK if quick else FULL, Console(stderr=True))
    print_report(report, Console(width=None if sys.stdout.isatty() else _WIDTH))
    text = json.dumps(asdict(report), indent=2) + "\n"
    if json_file:
        json_file.write_text(text, encoding="utf-8")
    if write:
        _LATEST.parent.mkdir(exist_ok=True)
        _LATEST.write_text(text, encoding="utf-8")
        for file in _SHOWN_IN:
            write_between_markers(file, markdown(report))
    if set(report.statuses) != {"200"}:
        message = "not every answer was a 200: these figures say nothing"
        raise click.ClickException(message)


if __name__ == "__main__":
    main()
