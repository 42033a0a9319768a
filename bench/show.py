"""The figures for people: a table on the terminal, and the same as Markdown for the README and the guide."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.figures import BAR, BAR_CONNECTIONS, Report, Speed
from bench.measure import Figure
from bench.rounds import BATCH_TEXTS

_BEGIN, _END = "<!-- bench:begin -->", "<!-- bench:end -->"
_BLOCKS = " ▏▎▍▌▋▊▉█"
_WIDTH = 12
"""Characters of the longest bar."""


def print_report(report: Report, console: Console) -> None:
    table = Table(
        title="Speed: medians of the rounds, least and most in brackets",
        title_justify="left",
    )
    for heading, justify in zip(_HEADINGS, ("left", *["right"] * 5), strict=True):
        table.add_column(heading, justify=justify)  # type: ignore[arg-type] # a str that is one of its literals
    table.add_column("")
    top = _fastest(report)
    for (name, speed), row in zip(report.speeds.items(), _speed_rows(report), strict=True):
        table.add_row(*row, _bar(speed.per_s.median / top), style="bold" if name.startswith(("http", "batch")) else "")
    console.print(table)
    ratios = Table(title="What arrives over HTTP of the session's throughput", title_justify="left")
    for heading in _KEPT_HEADINGS:
        ratios.add_column(heading, justify="left" if heading == _KEPT_HEADINGS[0] else "right")
    for row in _kept_rows(report):
        ratios.add_row(*row)
    console.print(ratios)
    console.print(*_verdict(report))
    for line in _notes(report):
        console.print(line, highlight=False)


def _verdict(report: Report) -> tuple[str, str]:
    kept = report.kept[f"http {BAR_CONNECTIONS}"]
    least = min(f.median for f in (kept.arrival, kept.by_length, kept.best))
    reached = "[green]reached[/]" if least >= BAR else "[bold red]missed[/]"
    return f"With {BAR_CONNECTIONS} connections {least:.0%} or more, whichever way the session is run; the bar is {BAR:.0%}:", reached


def markdown(report: Report) -> str:
    """Give the figures as the README shows them."""
    top = _fastest(report)
    bars = [_bar(speed.per_s.median / top) for speed in report.speeds.values()]
    rows = [(*row, bar) for row, bar in zip(_speed_rows(report), bars, strict=True)]
    parts = (_markdown_table((*_HEADINGS, ""), rows), _markdown_table(_KEPT_HEADINGS, list(_kept_rows(report))))
    return "\n\n".join((*parts, "\n".join(f"- {line}" for line in _notes(report))))


def write_between_markers(file: Path, text: str) -> None:
    """Put *text* where *file* has its marks.

    Raises
    ------
    ValueError
        The marks are missing.
    """
    before, begin, rest = file.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        message = f"{file} has no {_BEGIN} … {_END}"
        raise ValueError(message)
    file.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", encoding="utf-8")


_HEADINGS = ("what", "messages/s", "p50 ms", "p99 ms", "server CPU ms", "client CPU")
_KEPT_HEADINGS = ("connections", "of batches in order of arrival", "of batches sorted by length", "of the fastest way without HTTP")


def _label(name: str) -> str:
    kind, size, *by_length = name.split()
    if kind == "session":
        return f"session alone, {size} a call{', by length' if by_length else ''}"
    if kind == "engine":
        return f"engine without HTTP, {size} a call"
    if kind == "batch":
        return f"HTTP, {BATCH_TEXTS} texts a request"
    return f"HTTP, {size} connection{'s' if size != '1' else ''}"


def _speed_rows(report: Report) -> Iterator[tuple[str, ...]]:
    for name, speed in report.speeds.items():
        yield _label(name), _spread(speed.per_s), f"{speed.p50_ms.median:.1f}", f"{speed.p99_ms.median:.1f}", *_cpu(speed)


def _cpu(speed: Speed) -> tuple[str, str]:
    return (f"{speed.server_cpu_ms:.2f}", f"{speed.client_cpu:.0%}") if speed.server_cpu_ms else ("", "")


def _kept_rows(report: Report) -> Iterator[tuple[str, ...]]:
    for name, kept in report.kept.items():
        yield name.split()[1], *(_percent(f) for f in (kept.arrival, kept.by_length, kept.best))


def _notes(report: Report) -> Iterator[str]:
    start, memory, machine, texts = report.start_s, report.memory_mib, report.machine, report.texts
    yield (
        f"Start to first reading: {start.again.median:.2f} s ({start.again.min:.2f}-{start.again.max:.2f}); "
        f"the very first time, with nothing compiled, {start.first:.2f} s."
    )
    yield (
        f"Server memory: {memory.loaded:.0f} MiB after its first reading, {memory.after:.0f} MiB after the run, "
        f"{memory.peak:.0f} MiB at most."
    )
    yield (
        f"Texts: {texts.count} everyday messages, {texts.tokens_mean} tokens on average, {texts.tokens_max} at most; "
        f"{report.rounds} rounds."
    )
    yield f"Answers: {', '.join(f'{count:,} with status {status}' for status, count in report.statuses.items())}."
    yield (
        f"{machine.cpu}, {machine.cores} cores, {machine.memory_gib} GiB; {machine.system}, Python {machine.python}, "
        f"onnxruntime {machine.onnxruntime}; load before the run {machine.load_average}."
    )
    yield f"`{report.command}` at commit {machine.commit}, {report.date}, model {report.model}."


def _fastest(report: Report) -> float:
    return max(speed.per_s.median for speed in report.speeds.values())


def _bar(share: float) -> str:
    eighths = round(share * _WIDTH * 8)
    return (_BLOCKS[8] * (eighths // 8) + _BLOCKS[eighths % 8]).strip()


def _spread(f: Figure) -> str:
    return f"{f.median:,.0f} ({f.min:,.0f}-{f.max:,.0f})"


def _percent(f: Figure) -> str:
    return f"{f.median:.0%} ({f.min:.0%}-{f.max:.0%})"


def _markdown_table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = f"| {' | '.join(headings)} |"
    rule = f"|{'|'.join('---:' if number and heading else '---' for number, heading in enumerate(headings))}|"
    return "\n".join((head, rule, *(f"| {' | '.join(row)} |" for row in rows)))
